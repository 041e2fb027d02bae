/* Writes a GPT-2 model as GGUF, with the keys and names that llama.cpp expects (gguf-py's constants
 * for the architecture gpt2). */
#include <stdio.h>
#include <string.h>

#include "base/interrupt.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/gguf.h"
#include "checkpoint/tensors.h"
#include "checkpoint/vocab.h"

struct item {
    struct gpt2_tensor t;
    enum dtype type; /* in the file */
};

struct saver {
    struct gguf_writer w;
    struct out_file out;
    const struct kernels *k;
    struct item *items; /* [n] in the file's order */
    size_t n;
    enum dtype type;
    const struct gguf_extra *extra; /* or NULL */
    float *row;                     /* [widest row] */
    uint8_t *packed;                /* its bytes in the file */
    uint64_t done, total;           /* bytes of tensors */
};

/* ---- what to write ---- */

static struct matrix stored(const struct item *it) {
    return (struct matrix){NULL, it->type, it->t.m.rows, it->t.m.cols};
}

/* The type that tensor i is asked for in. */
static enum dtype wanted_type(const struct saver *s, size_t i) {
    const struct gpt2_tensor *t = &s->items[i].t;
    if (t->vector || t->positions) return DTYPE_F32;
    if (s->extra && s->extra->types) return s->extra->types[i];
    return s->type == GGUF_SAME_TYPES ? t->m.type : s->type;
}

/* Matrices that do not get the type that they are asked for in. */
struct others {
    size_t n;
    float most;                  /* the largest magnitude in them */
    char names[3 * TENSOR_NAME]; /* of the first ones */
    enum dtype type;             /* that the first should have had */
};

static void add_other(struct others *o, const char *name, enum dtype wanted) {
    const size_t at = strlen(o->names), room = sizeof o->names - at;
    if (o->n++ == 0) o->type = wanted;
    if (strlen(name) + 8 < room)
        snprintf(o->names + at, room, "%s%s", at ? ", " : "", name);
    else if (!strstr(o->names, ", ..."))
        snprintf(o->names + at, room, ", ...");
}

/* Looks at the numbers: none may be infinite or no number, and those beyond the range of their type
 * get a wider one. */
static int check_numbers(struct saver *s, struct item *it, struct others *w, struct err *e) {
    struct tensor_range r;
    char said[TENSOR_SAID];
    if (interrupt_pending())
        return err_file(e, ERR_INTERRUPTED, s->out.path, "interrupted, nothing was written");
    tensor_range(s->k, &it->t.m, s->row, &r);
    if (r.bad) {
        tensor_say_bad(&it->t, &r, said);
        return err_file(e, ERR_REFUSED,
                        s->extra && s->extra->source ? s->extra->source : s->out.path,
                        "tensor %s; lookat info --check-weights lists all", said);
    }
    if (dtype_holds(it->type, r.most)) return OK;
    add_other(w, it->t.shown, it->type);
    w->most = r.most > w->most ? r.most : w->most;
    it->type = DTYPE_F32;
    return OK;
}

static void warn_widened(const struct saver *s, const struct others *w) {
    struct err text;
    if (!w->n || !s->extra || !s->extra->warn) return;
    err_set(&text, OK, "%zu %s beyond the range of %s (up to %g) and %s as f32: %s", w->n,
            w->n == 1 ? "matrix holds numbers" : "matrices hold numbers", dtype_name(w->type),
            (double)w->most, w->n == 1 ? "is kept" : "are kept", w->names);
    s->extra->warn(text.msg);
}

/* Rows that do not come out even in the blocks of their type. */
static void warn_uneven(const struct saver *s, const struct others *o) {
    struct err text;
    if (!o->n || !s->extra || !s->extra->warn) return;
    err_set(&text, OK, "the rows of %zu %s of a block of %zu numbers (%s): %s", o->n,
            o->n == 1 ? "matrix are no multiple" : "matrices are no multiple", dtype_block(o->type),
            dtype_name(o->type), o->names);
    s->extra->warn(text.msg);
}

/* Gives every item its type, as long as that can hold the numbers. */
static void choose_types(struct saver *s) {
    struct others uneven = {.n = 0};
    for (size_t i = 0; i < s->n; i++) {
        struct item *it = &s->items[i];
        const enum dtype wanted = wanted_type(s, i);
        char said[TENSOR_NAME + 16];
        it->type = dtype_for_rows(wanted, it->t.m.cols);
        if (it->type == wanted) continue;
        snprintf(said, sizeof said, "%s becomes %s", it->t.shown, dtype_name(it->type));
        add_other(&uneven, said, wanted);
    }
    warn_uneven(s, &uneven);
}

/* Lists all tensors and makes room to convert their rows. */
static int list_items(struct saver *s, const struct gpt2_weights *w, struct err *e) {
    size_t cols = 1;
    s->n = gpt2_tensors(w);
    s->items = arena_alloc(&s->w.arena, s->n, sizeof *s->items);
    if (!s->items) return err_file(e, ERR_FAILED, s->out.path, "no memory for the list of tensors");
    for (size_t i = 0; i < s->n; i++) {
        struct item *it = &s->items[i];
        gpt2_tensor(w, i, &it->t);
        cols = it->t.m.cols > cols ? it->t.m.cols : cols;
    }
    s->row = arena_alloc(&s->w.arena, cols, sizeof *s->row);
    s->packed = arena_alloc(&s->w.arena, cols, sizeof(float)); /* no type is wider than float32 */
    if (!s->row || !s->packed)
        return err_file(e, ERR_FAILED, s->out.path, "no memory for a row of %zu numbers", cols);
    return OK;
}

static int plan(struct saver *s, const struct gpt2_weights *w, struct err *e) {
    struct others wide = {.n = 0};
    int rc = list_items(s, w, e);
    if (!rc) choose_types(s);
    for (size_t i = 0; !rc && i < s->n; i++) {
        rc = check_numbers(s, &s->items[i], &wide, e);
        struct matrix m = stored(&s->items[i]);
        s->total += matrix_bytes(&m);
    }
    if (!rc) warn_widened(s, &wide);
    return rc;
}

/* ---- keys ---- */

static void add_text(struct gguf_writer *w, const char *key, const char *s) {
    gguf_add_string(w, key, s, strlen(s));
}

/* llama.cpp's llama_ftype: the number of "mostly" this type. Q4_K has one number alone and another
 * one in a mixture. */
static uint32_t file_type(enum dtype type, bool mixed) {
    switch (type) {
    case DTYPE_Q4_K: return mixed ? 15 : 14;
    case DTYPE_Q6_K: return 18;
    case DTYPE_F32: return 0;
    case DTYPE_Q4_0: return 2;
    case DTYPE_Q8_0: return 7;
    case DTYPE_BF16: return 32;
    default: return 1;
    }
}

static void add_field(struct gguf_writer *w, const struct config_field *f,
                      const struct gpt2_config *c) {
    if (f->kind == CONFIG_SIZE) {
        gguf_add_u32(w, f->gguf, (uint32_t)config_size(c, f));
        return;
    }
    const double x = config_real(c, f);
    if (f->gguf_optional && x == (double)(float)f->absent) return;
    if (f->kind == CONFIG_REAL)
        gguf_add_f32(w, f->gguf, (float)x);
    else if (f->kind == CONFIG_SWITCH)
        gguf_add_bool(w, f->gguf, x > 0);
    else
        add_text(w, f->gguf, f->choices[(size_t)x]);
}

static void add_model_keys(struct gguf_writer *w, const struct gpt2_config *c, const char *name,
                           enum dtype type, bool mixed) {
    const struct config_field *f;
    add_text(w, "general.architecture", "gpt2");
    add_text(w, "general.name", name);
    gguf_add_u32(w, "general.file_type", file_type(type, mixed));
    if (dtype_block(type) > 1) gguf_add_u32(w, "general.quantization_version", 2);
    for (int place = 1; (f = config_gguf_field(place)); place++) add_field(w, f, c);
}

/* The spellings of a list of tokens or merges, one after another. */
struct spellings {
    uint8_t *bytes;
    size_t *offset; /* [n + 1] */
    size_t n;
};

static bool spellings_init(struct spellings *s, size_t n, size_t room, struct arena *a) {
    s->n = 0;
    s->bytes = arena_alloc(a, room + 1, 1);
    s->offset = arena_zalloc(a, n + 1, sizeof *s->offset);
    return s->bytes && s->offset;
}

/* The vocabulary as it goes into the file: a token for each row of the embedding, as other programs
 * want it. */
struct listing {
    const struct vocab *v;
    uint32_t n, known; /* rows; those of them that have a token, the first ones */
};

/* A merge all of whose tokens have a row: the others cannot be told. */
static bool is_told(const struct listing *l, const struct vocab_merge *m) {
    return m->left < l->known && m->right < l->known && m->merged < l->known;
}

/* llama.cpp's types: 1 normal, 3 control, 4 user-defined, 5 unused. A normal token that texts are
 * searched for gets the type that makes other programs search for it too. */
static int32_t token_type(const struct listing *l, uint32_t id) {
    static const int32_t types[] = {[TOKEN_NORMAL] = 1,
                                    [TOKEN_CONTROL] = 3,
                                    [TOKEN_ADDED] = 4,
                                    [TOKEN_UNUSED] = 5,
                                    [TOKEN_PADDING] = 5};
    if (id >= l->known) return 5;
    if (l->v->kind[id] == TOKEN_NORMAL && l->v->match[id])
        return l->v->match[id] & MATCH_SPECIAL ? 3 : 4;
    return types[l->v->kind[id]];
}

/* What the type alone tells a reader of how a text is searched for the token. */
static int32_t match_of_type(int32_t type) {
    return type == 3 ? MATCH_SPECIAL : type == 4 ? MATCH_TEXT : 0;
}

/* Appends token id to the item that is being spelled, as it stands in files: those that are not
 * normal as they are. */
static void spell_token(struct spellings *s, size_t *at, const struct vocab *v, uint32_t id) {
    const uint8_t *bytes = v->bytes + v->offset[id];
    size_t n = v->offset[id + 1] - v->offset[id];
    if (v->kind[id] != TOKEN_NORMAL) {
        memcpy(s->bytes + *at, bytes, n);
        *at += n;
    } else
        *at += vocab_spell(bytes, n, (char *)s->bytes + *at);
}

/* Rows without a token are called [PADn], as llama.cpp's converter does. */
static bool spell_tokens(struct spellings *s, const struct listing *l, struct arena *a) {
    enum { PAD_ROOM = 20 };
    const struct vocab *v = l->v;
    if (!spellings_init(s, l->n,
                        2 * (size_t)v->offset[l->known] + PAD_ROOM * (size_t)(l->n - l->known), a))
        return false;
    size_t at = 0;
    for (uint32_t id = 0; id < l->n; id++) {
        if (id < l->known)
            spell_token(s, &at, v, id);
        else
            at += (size_t)snprintf((char *)s->bytes + at, PAD_ROOM, "[PAD%lu]", (unsigned long)id);
        s->offset[++s->n] = at;
    }
    return true;
}

static bool spell_merges(struct spellings *s, const struct listing *l, struct arena *a) {
    const struct vocab *v = l->v;
    size_t room = 0, at = 0;
    for (uint32_t i = 0; i < v->n_merges; i++)
        room +=
            1 + 2 * (size_t)(v->offset[v->merges[i].merged + 1] - v->offset[v->merges[i].merged]);
    if (!spellings_init(s, v->n_merges, room, a)) return false;
    for (uint32_t i = 0; i < v->n_merges; i++) {
        if (!is_told(l, &v->merges[i])) continue;
        spell_token(s, &at, v, v->merges[i].left);
        s->bytes[at++] = ' ';
        spell_token(s, &at, v, v->merges[i].right);
        s->offset[++s->n] = at;
    }
    return true;
}

/* How a text is searched, cut and merged, as far as GGUF has no words for it. */
static void add_rule_keys(struct gguf_writer *w, const struct listing *l, const int32_t *types,
                          int32_t *matches) {
    const struct vocab *v = l->v;
    bool told = true;
    for (uint32_t id = 0; id < l->n; id++) {
        matches[id] = id < l->known ? v->match[id] : 0;
        told = told && matches[id] == match_of_type(types[id]);
    }
    if (!told) gguf_add_i32s(w, GGUF_TOKEN_MATCH, matches, l->n);
    if (v->whole_text) gguf_add_bool(w, GGUF_USE_REGEX, false);
    if (v->ignore_merges) gguf_add_bool(w, GGUF_IGNORE_MERGES, true);
}

static int add_vocab_keys(struct saver *s, const struct vocab *v, size_t rows, struct err *e) {
    struct arena scratch = {0};
    struct spellings tokens, merges;
    struct listing l = {v, (uint32_t)rows, v->n < rows ? v->n : (uint32_t)rows};
    int32_t *types = arena_alloc(&scratch, rows, sizeof *types),
            *matches = arena_alloc(&scratch, rows, sizeof *matches);
    int rc = OK;
    if (types && matches && spell_tokens(&tokens, &l, &scratch) &&
        spell_merges(&merges, &l, &scratch)) {
        for (uint32_t id = 0; id < l.n; id++) types[id] = token_type(&l, id);
        add_text(&s->w, "tokenizer.ggml.model", "gpt2");
        add_text(&s->w, "tokenizer.ggml.pre", "gpt-2");
        gguf_add_strings(&s->w, "tokenizer.ggml.tokens", tokens.bytes, tokens.offset, tokens.n);
        gguf_add_i32s(&s->w, "tokenizer.ggml.token_type", types, l.n);
        gguf_add_strings(&s->w, "tokenizer.ggml.merges", merges.bytes, merges.offset, merges.n);
        if (v->bos >= 0 && (size_t)v->bos < rows)
            gguf_add_u32(&s->w, "tokenizer.ggml.bos_token_id", (uint32_t)v->bos);
        if (v->eos >= 0 && (size_t)v->eos < rows)
            gguf_add_u32(&s->w, "tokenizer.ggml.eos_token_id", (uint32_t)v->eos);
        if (v->add_bos) gguf_add_bool(&s->w, "tokenizer.ggml.add_bos_token", true);
        add_rule_keys(&s->w, &l, types, matches);
    } else
        rc = err_file(e, ERR_FAILED, s->out.path, "no memory for the vocabulary");
    arena_free(&scratch);
    return rc;
}

/* ---- data ---- */

static void announce(struct saver *s, const struct item *it) {
    struct matrix m = stored(it);
    const uint64_t dims[2] = {it->t.m.cols, it->t.m.rows};
    gguf_add_tensor(&s->w, it->t.name, it->t.vector ? 1 : 2, dims, it->type, matrix_bytes(&m));
}

static int write_tensor(struct saver *s, const struct item *it, struct err *e) {
    const struct matrix m = stored(it);
    const size_t from = matrix_row_bytes(&it->t.m), to = matrix_row_bytes(&m);
    for (size_t r = 0; r < it->t.m.rows; r++) {
        if (interrupt_pending())
            return err_file(e, ERR_INTERRUPTED, s->out.path, "interrupted, nothing was written");
        const void *row = (const uint8_t *)it->t.m.data + r * from;
        if (it->type != it->t.m.type) {
            matrix_row(s->k, &it->t.m, r, s->row);
            dtype_from_f32(it->type, s->packed, s->row, it->t.m.cols);
            row = s->packed;
        }
        int rc = gguf_write_data(&s->w, &s->out, row, to, e);
        if (rc) return rc;
        s->done += to;
    }
    int rc = gguf_write_end_tensor(&s->w, &s->out, e);
    if (!rc && s->extra) progress_tell(s->extra->progress, s->done, s->total);
    return rc;
}

static int save(struct saver *s, const struct gpt2_weights *w, const struct vocab *v,
                const char *name, struct err *e) {
    int rc = plan(s, w, e);
    if (rc) return rc;
    add_model_keys(&s->w, &w->config, name,
                   s->type == GGUF_SAME_TYPES ? w->layers[0].qkv.type : s->type,
                   s->extra && s->extra->types);
    if (v && v->n) rc = add_vocab_keys(s, v, w->config.n_vocab, e);
    if (s->extra && s->extra->add) s->extra->add(s->extra->ctx, &s->w);
    for (size_t i = 0; i < s->n; i++) announce(s, &s->items[i]);
    if (!rc) rc = gguf_write_header(&s->w, &s->out, e);
    for (size_t i = 0; !rc && i < s->n; i++) rc = write_tensor(s, &s->items[i], e);
    return rc;
}

int gguf_write_model(const char *path, bool force, const struct gpt2_weights *w,
                     const struct vocab *v, const char *name, enum dtype type,
                     const struct gguf_extra *extra, struct err *e) {
    struct saver s = {.type = type, .extra = extra};
    int rc = kernels_get(&s.k, NULL, e);
    if (!rc) rc = out_open(&s.out, path, force, e);
    if (rc) return rc;
    rc = save(&s, w, v, name, e);
    rc = rc ? rc : out_commit(&s.out, e);
    if (rc) out_abort(&s.out);
    gguf_writer_free(&s.w);
    return rc;
}
