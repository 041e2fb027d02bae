#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/process.h"
#include "base/threads.h"
#include "cli/command.h"
#include "cli/compare_collect.h"
#include "cli/file_hash.h"

/* ---- how it was made ---- */

/* Appends a word as a shell reads it back. */
static size_t quote(char *out, size_t at, const char *word) {
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+,./:@%";
    bool bare = *word && !word[strspn(word, plain)];
    if (at) out[at++] = ' ';
    if (!bare) out[at++] = '\'';
    for (; *word; word++) {
        if (*word == '\'' && !bare) {
            memcpy(out + at, "'\\'", 3);
            at += 3;
        }
        out[at++] = *word;
    }
    if (!bare) out[at++] = '\'';
    out[at] = 0;
    return at;
}

static const char *command_line(const struct args *a, struct arena *arena) {
    size_t room = 1, at = 0;
    for (int i = 0; i < a->n_words; i++) room += 4 * strlen(a->words[i]) + 3;
    char *out = arena_zalloc(arena, room, 1);
    for (int i = 0; out && i < a->n_words; i++) at = quote(out, at, a->words[i]);
    return out;
}

static int describe(const struct args *a, const struct engine *g, struct compare_report *r,
                    struct err *e) {
    char machine[512];
    struct compare_made *made = arena_zalloc(r->arena, 1, sizeof *made);
    machine_describe(machine, sizeof machine);
    if (!made) return err_set(e, ERR_FAILED, "out of memory for the page");
    *made = (struct compare_made){.command = command_line(a, r->arena),
                                  .version = LOOKAT_VERSION,
                                  .compiler = version_compiler(),
                                  .machine = arena_copy(r->arena, machine, strlen(machine)),
                                  .kernels = g ? g->k->name : NULL,
                                  .threads = threads_count()};
    if (!made->command || !made->machine)
        return err_set(e, ERR_FAILED, "out of memory for the page");
    r->made = made;
    if (!g || !r->book || !file_exists(r->book->file)) return OK;
    bool inside = strcmp(r->book->file, r->model.file) == 0 && r->model.sha256[0];
    if (!inside) return file_hash(r->book->file, made->book_sha256, e);
    memcpy(made->book_sha256, r->model.sha256, sizeof made->book_sha256);
    return OK;
}

/* ---- the pattern of a head ---- */

/* Sets layer and head where they are not given: to the head with the lowest cosine of any backend,
 * within what is given; to 0 where no cosine was measured. */
static void choose_head(const struct args *a, const struct compare_report *r, struct pattern *p) {
    const struct gpt2_config *g = &r->model.config;
    double lowest = INFINITY;
    p->layer = a->html_layer >= 0 ? (size_t)a->html_layer : 0;
    p->head = a->html_head >= 0 ? (size_t)a->html_head : 0;
    for (size_t i = 0; i < r->main->n_runs * g->n_layer * g->n_head; i++) {
        size_t head = i % g->n_head, layer = i / g->n_head % g->n_layer,
               run = i / g->n_head / g->n_layer;
        const struct estimate *heads = compare_sum(r, run, p->text)->heads;
        const struct estimate *cosine =
            heads ? &heads[(layer * g->n_head + head) * FIDELITIES + FIDELITY_COSINE] : NULL;
        if (!cosine || !cosine->n || !(estimate_mean(cosine) < lowest)) continue;
        if ((a->html_layer >= 0 && layer != p->layer) || (a->html_head >= 0 && head != p->head))
            continue;
        lowest = estimate_mean(cosine);
        p->layer = layer;
        p->head = head;
    }
}

/* What the pattern's tokens say. */
static int spell(const struct engine *g, struct pattern *p, struct arena *arena, struct err *e) {
    size_t room = 0, len;
    if (!g->bpe) return OK;
    for (size_t i = 0; i < p->n; i++) {
        bpe_token(g->bpe, p->ids[i], &len);
        room += len;
    }
    char *bytes = arena_alloc(arena, room + 1, 1);
    size_t *at = arena_zalloc(arena, p->n + 1, sizeof *at);
    if (!bytes || !at) return err_set(e, ERR_FAILED, "out of memory for the page");
    for (size_t i = 0; i < p->n; i++) {
        const uint8_t *s = bpe_token(g->bpe, p->ids[i], &len);
        memcpy(bytes + at[i], s, len);
        at[i + 1] = at[i] + len;
    }
    p->bytes = bytes;
    p->spell_at = at;
    return OK;
}

int compare_collect(const struct args *a, const struct engine *g, struct compare_report *r,
                    struct err *e) {
    int rc = describe(a, g, r, e);
    if (rc || !g || r->main->n_runs < 2) return rc;
    struct pattern *p = arena_zalloc(r->arena, 1, sizeof *p);
    if (!p) return err_set(e, ERR_FAILED, "out of memory for the page");
    choose_head(a, r, p);
    rc = pattern_measure(r->main, p, r->arena, e);
    if (!rc) rc = spell(g, p, r->arena, e);
    if (!rc) r->pattern = p;
    return rc;
}
