/* Writes the state of a prompt to a file and reads it back. */
#include "model/state_file.h"

#include <math.h>
#include <string.h>

#include "attention/state_bytes.h"
#include "base/out_file.h"
#include "base/sha256.h"
#include "base/size.h"

static const char magic[8] = {'L', 'O', 'O', 'K', 'A', 'T', 'K', 'V'};
enum { VERSION = 1, HEX = 64, SUM = 32 };

/* Where the parts of the header lie. */
enum {
    AT_VERSION = 8,
    AT_BYTES = 16,
    AT_LAYERS = 24,
    AT_HEADS = 32,
    AT_HEAD_DIM = 40,
    AT_CONTEXT = 48,
    AT_VOCABULARY = 56,
    AT_TOKENS = 64,
    AT_TAKE_BACK = 72,
    AT_SPEC = 80,
    AT_ROWS = 88,
    AT_FINGERPRINT = 96,
    AT_CODEBOOKS = 160,
    AT_MATRICES = 224,
    HEADER = 232
};

static void put(uint8_t *header, size_t at, uint64_t x) {
    for (size_t i = 0; i < 8; i++) header[at + i] = (uint8_t)(x >> 8 * i);
}

static uint64_t get(const uint8_t *header, size_t at) {
    uint64_t x = 0;
    for (size_t i = 8; i-- > 0;) x = x << 8 | header[at + i];
    return x;
}

/* The SHA-256 of data[n] as 32 bytes. */
static void checksum(const struct sha256 *sum, uint8_t out[SUM]) {
    struct sha256 copy = *sum;
    char hex[HEX + 1];
    sha256_hex(&copy, hex);
    for (size_t i = 0; i < SUM; i++) {
        unsigned x = 0;
        for (size_t j = 0; j < 2; j++) {
            char c = hex[2 * i + j];
            x = 16 * x + (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
        }
        out[i] = (uint8_t)x;
    }
}

/* ---- reading ---- */

static int refuse(const struct state_file *f, const char *why, struct err *e) {
    return err_file(e, ERR_REFUSED, f->file.path, "%s", why);
}

/* Reads a number of the header that is at least `least` and at most `most`. */
static int read_number(const struct state_file *f, size_t at, const char *what, uint64_t least,
                       uint64_t most, struct err *e) {
    uint64_t x = get(f->file.data, at);
    return x >= least && x <= most
               ? OK
               : err_file(e, ERR_REFUSED, f->file.path, "%s is %llu, expected %llu to %llu", what,
                          (unsigned long long)x, (unsigned long long)least,
                          (unsigned long long)most);
}

/* Checks the numbers of the header against each other and against the size of the file. */
static int read_header(struct state_file *f, struct err *e) {
    const uint8_t *h = f->file.data;
    size_t size = f->file.size;
    enum { LAYERS = 1 << 20, SIZES = 1 << 24 }; /* as gpt2_config_check has them */
    if (size < sizeof magic || memcmp(h, magic, sizeof magic) != 0)
        return refuse(f, "is no state of a prompt: it does not begin with LOOKATKV", e);
    if (size < HEADER + SUM)
        return err_file(e, ERR_REFUSED, f->file.path,
                        "is cut short: %zu bytes, expected at least %d", size, HEADER + SUM);
    int rc = read_number(f, AT_VERSION, "its version", VERSION, VERSION, e);
    if (!rc && get(h, AT_BYTES) != size)
        rc = err_file(e, ERR_REFUSED, f->file.path,
                      "has %zu bytes, expected the %llu it was written with", size,
                      (unsigned long long)get(h, AT_BYTES));
    if (!rc) rc = read_number(f, AT_LAYERS, "the number of layers", 1, LAYERS, e);
    if (!rc) rc = read_number(f, AT_HEADS, "the number of heads", 1, SIZES, e);
    if (!rc) rc = read_number(f, AT_HEAD_DIM, "the numbers of a head", 1, SIZES, e);
    if (!rc) rc = read_number(f, AT_CONTEXT, "the context", 1, LAYERS, e);
    if (!rc) rc = read_number(f, AT_VOCABULARY, "the vocabulary", 1, SIZES, e);
    if (!rc) rc = read_number(f, AT_TOKENS, "the number of tokens", 1, get(h, AT_CONTEXT), e);
    if (!rc) rc = read_number(f, AT_TAKE_BACK, "the tokens to take back", 0, LAYERS, e);
    if (!rc) rc = read_number(f, AT_SPEC, "the length of the spec", 1, size, e);
    if (!rc) rc = read_number(f, AT_ROWS, "the length of the rows", 0, size, e);
    if (rc) return rc;
    uint64_t parts = HEADER + get(h, AT_SPEC) + 4 * get(h, AT_TOKENS) + 4 * get(h, AT_VOCABULARY) +
                     get(h, AT_ROWS) + SUM;
    return parts == size ? OK
                         : err_file(e, ERR_REFUSED, f->file.path,
                                    "has %zu bytes, expected %llu for its parts", size,
                                    (unsigned long long)parts);
}

static int check_sum(const struct state_file *f, struct err *e) {
    struct sha256 sum;
    uint8_t want[SUM];
    size_t n = f->file.size - SUM;
    sha256_init(&sum);
    sha256_add(&sum, f->file.data, n);
    checksum(&sum, want);
    return memcmp(want, f->file.data + n, SUM) == 0
               ? OK
               : refuse(f, "was changed or damaged: its checksum is another", e);
}

/* Copies spec, tokens and logits to where they are aligned, and checks what they can be. */
static int take_parts(struct state_file *f, struct err *e) {
    const uint8_t *h = f->file.data, *at = h + HEADER;
    size_t S = (size_t)get(h, AT_SPEC), V = (size_t)get(h, AT_VOCABULARY);
    f->n = (size_t)get(h, AT_TOKENS);
    char *spec = arena_copy(&f->arena, at, S);
    int32_t *tokens = arena_alloc(&f->arena, f->n, sizeof *tokens);
    float *logits = arena_alloc(&f->arena, V, sizeof *logits);
    if (!spec || !tokens || !logits)
        return err_file(e, ERR_FAILED, f->file.path, "out of memory for its tokens");
    at += S;
    memcpy(tokens, at, f->n * sizeof *tokens);
    at += f->n * sizeof *tokens;
    memcpy(logits, at, V * sizeof *logits);
    f->rows = at + V * sizeof *logits;
    for (size_t i = 0; i < f->n; i++)
        if (tokens[i] < 0 || (size_t)tokens[i] >= V)
            return err_file(e, ERR_REFUSED, f->file.path, "token %zu is %ld, expected 0 to %zu", i,
                            (long)tokens[i], V - 1);
    for (size_t i = 0; i < V; i++)
        if (!isfinite(logits[i])) return refuse(f, "a logit is not finite", e);
    f->attn = spec, f->tokens = tokens, f->logits = logits;
    return OK;
}

int state_file_open(struct state_file *f, const char *path, struct err *e) {
    *f = (struct state_file){0};
    int rc = file_map(&f->file, path, e);
    if (rc) return rc;
    rc = read_header(f, e);
    if (!rc) rc = check_sum(f, e);
    if (!rc) rc = take_parts(f, e);
    if (rc) {
        state_file_close(f);
        return rc;
    }
    static const int shape[] = {AT_LAYERS, AT_HEADS, AT_HEAD_DIM, AT_VOCABULARY, AT_TAKE_BACK};
    const uint8_t *h = f->file.data;
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++)
        f->shape[i] = (size_t)get(h, (size_t)shape[i]);
    f->n_ctx = (size_t)get(h, AT_CONTEXT);
    f->fingerprint = h + AT_FINGERPRINT;
    f->codebooks = h + AT_CODEBOOKS;
    f->matrices = get(h, AT_MATRICES);
    f->n_rows = (size_t)get(h, AT_ROWS);
    return OK;
}

void state_file_close(struct state_file *f) {
    file_unmap(&f->file);
    arena_free(&f->arena);
}

/* ---- what a state belongs to ---- */

/* Who may use a state. */
struct owner {
    char fingerprint[HEX + 1], codebooks[HEX + 1]; /* the latter [64] zeros without codebooks */
    uint64_t matrices;
};

static struct owner owner_of(const struct gpt2_session *s) {
    struct owner o = {.matrices = gpt2_matrices_hash(s->w)};
    gpt2_fingerprint(s->w, o.fingerprint);
    state_bytes_codebooks(&s->attn, o.codebooks);
    if (!o.codebooks[0]) memset(o.codebooks, 0, sizeof o.codebooks);
    return o;
}

static int check_model(const struct state_file *f, const struct gpt2_session *s,
                       const struct owner *o, struct err *e) {
    enum { SHOWN = 12 };
    const struct gpt2_config *c = &s->w->config;
    const size_t shape[] = {c->n_layer, c->n_head, c->n_embd / c->n_head, c->n_vocab};
    static const char *const names[] = {"layers", "heads", "numbers a head",
                                        "tokens of vocabulary"};
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++)
        if (f->shape[i] != shape[i])
            return err_file(e, ERR_REFUSED, f->file.path,
                            "is the state of another model, with %zu %s; expected %zu", f->shape[i],
                            names[i], shape[i]);
    if (memcmp(f->fingerprint, o->fingerprint, HEX) != 0)
        return err_file(e, ERR_REFUSED, f->file.path,
                        "is the state of another model: its fingerprint is %.*s..., expected "
                        "%.*s...",
                        SHOWN, (const char *)f->fingerprint, SHOWN, o->fingerprint);
    if (f->matrices != o->matrices)
        return refuse(f,
                      "is the state of a model with other weights, expected this one: a conversion "
                      "to another number type, or another training of it",
                      e);
    return OK;
}

static int check_session(const struct state_file *f, const struct gpt2_session *s, struct err *e) {
    struct owner o = owner_of(s);
    int rc = check_model(f, s, &o, e);
    if (rc) return rc;
    if (strcmp(f->attn, s->attn.name) != 0)
        return err_file(e, ERR_REFUSED, f->file.path, "was kept with --attn %.60s, expected %.60s",
                        f->attn, s->attn.name);
    if (memcmp(f->codebooks, o.codebooks, HEX) != 0)
        return refuse(f, "was kept with other codebooks, expected those of this run", e);
    if (f->n_ctx != s->attn.shape.n_ctx)
        return err_file(e, ERR_REFUSED, f->file.path,
                        "was kept in a context of %zu tokens (-c %zu), expected %zu", f->n_ctx,
                        f->n_ctx, s->attn.shape.n_ctx);
    if (f->shape[4] != s->take_back)
        return err_file(e, ERR_REFUSED, f->file.path,
                        "was kept so that %zu tokens can be taken back, expected %zu", f->shape[4],
                        s->take_back);
    size_t rows = state_bytes_size(&s->attn, f->n);
    return f->n_rows == rows ? OK
                             : err_file(e, ERR_REFUSED, f->file.path,
                                        "has %zu bytes of rows, expected %zu for %zu tokens",
                                        f->n_rows, rows, f->n);
}

int state_file_restore(const struct state_file *f, struct gpt2_session *s, struct err *e) {
    gpt2_rewind(s, 0, 0);
    int rc = check_session(f, s, e);
    if (rc) return rc;
    if (!state_bytes_read(&s->attn, s->state[0], f->n, f->rows))
        return refuse(f, "has rows that no backend writes, expected codes of the codebooks", e);
    s->length[0] = (uint32_t)f->n;
    return OK;
}

/* ---- writing ---- */

void state_file_begin(struct gpt2_session *s) { state_bytes_blank(&s->attn, s->state[0]); }

/* A file that is being written, and the sum of what was. */
struct writing {
    struct out_file out;
    struct sha256 sum;
};

static int write_part(struct writing *w, const void *data, size_t n, struct err *e) {
    sha256_add(&w->sum, data, n);
    return out_write(&w->out, data, n, e);
}

static void fill_header(uint8_t h[HEADER], const struct gpt2_session *s, size_t n, size_t rows) {
    const struct attn_shape *y = &s->attn.shape;
    const struct owner o = owner_of(s);
    size_t spec = strlen(s->attn.name), V = s->w->config.n_vocab;
    memset(h, 0, HEADER);
    memcpy(h, magic, sizeof magic);
    put(h, AT_VERSION, VERSION);
    put(h, AT_BYTES, HEADER + spec + 4 * n + 4 * V + rows + SUM);
    put(h, AT_LAYERS, y->n_layer);
    put(h, AT_HEADS, y->n_head);
    put(h, AT_HEAD_DIM, y->head_dim);
    put(h, AT_CONTEXT, y->n_ctx);
    put(h, AT_VOCABULARY, V);
    put(h, AT_TOKENS, n);
    put(h, AT_TAKE_BACK, s->take_back);
    put(h, AT_SPEC, spec);
    put(h, AT_ROWS, rows);
    memcpy(h + AT_FINGERPRINT, o.fingerprint, HEX);
    memcpy(h + AT_CODEBOOKS, o.codebooks, HEX);
    put(h, AT_MATRICES, o.matrices);
}

int state_file_save(const char *path, const struct gpt2_session *s, const int32_t *tokens,
                    const float *logits, struct err *e) {
    struct arena a = {0};
    size_t n = s->length[0], bytes = state_bytes_size(&s->attn, n);
    uint8_t header[HEADER], sum[SUM], *rows = arena_alloc(&a, bytes, 1);
    struct writing w;
    int rc = gpt2_check(s, 0, e);
    if (!rc && !rows) rc = err_file(e, ERR_FAILED, path, "out of memory for %zu bytes", bytes);
    if (!rc) rc = out_open(&w.out, path, true, e);
    if (rc) {
        arena_free(&a);
        return rc;
    }
    sha256_init(&w.sum);
    fill_header(header, s, n, bytes);
    state_bytes_write(&s->attn, s->state[0], n, rows);
    rc = write_part(&w, header, HEADER, e);
    if (!rc) rc = write_part(&w, s->attn.name, strlen(s->attn.name), e);
    if (!rc) rc = write_part(&w, tokens, n * sizeof *tokens, e);
    if (!rc) rc = write_part(&w, logits, s->w->config.n_vocab * sizeof *logits, e);
    if (!rc) rc = write_part(&w, rows, bytes, e);
    checksum(&w.sum, sum);
    if (!rc) rc = out_write(&w.out, sum, SUM, e);
    if (!rc)
        rc = out_commit(&w.out, e);
    else
        out_abort(&w.out);
    arena_free(&a);
    return rc;
}
