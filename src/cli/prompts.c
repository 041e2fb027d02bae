/* generate --prompts: continues each line of a file, with one model and one session. */
#include <stdio.h>
#include <string.h>

#include "cli/generate.h"
#include "cli/lines.h"
#include "report/cut_out.h"

/* The figures of all lines. */
struct sums {
    size_t lines;
    struct generation_figures figures;
    uint64_t *cut; /* [L] */
};

static void add(struct sums *sums, const struct generation_figures *f, size_t n_layer) {
    struct generation_stats *to = &sums->figures.run;
    const uint64_t *cut = sums->figures.cut;
    const struct generation_stats before = *to;
    sums->figures = *f;
    sums->figures.cut = cut;
    to->prompt_tokens += before.prompt_tokens;
    to->held += before.held;
    to->tokens += before.tokens;
    to->decoded += before.decoded;
    to->steps += before.steps;
    to->proposed += before.proposed;
    to->kept += before.kept;
    to->prefill_s += before.prefill_s;
    to->decode_s += before.decode_s;
    for (size_t l = 0; l < n_layer; l++) sums->cut[l] += f->cut[l];
    sums->lines++;
}

/* Continues one line, in a session whose state is cleared first. Memory is freed at the end. */
static int continue_line(struct generate_job *j, struct gpt2_session *s, const struct lines *l,
                         struct sums *sums, struct err *e) {
    struct arena arena = {0};
    struct generate_prompt p = {0};
    struct writing w = {.job = j, .s = s, .prompt = &p, .format = GENERATION_JSON, .arena = &arena};
    gpt2_rewind(s, 0, 0);
    int rc = generate_encode(j, l->line, l->n, &arena, &p, e);
    if (!rc) rc = generate_plan(j, &p, e);
    if (!rc) {
        rc = writing_run(&w, e);
        if (w.figures.cut) add(sums, &w.figures, s->attn.shape.n_layer);
        rc = writing_close(&w, rc, e);
        watch_close(&w.watch);
    }
    arena_free(&arena);
    return rc;
}

/* Puts the file and the line in front of the message. */
static int name_line(const struct lines *l, struct err *e) {
    const struct err was = *e;
    if (was.code == ERR_INTERRUPTED) {
        e->msg[0] = 0; /* the user knows */
        return was.code;
    }
    return err_file(e, was.code, strcmp(l->file, "-") == 0 ? "standard input" : l->file,
                    "line %zu: %s", l->number, was.msg);
}

static int continue_lines(struct generate_job *j, struct gpt2_session *s, struct lines *l,
                          struct sums *sums, struct err *e) {
    size_t too_many = generate_too_many_bytes(j);
    for (;;) {
        bool got = false;
        int rc = lines_next(l, too_many, &got, e);
        if (rc == ERR_INTERRUPTED) e->msg[0] = 0;
        if (rc || !got) return rc;
        if (continue_line(j, s, l, sums, e)) return name_line(l, e);
    }
}

int generate_prompts(struct generate_job *j, struct err *e) {
    const struct args *args = j->args;
    size_t n_layer = j->g.model.weights.config.n_layer;
    struct sums sums = {.cut = arena_zalloc(&j->g.arena, n_layer, sizeof *sums.cut)};
    struct generate_session x;
    struct lines l;
    if (!sums.cut) return err_set(e, ERR_FAILED, "out of memory for the counters");
    int rc = lines_open(&l, args->prompts, args->quiet, e);
    if (rc) return rc;
    rc = generate_open(&x, j, args_attn(args), j->n_ctx, e);
    if (!rc) {
        rc = continue_lines(j, &x.s, &l, &sums, e);
        if (!args->quiet) cut_warn(stderr, x.s.attn.name, sums.cut, n_layer);
        if (sums.lines && !args->quiet && (!rc || rc == ERR_INTERRUPTED)) {
            fprintf(stderr, "\n%s: ", text_plural(sums.lines, "prompt").s);
            generation_print_figures(stderr, &sums.figures, x.s.attn.name, j->seed);
        }
        generate_close(&x);
    }
    lines_close(&l);
    return rc;
}
