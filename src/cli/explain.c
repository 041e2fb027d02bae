/* lookat explain: LOOKAT worked through on four-dimensional keys, with the code that runs on real
 * ones. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "attention/backend.h"
#include "attention/book.h"
#include "calibration/kmeans.h"
#include "cli/command.h"
#include "cli/explain_text.h"

enum { D = 4, M = 2, K = 4, N = 8, SUB = D / M };

/* Eight keys whose halves gather around four places, and one query. */
static const float keys[N][D] = {
    {1.0f, 0.1f, 0.0f, 1.1f},   {0.9f, -0.1f, 1.0f, 0.0f},  {-1.0f, 0.2f, 0.1f, 0.9f},
    {0.1f, 1.0f, -1.1f, 0.1f},  {1.1f, 0.0f, -0.9f, -0.1f}, {0.0f, 0.9f, 0.9f, -0.1f},
    {-0.9f, 0.0f, 0.0f, -1.0f}, {0.1f, -1.1f, 0.1f, -0.9f},
};
static const float query[D] = {0.8f, -0.4f, 0.5f, 1.0f};

static void row(const char *what, const float *x, size_t n) {
    printf("  %-10s", what);
    for (size_t i = 0; i < n; i++) printf(" %6.2f", (double)x[i]);
    putchar('\n');
}

/* Learns the codebook of the keys and puts it into a book, as calibrate does. */
static int learn(const struct kernels *k, struct book *b, struct err *e) {
    uint16_t *centroids = arena_alloc(&b->arena, M * SUB * K, sizeof *centroids);
    void *work = arena_alloc(&b->arena, kmeans_work_bytes(N, SUB, K), 1);
    b->books = arena_alloc(&b->arena, 1, sizeof *b->books);
    if (!centroids || !work || !b->books) return err_set(e, ERR_FAILED, "out of memory");
    for (size_t j = 0; j < M; j++) {
        float found[SUB][K];
        struct kmeans_points half = {.x = keys[0] + j * SUB, .stride = D, .n = N, .d = SUB};
        struct kmeans_result r = kmeans(k, &half, K, 1, j, found[0], work);
        printf(
            "  subspace %zu, dimensions %zu and %zu (squared error %.3f after %zu iterations):\n",
            j, j * SUB, j * SUB + 1, r.inertia, r.iterations);
        for (size_t c = 0; c < K; c++) {
            printf("    code %zu  ->  (%5.2f, %5.2f)\n", c, (double)found[0][c],
                   (double)found[1][c]);
            for (size_t d = 0; d < SUB; d++)
                centroids[(j * SUB + d) * K + c] = f32_to_f16(found[d][c]);
        }
    }
    b->books[0] = (struct codebook){.m = M, .k = K, .centroids = centroids};
    b->n = b->n_layer = b->n_head = 1;
    b->head_dim = D;
    b->path = "explain";
    return OK;
}

/* A timeline's first block: [M][KV_BLOCK_MAX] */
static int code_of(const uint8_t *codes, size_t key, size_t subspace) {
    return codes[subspace * KV_BLOCK_MAX + key];
}

static void show_codes(const uint8_t *codes, const float decoded[N][D]) {
    printf("\n2. Each key is stored as %d codes, the nearest centroid in each subspace: %d bytes, "
           "where FP16 takes %d.\n\n",
           M, M, 2 * D);
    for (size_t i = 0; i < N; i++) {
        printf("  key %zu    (%5.2f, %5.2f | %5.2f, %5.2f)  ->  codes", i, (double)keys[i][0],
               (double)keys[i][1], (double)keys[i][2], (double)keys[i][3]);
        for (size_t j = 0; j < M; j++) printf(" %d", code_of(codes, i, j));
        printf("  =  (%5.2f, %5.2f | %5.2f, %5.2f)\n", (double)decoded[i][0], (double)decoded[i][1],
               (double)decoded[i][2], (double)decoded[i][3]);
    }
}

static void softmax(double *p, const double *s) {
    double best = -INFINITY, z = 0;
    for (size_t i = 0; i < N; i++) best = fmax(best, s[i]);
    for (size_t i = 0; i < N; i++) z += p[i] = exp(s[i] - best);
    for (size_t i = 0; i < N; i++) p[i] /= z;
}

static void show_scores(const uint8_t *codes, const float *table, const float *scores) {
    double exact[N], looked_up[N], p[N], q[N];
    printf("\n4. A score is a sum of %d looked-up numbers, divided by sqrt(%d): no key is put "
           "together again.\n\n",
           M, D);
    printf("  key   looked up               score   exact q.k   weight   exact weight\n");
    for (size_t i = 0; i < N; i++) {
        exact[i] = 0;
        for (size_t d = 0; d < D; d++) exact[i] += (double)query[d] * keys[i][d] / sqrt(D);
        looked_up[i] = scores[i] / sqrt(D);
    }
    softmax(p, exact);
    softmax(q, looked_up);
    for (size_t i = 0; i < N; i++) {
        int c0 = code_of(codes, i, 0), c1 = code_of(codes, i, 1);
        printf("  %zu     T0[%d] + T1[%d] = %5.2f   %7.3f   %9.3f   %6.3f   %12.3f\n", i, c0, c1,
               (double)(table[c0] + table[K + c1]), looked_up[i], exact[i], q[i], p[i]);
    }
}

static int explain(const struct kernels *k, struct book *b, struct err *e) {
    printf("LOOKAT by hand: %d keys of D = %d, M = %d subspaces, K = %d centroids each.\n\n", N, D,
           M, K);
    printf("1. Calibration: k-means in each subspace finds the codebook.\n\n");
    int rc = learn(k, b, e);
    if (rc) return rc;

    struct attn a;
    struct attn_shape shape = {1, 1, D, N};
    rc = attn_init(&a, &shape, "lookat:m=2,k=4,table=32/fp32", b, k, e);
    if (rc) return rc;
    struct codec_head h = {.kn = k, .codec = &a.layers[0].key, .head_dim = D};
    _Alignas(64) uint8_t codes[KV_BLOCK_MAX * M];
    float decoded[N][D], table[64], scores[KV_BLOCK_MAX];
    struct attn_counters read = {0};
    h.codec->ops->store(&h, codes, 0, keys[0], D, N);
    h.codec->ops->decode(&h, decoded[0], codes, 0, N);
    show_codes(codes, (const float(*)[D])decoded);

    printf("\n3. A query comes. Its product with every centroid is computed once: the lookup "
           "tables.\n\n");
    h.codec->ops->prepare(&h, table, query, &read);
    row("query", query, D);
    row("table T0", table, K);
    row("table T1", table + K, K);

    h.codec->ops->score(&h, table, scores, codes, N, &read);
    show_scores(codes, table, scores);

    printf("\nRead for this query: %llu bytes of codes, %llu of codebooks, %llu of tables; FP16 "
           "keys would be %d bytes.\n"
           "The tables cost K D = %d multiply-adds whatever the number of keys, as much as scoring "
           "%d keys exactly: LOOKAT pays for long contexts.\n"
           "With D = 64, K = 256 and M = 4 a key is 4 bytes of FP16's 128, and the tables cost as "
           "much as 256 keys.\n",
           (unsigned long long)read.keys, (unsigned long long)read.codebooks,
           (unsigned long long)read.tables, N * D * 2, K * D, K);
    attn_free(&a);
    return OK;
}

static int run(const struct args *args, struct err *e) {
    const struct kernels *k;
    struct book b = {0};
    if (args->prompt) return explain_text(args, e);
    static const char *const of_text[] = {"model", "tokenizer", "layer",   "head", "attn",
                                          "book",  "kernels",   "threads", "html", "output"};
    for (size_t i = 0; i < sizeof of_text / sizeof *of_text; i++)
        if (args_given(args, of_text[i]))
            return err_set(e, ERR_USAGE,
                           "explain: --%s is of a text, -p TEXT; the example on paper has none",
                           of_text[i]);
    int rc = kernels_get(&k, "scalar", e);
    if (!rc) rc = explain(k, &b, e);
    arena_free(&b.arena);
    return rc;
}

const struct command explain_command = {
    .id = CMD_EXPLAIN,
    .summary = "work LOOKAT through on four dimensions, or on your own text",
    .usage = "\n-p TEXT [OPTION]...",
    .about = "Works product-quantised attention through on eight small keys, with the same "
             "functions that generate uses: codebook, codes, lookup "
             "tables, scores, and the exact scores beside them. With -p TEXT the same "
             "steps on the real model: the query of the text's last token, the codes and tables "
             "of a head, scores and weights of each token, and how far off the output is.",
    .examples =
        "lookat explain\tthe whole method on one page\n"
        "lookat explain -p \"Once upon a time there was a\"\tthe same on your own text\n"
        "lookat explain -p \"Once upon a time\" -o json\tevery number of it, for a program\n"
        "lookat explain -p \"Lily and Tom went to the\" --attn int4 --layer 3\tanother "
        "backend, where it is worst\n",
    .max_args = 0,
    .run = run,
};
