/* A file with codebooks; what can be read is used: keys and values stored and scored with each of
 * its settings. */
#include "fuzz.h"

#include "attention/backend.h"
#include "attention/book_word.h"

enum { ROWS = 5 };

static void use(const struct book *b, const char *spec) {
    const struct attn_shape shape = {b->n_layer, b->n_head, b->head_dim, 8};
    size_t width = b->n_head * b->head_dim;
    const struct kernels *k = kernels_at(0);
    struct attn attn;
    struct err e = {0};
    if (b->n_layer > 4 || width > 256) return;
    int rc = attn_init(&attn, &shape, spec, b, k, &e);
    fuzz_allow(rc, &e);
    if (rc) return;
    struct arena a = {0};
    void *state = arena_zalloc(&a, attn_state_bytes(&attn), 1),
         *scratch = arena_zalloc(&a, attn_scratch_bytes(&attn, 1), 1);
    float *rows = arena_alloc(&a, ROWS * width, sizeof *rows),
          *out = arena_zalloc(&a, width, sizeof *out);
    struct attn_counters counters = {0};
    attn.center = arena_zalloc(&a, b->n_layer * width, sizeof(float));
    for (size_t i = 0; i < ROWS * width; i++) rows[i] = (float)(i * 7919 % 2001) / 1000 - 1;
    attn_clear(&attn, state);
    attn_append(&attn, state, 0, 0, ROWS, rows, rows, width);
    struct attn_query q = {.state = state,
                           .pos = ROWS - 1,
                           .n = 1,
                           .q = rows,
                           .out = out,
                           .q_stride = width,
                           .out_stride = width};
    attn_attend(&attn, 0, &q, 1, scratch, &counters, NULL);
    arena_free(&a);
    attn_free(&attn);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct book b;
    struct err e = {0};
    bool found = false;
    int rc = book_open(&b, fuzz_file("book.gguf", data, size), &found, &e);
    fuzz_allow(rc, &e);
    if (rc) return 0;
    for (size_t i = 0; i < b.n; i++) {
        const struct codebook *y = &b.books[i];
        const char *shape = y->values ? "fp16/pq:m=%zu,k=%zu%s" : "lookat:m=%zu,k=%zu%s";
        char spec[64];
        snprintf(spec, sizeof spec, shape, y->m, y->k, y->uneven ? ",uneven" : "");
        use(&b, spec);
        snprintf(spec, sizeof spec, shape, y->m, y->k, y->learned ? "" : ",plain");
        use(&b, spec);
    }
    for (size_t i = 0; i < BOOK_WORDS; i++)
        if (b.words[i]) use(&b, book_word_name((enum book_word)i));
    book_close(&b);
    return 0;
}
