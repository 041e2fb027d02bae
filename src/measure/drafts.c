/* The script, and the loop of generation.c along it. */
#include "measure/drafts.h"

#include "base/interrupt.h"
#include "base/process.h"

/* Returns one of text[depth] that is not `other`, or any where all are. */
static int32_t another(const int32_t *text, size_t depth, int32_t other, struct rng *rng) {
    size_t from = rng_below(rng, depth), i = 0;
    while (i + 1 < depth && text[(from + i) % depth] == other) i++;
    return text[(from + i) % depth];
}

bool drafts_script(int32_t *text, size_t depth, size_t n, double right, struct rng *rng) {
    const struct draft_params one = {.most = 1};
    struct arena arena = {0};
    struct draft d;
    bool ok = draft_init(&d, &one, text, depth + n, &arena);
    for (size_t i = depth; ok && i < depth + n; i++) {
        int32_t guess = -1;
        draft_read(&d, i);
        bool found = draft_propose(&d, 1, &guess) == 1;
        text[i] = found && rng_double(rng) < right ? guess : another(text, depth, guess, rng);
    }
    arena_free(&arena);
    return ok;
}

/* One text on its way. */
struct writing {
    const struct drafts_place *p;
    struct draft draft;
    uint32_t seq;
    const int32_t *text;
    size_t at, end; /* tokens written, and to be written */
    struct drafts_run *run;
};

/* Runs the last token and n proposals, and samples behind each of them up to the first that is not
 * the script's. Sets *kept to how many are. */
static int check(const struct writing *x, const int32_t *proposed, size_t n, size_t *kept,
                 struct err *e) {
    const struct drafts_place *p = x->p;
    struct gpt2_row rows[1 + DRAFT_MOST];
    struct rng rng;
    rng_seed(&rng, 0, x->at);
    for (size_t i = 0; i <= n; i++)
        rows[i] = (struct gpt2_row){.seq = x->seq,
                                    .pos = (uint32_t)(x->at - 1 + i),
                                    .token = i ? proposed[i - 1] : x->text[x->at - 1],
                                    .logits = true};
    int rc = gpt2_forward(p->s, rows, 1 + n, p->logits, e);
    if (rc) return rc;
    for (*kept = 0;; ++*kept) {
        const float *logits = p->logits + *kept * p->s->w->config.n_vocab;
        sampler_next(p->sampler, &rng, logits, x->text, x->at + *kept, -1);
        if (*kept == n || proposed[*kept] != x->text[x->at + *kept]) return OK;
    }
}

/* One step. */
static int step(struct writing *x, struct err *e) {
    int32_t proposed[DRAFT_MOST];
    size_t kept;
    double start = clock_now();
    draft_read(&x->draft, x->at);
    size_t k = draft_propose(&x->draft, x->end - x->at - 1, proposed);
    double begin = clock_now();
    int rc = check(x, proposed, k, &kept, e);
    if (rc) return rc;
    draft_tell(&x->draft, k, kept, clock_now() - begin);
    gpt2_rewind(x->p->s, x->seq, (uint32_t)(x->at + kept));
    x->at += 1 + kept;
    x->run->steps++, x->run->proposed += k, x->run->kept += kept;
    x->run->seconds += clock_now() - start;
    return OK;
}

int drafts_compare(const struct drafts_place *p, const int32_t *text, size_t depth, size_t n,
                   struct drafts_run *none, struct drafts_run *with, struct err *e) {
    struct arena arena = {0};
    struct writing x[2];
    int rc = OK;
    for (uint32_t i = 0; i < 2 && !rc; i++) {
        const struct draft_params params = {.most = i ? DRAFT_AUTOMATIC : 0};
        x[i] = (struct writing){.p = p,
                                .seq = 1 + i,
                                .text = text,
                                .at = depth,
                                .end = depth + n,
                                .run = i ? with : none};
        *x[i].run = (struct drafts_run){0};
        if (!draft_init(&x[i].draft, &params, text, depth + n, &arena))
            rc = err_set(e, ERR_FAILED, "out of memory for a text of %zu tokens", depth + n);
        gpt2_fork(p->s, 1 + i, 0, (uint32_t)depth - 1);
    }
    while (!rc && (x[0].at < x[0].end || x[1].at < x[1].end)) {
        if (interrupt_pending())
            rc = err_set(e, ERR_INTERRUPTED, "interrupted");
        else
            rc = step(&x[x[1].at < x[0].at], e);
    }
    arena_free(&arena);
    return rc;
}
