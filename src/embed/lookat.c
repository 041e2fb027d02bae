/* The library's interface, on top of the rooms below. It checks what a stranger may get wrong
 * before the rooms see it: there, such mistakes are assertions. */
#include "embed/lookat.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attention/account.h"
#include "base/inputs.h"
#include "base/plain_locale.h"
#include "base/threads.h"
#include "checkpoint/find_model.h"
#include "model/engine.h"
#include "model/gpt2.h"
#include "model/model_book.h"
#include "model/sampler.h"

struct lookat_model {
    struct engine g;
    char fingerprint[65];
};

struct lookat_session {
    const struct lookat_model *model;
    struct gpt2_session s;
    struct book book;      /* what the session's codecs may point into */
    int threads;           /* that it was opened with, and runs with */
    size_t batch;          /* the most rows of a prompt that run at once */
    size_t codebooks;      /* bytes that a token reads of them */
    float *logits;         /* [n_seq][V] after the last token of each sequence */
    float *each;           /* [n_seq][V] of a batch of lookat_step_each */
    uint8_t *has;          /* [n_seq] 1 where the sequence has logits */
    uint8_t *in;           /* [n_seq] 1 where the sequence is in the batch */
    int32_t *tokens;       /* [n_seq][T] */
    struct gpt2_row *rows; /* [n_seq] */
    struct arena arena;    /* what a book's path took, and the fields above */
};

struct lookat_sampler {
    struct sampler s;
    struct rng rng;
    int32_t banned;
    struct arena arena;
};

/* ---- errors ---- */

_Static_assert(sizeof((lookat_error *)0)->text == sizeof((struct err *)0)->msg, "texts are copied");

/* Copies an error to the caller. Returns its code, one of those that lookat.h lists. */
static int pass_on(lookat_error *to, int rc, const struct err *e) {
    int code = rc == OK || rc == ERR_USAGE || rc == ERR_REFUSED ? rc : ERR_FAILED;
    if (!rc || !to) return code;
    to->code = code;
    memcpy(to->text, e->msg, sizeof to->text);
    return code;
}

static int no_memory(struct err *e, const char *what) {
    return err_set(e, ERR_FAILED, "out of memory for a %s", what);
}

const char *lookat_version(void) { return LOOKAT_VERSION; }

/* ---- models ---- */

static int open_model(struct lookat_model *m, const char *path, const char *tokenizer,
                      struct err *e) {
    int rc = kernels_get(&m->g.k, NULL, e);
    if (!rc && !path && find_model(NULL, NULL, &m->g.arena, &path, e))
        rc = err_set(e, ERR_FAILED,
                     "no model is named, the environment variable LOOKAT_MODEL is not set, and "
                     "there is no stories6M.gguf in weights/ or ../share/lookat/, seen from this "
                     "program's folder");
    /* The model keeps its path, and the caller's may go away. */
    const char *kept = rc ? NULL : arena_copy(&m->g.arena, path, strlen(path));
    if (!rc && !kept) rc = no_memory(e, "path");
    if (rc) {
        arena_free(&m->g.arena);
        return rc;
    }
    rc = engine_load(&m->g, kept, tokenizer, NULL, e);
    if (!rc) gpt2_fingerprint(&m->g.model.weights, m->fingerprint);
    return rc;
}

int lookat_open(lookat_model **model, const char *path, const char *tokenizer,
                lookat_error *error) {
    struct err e = {0};
    if (!model)
        return pass_on(error, err_set(&e, ERR_USAGE, "lookat_open: no place for a model"), &e);
    *model = NULL;
    struct lookat_model *m = calloc(1, sizeof *m);
    if (!m) return pass_on(error, no_memory(&e, "model"), &e);
    struct plain_locale locale = plain_locale_begin();
    int rc = open_model(m, path, tokenizer, &e);
    plain_locale_end(locale);
    if (rc)
        free(m);
    else
        *model = m;
    return pass_on(error, rc, &e);
}

void lookat_close(lookat_model *model) {
    if (!model) return;
    engine_close(&model->g);
    inputs_forget(); /* the library writes no files that could replace them */
    free(model);
}

void lookat_model_facts(const lookat_model *model, lookat_facts *facts) {
    if (!facts) return;
    *facts = (lookat_facts){.start_token = -1, .end_token = -1};
    if (!model) return;
    const struct checkpoint *f = &model->g.model;
    const struct gpt2_config *c = &f->weights.config;
    *facts = (lookat_facts){.layers = c->n_layer,
                            .heads = c->n_head,
                            .width = c->n_embd,
                            .inner = c->n_inner,
                            .context = c->n_ctx,
                            .vocabulary = c->n_vocab,
                            .tokens = f->vocab.n,
                            .parameters = gpt2_parameters(&f->weights),
                            .start_token = engine_start_token(&model->g),
                            .end_token = f->vocab.n ? f->vocab.eos : -1,
                            .name = f->name,
                            .path = f->path,
                            .format = f->format,
                            .kernels = model->g.k->name,
                            .fingerprint = model->fingerprint};
}

/* ---- text and tokens ---- */

static int check_tokenizer(const lookat_model *m, struct err *e) {
    if (!m) return err_set(e, ERR_USAGE, "no model was given");
    return m->g.bpe ? OK
                    : err_file(e, ERR_USAGE, m->g.model.path,
                               "the model has no tokenizer; name one in lookat_open");
}

int lookat_tokenize(const lookat_model *model, const char *text, size_t bytes, int special,
                    int32_t *ids, size_t room, size_t *n, lookat_error *error) {
    struct err e = {0};
    struct arena a = {0};
    int32_t *all = NULL;
    size_t found = 0;
    int rc = check_tokenizer(model, &e);
    if (!rc && (!n || (!text && bytes) || (!ids && room)))
        rc = err_set(&e, ERR_USAGE, "lookat_tokenize: text, ids or n is NULL");
    if (!rc)
        rc = bpe_encode(model->g.bpe, (const uint8_t *)(text ? text : ""), bytes, special != 0, &a,
                        &all, &found, &e);
    if (!rc) rc = engine_check_ids(&model->g, "the text", all, found, &e);
    if (!rc) {
        size_t fit = found < room ? found : room;
        if (fit) memcpy(ids, all, fit * sizeof *ids);
        *n = found;
    }
    arena_free(&a);
    return pass_on(error, rc, &e);
}

const char *lookat_token(const lookat_model *model, int32_t id, size_t *bytes) {
    *bytes = 0;
    return model && model->g.bpe ? (const char *)bpe_token(model->g.bpe, id, bytes) : "";
}

int lookat_detokenize(const lookat_model *model, const int32_t *ids, size_t n, int special,
                      char *text, size_t room, size_t *bytes, lookat_error *error) {
    struct err e = {0};
    int rc = check_tokenizer(model, &e);
    if (!rc && (!bytes || (!ids && n) || (!text && room)))
        rc = err_set(&e, ERR_USAGE, "lookat_detokenize: ids, text or bytes is NULL");
    size_t all = 0;
    for (size_t i = 0; i < n && !rc; i++) {
        size_t len;
        const uint8_t *token = bpe_token(model->g.bpe, ids[i], &len);
        if (ids[i] < 0 || (uint32_t)ids[i] >= model->g.model.vocab.n)
            rc = err_set(&e, ERR_USAGE, "token %ld: the tokenizer has %lu", (long)ids[i],
                         (unsigned long)model->g.model.vocab.n);
        if (rc || (!special && bpe_is_hidden(model->g.bpe, ids[i]))) continue;
        if (all < room) memcpy(text + all, token, len < room - all ? len : room - all);
        all += len;
    }
    if (rc) return pass_on(error, rc, &e);
    if (all < room) text[all] = 0;
    *bytes = all;
    return LOOKAT_OK;
}

/* ---- sessions ---- */

static int check_setup(const lookat_model *m, const lookat_setup *y, struct err *e) {
    enum { THREADS_MOST = 1024, SEQUENCES_MOST = 1 << 20 };
    if (!m) return err_set(e, ERR_USAGE, "lookat_session_open: no model was given");
    if (y->threads < 0 || y->threads > THREADS_MOST)
        return err_set(e, ERR_USAGE, "%d threads, expected 0 to %d", y->threads, THREADS_MOST);
    if (y->sequences > SEQUENCES_MOST)
        return err_set(e, ERR_USAGE, "%zu sequences, expected at most %d", y->sequences,
                       SEQUENCES_MOST);
    return OK;
}

/* The parts of a session beside the model's. */
static int take_memory(struct lookat_session *s, struct err *e) {
    size_t n = s->s.n_seq, V = s->s.w->config.n_vocab, T = s->s.attn.shape.n_ctx;
    struct arena *a = &s->arena;
    s->logits = arena_alloc(a, n, V * sizeof(float));
    s->each = arena_alloc(a, n, V * sizeof(float));
    s->has = arena_zalloc(a, n, 1);
    s->in = arena_zalloc(a, n, 1);
    s->tokens = arena_alloc(a, n, T * sizeof(int32_t));
    s->rows = arena_alloc(a, n, sizeof *s->rows);
    return s->logits && s->each && s->has && s->in && s->tokens && s->rows
               ? OK
               : no_memory(e, "session");
}

static int open_session(struct lookat_session *s, const lookat_setup *y, struct err *e) {
    const struct engine *g = &s->model->g;
    const char *spec = y->attention ? y->attention : "fp16";
    const struct book *use = NULL;
    size_t n_seq = y->sequences ? y->sequences : 1;
    threads_set(y->threads ? y->threads : threads_allowed());
    s->threads = threads_count();
    s->batch = gpt2_prompt_rows(&g->model.weights.config);
    /* The book keeps its path, and the caller's may go away. */
    const char *path = y->book ? arena_copy(&s->arena, y->book, strlen(y->book)) : NULL;
    if (y->book && !path) return no_memory(e, "path");
    int rc = model_book_find(&s->book, &use, path, &g->model, &spec, 1, &s->arena, e);
    if (rc) return rc;
    const struct gpt2_session_setup setup = {.weights = &g->model.weights,
                                             .kn = g->k,
                                             .attn = spec,
                                             .book = use,
                                             .n_seq = n_seq,
                                             .n_ctx = y->context ? y->context
                                                                 : g->model.weights.config.n_ctx,
                                             .max_rows = s->batch > n_seq ? s->batch : n_seq,
                                             .take_back = y->take_back};
    rc = gpt2_session_open(&s->s, &setup, e);
    if (!rc) {
        rc = take_memory(s, e);
        if (rc) gpt2_session_close(&s->s);
    }
    if (rc)
        book_close(&s->book);
    else
        s->codebooks = account_codebooks(&s->s.attn);
    return rc;
}

int lookat_session_open(lookat_session **session, const lookat_model *model,
                        const lookat_setup *setup, lookat_error *error) {
    struct err e = {0};
    const lookat_setup none = {0}, *y = setup ? setup : &none;
    if (!session)
        return pass_on(error, err_set(&e, ERR_USAGE, "lookat_session_open: no place for a session"),
                       &e);
    *session = NULL;
    int rc = check_setup(model, y, &e);
    if (rc) return pass_on(error, rc, &e);
    struct lookat_session *s = calloc(1, sizeof *s);
    if (!s) return pass_on(error, no_memory(&e, "session"), &e);
    s->model = model;
    struct plain_locale locale = plain_locale_begin();
    rc = open_session(s, y, &e);
    plain_locale_end(locale);
    if (rc) {
        arena_free(&s->arena);
        free(s);
    } else {
        *session = s;
    }
    return pass_on(error, rc, &e);
}

void lookat_session_close(lookat_session *session) {
    if (!session) return;
    gpt2_session_close(&session->s);
    book_close(&session->book);
    arena_free(&session->arena);
    free(session);
}

const char *lookat_attention(const lookat_session *session) {
    return session ? session->s.attn.name : NULL;
}

static bool has_sequence(const lookat_session *s, size_t sequence) {
    return s && sequence < s->s.n_seq;
}

static float *logits_of(const lookat_session *s, size_t sequence) {
    return s->logits + sequence * s->s.w->config.n_vocab;
}

static int32_t *tokens_of(const lookat_session *s, size_t sequence) {
    return s->tokens + sequence * s->s.attn.shape.n_ctx;
}

static int check_sequence(const lookat_session *s, size_t sequence, struct err *e) {
    if (!s) return err_set(e, ERR_USAGE, "no session was given");
    return sequence < s->s.n_seq
               ? OK
               : err_set(e, ERR_USAGE, "sequence %zu: the session has %zu, counted from 0",
                         sequence, s->s.n_seq);
}

/* May tokens[n] be appended to the sequence? */
static int check_tokens(const lookat_session *s, size_t sequence, const int32_t *tokens, size_t n,
                        struct err *e) {
    int rc = check_sequence(s, sequence, e);
    if (rc) return rc;
    size_t V = s->s.w->config.n_vocab, T = s->s.attn.shape.n_ctx, length = s->s.length[sequence];
    if (!tokens || !n) return err_set(e, ERR_USAGE, "no tokens were given, expected 1 or more");
    if (n > T - length)
        return err_set(e, ERR_USAGE,
                       "sequence %zu holds %zu tokens: %zu more are beyond its context of %zu",
                       sequence, length, n, T);
    for (size_t i = 0; i < n; i++)
        if (tokens[i] < 0 || (size_t)tokens[i] >= V)
            return err_set(e, ERR_USAGE, "token %ld, expected 0 to %zu", (long)tokens[i], V - 1);
    return OK;
}

/* Notes the last token of a sequence as run, and says whether its logits are numbers. */
static int keep_logits(lookat_session *s, size_t sequence, struct err *e) {
    size_t n = s->s.length[sequence];
    const struct gpt2_row last = {
        .seq = (uint32_t)sequence, .pos = (uint32_t)n - 1, .token = tokens_of(s, sequence)[n - 1]};
    int rc = gpt2_check_logits(&s->s, &last, logits_of(s, sequence), e);
    s->has[sequence] = !rc;
    return rc;
}

int lookat_step(lookat_session *session, size_t sequence, const int32_t *tokens, size_t n,
                const float **logits, lookat_error *error) {
    struct err e = {0};
    if (logits) *logits = NULL;
    int rc = check_tokens(session, sequence, tokens, n, &e);
    if (rc) return pass_on(error, rc, &e);
    uint32_t before = session->s.length[sequence];
    threads_set(session->threads);
    session->has[sequence] = 0;
    for (size_t done = 0; done < n && !rc;) {
        size_t take = n - done < session->batch ? n - done : session->batch;
        float *to = done + take == n ? logits_of(session, sequence) : NULL;
        rc = gpt2_prefill(&session->s, (uint32_t)sequence, tokens + done, take, to, &e);
        done += take;
    }
    if (rc) {
        gpt2_rewind(&session->s, (uint32_t)sequence, before);
        return pass_on(error, rc, &e);
    }
    memcpy(tokens_of(session, sequence) + before, tokens, n * sizeof *tokens);
    rc = keep_logits(session, sequence, &e);
    if (!rc && logits) *logits = logits_of(session, sequence);
    return pass_on(error, rc, &e);
}

/* Fills s->rows with one row for each of n sequences. */
static int plan_each(lookat_session *s, const size_t *sequences, const int32_t *tokens, size_t n,
                     struct err *e) {
    if (!s || !sequences || !tokens || !n)
        return err_set(e, ERR_USAGE, "lookat_step_each: no session, sequences or tokens");
    if (n > s->s.n_seq)
        return err_set(e, ERR_USAGE, "%zu sequences: the session has %zu", n, s->s.n_seq);
    memset(s->in, 0, s->s.n_seq);
    for (size_t i = 0; i < n; i++) {
        int rc = check_tokens(s, sequences[i], &tokens[i], 1, e);
        if (rc) return rc;
        if (s->in[sequences[i]]++)
            return err_set(e, ERR_USAGE, "sequence %zu comes twice", sequences[i]);
        s->rows[i] = (struct gpt2_row){.seq = (uint32_t)sequences[i],
                                       .pos = s->s.length[sequences[i]],
                                       .token = tokens[i],
                                       .logits = true};
    }
    return OK;
}

int lookat_step_each(lookat_session *session, const size_t *sequences, const int32_t *tokens,
                     size_t n, lookat_error *error) {
    struct err e = {0}, other;
    int rc = plan_each(session, sequences, tokens, n, &e);
    if (rc) return pass_on(error, rc, &e);
    size_t V = session->s.w->config.n_vocab;
    threads_set(session->threads);
    rc = gpt2_forward(&session->s, session->rows, n, session->each, &e);
    for (size_t i = 0; i < n && !rc; i++) {
        tokens_of(session, sequences[i])[session->rows[i].pos] = tokens[i];
        memcpy(logits_of(session, sequences[i]), session->each + i * V, V * sizeof(float));
    }
    for (size_t i = 0, failed = rc != 0; i < n && !failed; i++)
        if (keep_logits(session, sequences[i], rc ? &other : &e)) rc = ERR_FAILED;
    return pass_on(error, rc, &e);
}

const float *lookat_logits(const lookat_session *session, size_t sequence) {
    return has_sequence(session, sequence) && session->has[sequence] ? logits_of(session, sequence)
                                                                     : NULL;
}

size_t lookat_length(const lookat_session *session, size_t sequence) {
    return has_sequence(session, sequence) ? session->s.length[sequence] : 0;
}

const int32_t *lookat_tokens(const lookat_session *session, size_t sequence) {
    return has_sequence(session, sequence) ? tokens_of(session, sequence) : NULL;
}

static int check_first(const lookat_session *s, size_t sequence, size_t n, struct err *e) {
    int rc = check_sequence(s, sequence, e);
    if (rc || n <= s->s.length[sequence]) return rc;
    return err_set(e, ERR_USAGE, "sequence %zu holds %zu tokens, and %zu of them were asked for",
                   sequence, (size_t)s->s.length[sequence], n);
}

int lookat_truncate(lookat_session *session, size_t sequence, size_t n, lookat_error *error) {
    struct err e = {0};
    int rc = check_first(session, sequence, n, &e);
    if (rc || n == session->s.length[sequence]) return pass_on(error, rc, &e);
    gpt2_rewind(&session->s, (uint32_t)sequence, (uint32_t)n);
    session->has[sequence] = 0;
    return LOOKAT_OK;
}

int lookat_fork(lookat_session *session, size_t to, size_t from, size_t n, lookat_error *error) {
    struct err e = {0};
    int rc = check_first(session, from, n, &e);
    if (!rc) rc = check_sequence(session, to, &e);
    if (rc) return pass_on(error, rc, &e);
    if (to == from) return lookat_truncate(session, to, n, error);
    bool all = n == session->s.length[from] && session->has[from];
    gpt2_fork(&session->s, (uint32_t)to, (uint32_t)from, (uint32_t)n);
    memcpy(tokens_of(session, to), tokens_of(session, from), n * sizeof(int32_t));
    if (all)
        memcpy(logits_of(session, to), logits_of(session, from),
               session->s.w->config.n_vocab * sizeof(float));
    session->has[to] = all;
    return LOOKAT_OK;
}

void lookat_session_counters(const lookat_session *session, lookat_counters *counters) {
    if (!counters) return;
    *counters = (lookat_counters){0};
    if (!session) return;
    const struct gpt2_session *s = &session->s;
    struct attn_counters all = {0};
    size_t token = attn_value_bytes_per_token(&s->attn) + attn_copy_bytes_per_token(&s->attn);
    for (size_t l = 0; l < s->w->config.n_layer; l++) attn_counters_add(&all, &s->counters[l]);
    struct account account = account_split(&all, session->codebooks);
    counters->streamed = account.streamed;
    counters->at_hand = account.at_hand;
    for (size_t i = 0; i < s->n_seq; i++)
        counters->stored += attn_key_bytes(&s->attn, s->length[i]) + s->length[i] * token;
}

/* ---- sampling ---- */

lookat_sampling lookat_sampling_default(void) {
    return (lookat_sampling){.temperature = 0.8,
                             .top_k = 40,
                             .top_p = 0.95,
                             .min_p = 0.05,
                             .repeat_penalty = 1,
                             .repeat_last = 64,
                             .banned = -1};
}

static int check_sampling(const lookat_sampling *y, struct err *e) {
    const char *what = !(y->temperature >= 0 && y->temperature <= 100)            ? "temperature"
                       : y->top_k < 0                                             ? "top_k"
                       : !(y->top_p >= 0 && y->top_p <= 1)                        ? "top_p"
                       : !(y->min_p >= 0 && y->min_p <= 1)                        ? "min_p"
                       : !(y->repeat_penalty >= 0.01 && y->repeat_penalty <= 100) ? "repeat_penalty"
                       : y->repeat_last < -1                                      ? "repeat_last"
                                                                                  : NULL;
    return what ? err_set(e, ERR_USAGE, "lookat_sampler_open: %s is out of its range", what) : OK;
}

int lookat_sampler_open(lookat_sampler **sampler, const lookat_model *model,
                        const lookat_sampling *sampling, lookat_error *error) {
    struct err e = {0};
    const lookat_sampling usual = lookat_sampling_default(), *y = sampling ? sampling : &usual;
    if (sampler) *sampler = NULL;
    int rc = sampler && model ? check_sampling(y, &e)
                              : err_set(&e, ERR_USAGE, "lookat_sampler_open: NULL was given");
    if (rc) return pass_on(error, rc, &e);
    const struct sampler_params p = {.temp = y->temperature,
                                     .top_k = y->top_k,
                                     .top_p = y->top_p,
                                     .min_p = y->min_p,
                                     .repeat_penalty = y->repeat_penalty,
                                     .repeat_last_n = y->repeat_last,
                                     .never = model->g.never};
    struct lookat_sampler *s = calloc(1, sizeof *s);
    if (!s || !sampler_init(&s->s, &p, model->g.model.weights.config.n_vocab, &s->arena)) {
        if (s) arena_free(&s->arena);
        free(s);
        return pass_on(error, no_memory(&e, "sampler"), &e);
    }
    s->banned = y->banned;
    rng_seed(&s->rng, y->seed, y->stream);
    *sampler = s;
    return LOOKAT_OK;
}

void lookat_sampler_close(lookat_sampler *sampler) {
    if (!sampler) return;
    arena_free(&sampler->arena);
    free(sampler);
}

int32_t lookat_sample(lookat_sampler *sampler, const lookat_session *session, size_t sequence) {
    const float *logits = lookat_logits(session, sequence);
    if (!sampler || !logits || sampler->s.n_vocab != session->s.w->config.n_vocab) return -1;
    return sampler_next(&sampler->s, &sampler->rng, logits, lookat_tokens(session, sequence),
                        lookat_length(session, sequence), sampler->banned);
}
