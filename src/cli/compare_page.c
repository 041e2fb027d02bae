#include "cli/compare_page.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/inputs.h"
#include "base/out_file.h"
#include "cli/output.h"
#include "report/figures.h"

bool compare_page_wanted(const struct args *a) { return a->html || a->svg; }

static int make_folder(const char *path, struct err *e) {
    if (file_is_folder(path) || mkdir(path, 0777) == 0) return OK;
    return err_file(e, ERR_FAILED, path, "the folder for figures cannot be made: %s",
                    strerror(errno));
}

int compare_page_check(const struct args *a, struct err *e) {
    int rc = OK;
    for (int i = 0; a->merge && i < a->argc && !rc; i++) rc = inputs_add_path(a->argv[i], e);
    if (!rc && a->html) rc = output_check(a, a->html, true, e);
    if (!rc && a->svg) rc = make_folder(a->svg, e);
    return rc;
}

int compare_page_check_head(const struct args *a, const struct gpt2_config *g, struct err *e) {
    if (a->html_layer >= (int64_t)g->n_layer)
        return err_set(e, ERR_USAGE, "--html-layer: expected a layer from 0 to %zu, got %lld",
                       g->n_layer - 1, (long long)a->html_layer);
    if (a->html_head >= (int64_t)g->n_head)
        return err_set(e, ERR_USAGE, "--html-head: expected a head from 0 to %zu, got %lld",
                       g->n_head - 1, (long long)a->html_head);
    return OK;
}

/* ---- figures ---- */

/* "DIR/pareto.svg", "DIR/heads-3.svg" of the third backend, "DIR/2-heads-3.svg" of the second of
 * several texts. */
static bool path_of(char *out, size_t room, const char *folder, const struct figure_kind_of *kind,
                    const struct figure_of *f) {
    char text[24] = "", run[24] = "";
    if (f->r->main->n_texts > 1) snprintf(text, sizeof text, "%zu-", f->text + 1);
    if (kind->each_run) snprintf(run, sizeof run, "-%zu", f->run);
    int n = snprintf(out, room, "%s/%s%s%s.svg", folder, text, kind->name, run);
    return n > 0 && (size_t)n < room;
}

static int write_figure(const char *folder, const struct figure_kind_of *kind,
                        const struct figure_of *f, struct err *e) {
    char path[OUT_PATH_MAX];
    struct out_file o;
    if (!path_of(path, sizeof path, folder, kind, f))
        return err_file(e, ERR_FAILED, folder, "the name of a figure in it would be too long");
    int rc = out_open(&o, path, true, e);
    if (rc) return rc;
    struct svg g = {.fp = o.fp, .alone = true};
    kind->draw(&g, f);
    return out_commit(&o, e);
}

static int write_figures(const char *folder, const struct compare_report *r, struct err *e) {
    int rc = OK;
    for (size_t text = 0; text < r->main->n_texts; text++)
        for (size_t i = 0; i < n_figure_kinds; i++) {
            size_t runs = figure_kinds[i].each_run ? r->main->n_runs : 2;
            if (text && figure_kinds[i].once) continue;
            for (size_t run = 1; run < runs && !rc; run++) {
                const struct figure_of f = {r, text, run};
                if (figure_kinds[i].there(&f)) rc = write_figure(folder, &figure_kinds[i], &f, e);
            }
        }
    return rc;
}

int compare_page_write(const struct args *a, const struct compare_report *r, struct err *e) {
    struct out_file o;
    int rc = a->html ? out_open(&o, a->html, true, e) : OK;
    if (rc) return rc;
    if (a->html) {
        compare_put_html(r, o.fp);
        rc = out_commit(&o, e);
    }
    return rc || !a->svg ? rc : write_figures(a->svg, r, e);
}
