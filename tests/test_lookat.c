/* LOOKAT against float64 written apart: codes, tables and scores, k-means, and books as files. */
#include "attention/backend.h"
#include "attention/book_word.h"
#include "attention/spec.h"
#include "calibration/kmeans.h"
#include "calibration/learn.h"
#include "bad/bad.h"
#include "bad/folder.h"
#include "base/inputs.h"
#include "base/threads.h"
#include "random_book.h"
#include "test.h"

/* Points of `spread` around n_centers centers, which are `apart` from each other. */
static void blobs(float *x, size_t n, size_t d, size_t n_centers, double apart, double spread,
                  uint64_t seed) {
    struct rng r;
    rng_seed(&r, seed, 0);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < d; j++) {
            double center = apart * (double)((i % n_centers) >> (j % 6) & 1 ? 1 : -1) +
                            apart * (double)((i % n_centers) / 64);
            x[i * d + j] = (float)(center + spread * rng_normal(&r));
        }
}

static const struct kernels *each_set(size_t *i) {
    while (kernels_at(*i) && !kernels_at(*i)->supported()) ++*i;
    return kernels_at((*i)++);
}

/* ---- the codec ---- */

enum { H = 2, T = 70, MAX_D = 64 };
static float k_rows[T][H * MAX_D], v_rows[T][H * MAX_D], q_rows[T][H * MAX_D],
    out_rows[T][H * MAX_D], other_rows[T][H * MAX_D];

static void fill(size_t D, uint64_t seed) {
    struct rng r;
    rng_seed(&r, seed, 1);
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < H * D; i++) {
            k_rows[t][i] = (float)rng_normal(&r);
            v_rows[t][i] = (float)rng_normal(&r);
            q_rows[t][i] = (float)rng_normal(&r);
        }
}

/* The centroid nearest to a subvector, as float64 finds it; `gap`: by how much the second is
 * farther. */
static size_t nearest(const struct codebook *b, size_t D, size_t layer, size_t head, size_t part,
                      const float *x, double *gap) {
    size_t d = D / b->m, best = 0;
    double least = INFINITY, second = INFINITY;
    for (size_t c = 0; c < b->k; c++) {
        double sum = 0;
        for (size_t r = 0; r < d; r++) {
            double e = (double)x[r] -
                       (double)f16_to_f32(
                           b->centroids[((layer * H + head) * D + part * d + r) * b->k + c]);
            sum += e * e;
        }
        if (sum < least)
            second = least, least = sum, best = c;
        else if (sum < second)
            second = sum;
    }
    *gap = second - least;
    return best;
}

struct scores {
    size_t D, n;
    const struct codebook *book;
    uint8_t codes[H][T][32];
    double worst; /* |score - float64| over its bound */
    size_t table; /* bits of table entries */
};

/* What rounding the tables of a query may change a score by, in float64. */
static double table_error(const struct scores *s, size_t layer, size_t head, const float *q) {
    size_t M = s->book->m, K = s->book->k, d = s->D / M;
    double widest = 0, magnitude = 0;
    for (size_t j = 0; j < M && s->table < 32; j++) {
        double least = INFINITY, most = -INFINITY;
        for (size_t c = 0; c < K; c++) {
            double entry = 0;
            for (size_t r = 0; r < d; r++)
                entry += (double)q[j * d + r] *
                         (double)f16_to_f32(
                             s->book->centroids[((layer * H + head) * s->D + j * d + r) * K + c]);
            if (entry < least) least = entry;
            if (entry > most) most = entry;
        }
        widest = fmax(widest, most - least);
        magnitude += fmax(fabs(least), fabs(most));
    }
    return (double)M * widest / (exp2((double)s->table) - 1) * (0.5 + 0x1p-6) +
           (double)(M + 8) * 0x1p-24 * magnitude;
}

/* Scores of every query against float64 over the centroids that the codes name. */
static void check_scores(void *ctx, const struct attn_row *row) {
    struct scores *s = ctx;
    size_t layer = row->layer, head = row->head, n_keys = row->n_keys;
    const float *q = row->q, *scores = row->scores;
    size_t D = s->D, d = D / s->book->m;
    double rounding = s->table < 32 ? table_error(s, layer, head, q) : 0;
    for (size_t t = 0; t < n_keys; t++) {
        double sum = 0, size = 0;
        for (size_t i = 0; i < D; i++) {
            size_t at = ((layer * H + head) * D + i) * s->book->k + s->codes[head][t][i / d];
            double product = (double)q[i] * (double)f16_to_f32(s->book->centroids[at]);
            sum += product;
            size += fabs(product);
        }
        s->worst = fmax(s->worst, fabs((double)scores[t] - sum / sqrt((double)D)) /
                                      ((1e-6 * size + rounding) / sqrt((double)D)));
    }
    s->n += n_keys;
}

static void ask(const struct attn *a, void *state, size_t pos, size_t n, float out[][H * MAX_D],
                struct attn_counters *c, const struct attn_probe *probe) {
    void *scratch = aligned_alloc(64, (attn_scratch_bytes(a, threads_count()) + 63) / 64 * 64);
    struct attn_query item = {.state = state,
                              .pos = pos,
                              .n = n,
                              .q = q_rows[pos],
                              .out = out[pos],
                              .q_stride = H * MAX_D,
                              .out_stride = H * MAX_D};
    attn_attend(a, 1, &item, 1, scratch, c, probe);
    free(scratch);
}

static void one_setting(const struct kernels *k, const struct book *book, size_t D, size_t m,
                        size_t n_centroids, size_t table) {
    struct attn_shape shape = {2, H, D, T};
    struct attn a;
    struct err e;
    char spec[64];
    snprintf(spec, sizeof spec, "lookat:m=%zu,k=%zu,table=%zu/fp32", m, n_centroids, table);
    CHECK(attn_init(&a, &shape, spec, book, k, &e) == OK, "%s", e.msg);
    uint8_t *state = aligned_alloc(64, (attn_state_bytes(&a) + 63) / 64 * 64);
    attn_clear(&a, state);
    struct scores s = {
        .D = D, .book = book_find(book, m, n_centroids, CODEBOOK_PLAIN), .table = table};
    struct attn_probe probe = {&s, check_scores};
    attn_append(&a, state, 1, 0, T - 3, k_rows[0], v_rows[0], H * MAX_D);
    attn_append(&a, state, 1, T - 3, 3, k_rows[T - 3], v_rows[T - 3], H * MAX_D);

    size_t close = 0, row = n_centroids == 16 ? (m + 1) / 2 : m;
    CHECK(a.layers[1].keys[0].row == row, "%s: %zu bytes a key", spec, a.layers[1].keys[0].row);
    for (size_t h = 0; h < H; h++)
        for (size_t t = 0; t < T; t++)
            for (size_t j = 0; j < m; j++) {
                double gap;
                size_t byte = n_centroids == 16 ? j / 2 : j,
                       code = state[a.layers[1].keys[h].at + (t / 64 * row + byte) * 64 + t % 64];
                if (n_centroids == 16) code = code >> (j % 2 ? 4 : 0) & 15;
                size_t want = nearest(s.book, D, 1, h, j, &k_rows[t][h * D + j * (D / m)], &gap);
                s.codes[h][t][j] = (uint8_t)code;
                if (gap < 1e-5)
                    close++;
                else
                    CHECK(code == want,
                          "%s: head %zu, key %zu, subspace %zu: code %zu, expected %zu", spec, h, t,
                          j, code, want);
            }
    CHECK(100 * close < H * T * m, "%s: %zu of the codes are too close to tell", spec, close);

    struct attn_counters count = {0};
    ask(&a, state, 0, T, out_rows, &count, &probe);
    CHECK(s.n == H * T * (T + 1) / 2 && s.worst <= 1, "%s: a prompt's scores are off by %g", spec,
          s.worst);
    ask(&a, state, 0, T, out_rows, &count, NULL);
    for (size_t t = 0; t < T; t++) {
        struct attn_counters c = {0};
        size_t n = t + 1;
        ask(&a, state, t, 1, other_rows, &c, &probe);
        CHECK(c.keys == H * n * row && c.tables == H * n * m * table / 8 &&
                  c.codebooks == H * 2 * D * n_centroids && c.scales == 0,
              "%s: counters", spec);
    }
    CHECK(s.worst <= 1, "%s: decode's scores are off by %g", spec, s.worst);
    double worst = 0;
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < H * D; i++)
            worst = fmax(worst, fabs((double)out_rows[t][i] - other_rows[t][i]));
    /* rounded tables: a score moves by up to M step / 2 / sqrt(D), an output by twice that times
     * the largest value */
    CHECK(worst <= (table == 32   ? 1e-5
                    : table == 16 ? 4e-4
                                  : 0.1),
          "%s: decode differs from prefill by %g", spec, worst);
    free(state);
    attn_free(&a);
}

static void codes_and_scores(void) {
    threads_set(1); /* check_scores is not locked */
    static const size_t dims[] = {64, 20}, ks[] = {16, 64, 256};
    size_t settings = 0;
    for (size_t i = 0; i < 2; i++) {
        struct book book = {0};
        size_t D = dims[i], set = 0;
        for (size_t j = 0; j < 3; j++) random_book(&book, 2, H, D, ks[j], 5);
        fill(D, 11);
        for (const struct kernels *k; (k = each_set(&set));)
            for (size_t j = 0; j < book.n; j++)
                for (size_t table = 8; table <= 32; table *= 2, settings++)
                    one_setting(k, &book, D, book.books[j].m, book.books[j].k, table);
        book_close(&book);
    }
    CHECK(settings >= 81, "%zu settings", settings);
}

/* A book whose centroids are the keys themselves, which f16 holds: attention is that of fp32. */
static void enough_centroids_are_exact(void) {
    enum { D = 32, KEYS = 60 };
    struct book book = {0};
    struct attn_shape shape = {2, H, D, T};
    size_t set = 0;
    fill(D, 4);
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < H * D; i++)
            k_rows[t][i] = f16_to_f32(f32_to_f16(k_rows[t % KEYS][i]));
    struct key_sample sample = {.n_layer = 2, .n_head = H, .head_dim = D, .n = T};
    sample.keys = arena_alloc(&book.arena, 2 * H * T * D, sizeof *sample.keys);
    for (size_t head = 0; head < 2 * H; head++)
        for (size_t t = 0; t < T; t++)
            for (size_t r = 0; r < D; r++)
                sample.keys[(head * T + t) * D + r] = f32_to_f16(k_rows[t][head % H * D + r]);
    book.n_layer = 2, book.n_head = H, book.head_dim = D;
    struct codebook all[] = {{.m = 1, .k = 64}, {.m = 4, .k = 64}, {.m = 32, .k = 256}};
    struct learn_error errors[6];
    struct err e;
    book.books = all, book.n = 3;
    CHECK(book_learn(&book,
                     &(struct learning){
                         .sample = &sample, .parts = LEARN_ALL, .seed = 1, .kn = kernels_at(0)},
                     errors, &e) == OK,
          "%s", e.msg);
    for (size_t i = 0; i < 6; i++)
        CHECK(errors[i].squared == 0 && errors[i].variance > 100, "setting %zu: error %g", i,
              errors[i].squared);
    for (const struct kernels *k; (k = each_set(&set));)
        for (size_t i = 0; i < 3; i++) {
            char spec[64];
            struct attn a, b;
            snprintf(spec, sizeof spec, "lookat:m=%zu,k=%zu,table=32/fp32", all[i].m, all[i].k);
            CHECK(attn_init(&a, &shape, spec, &book, k, &e) == OK &&
                      attn_init(&b, &shape, "fp32", NULL, k, &e) == OK,
                  "%s", e.msg);
            uint8_t *sa = aligned_alloc(64, (attn_state_bytes(&a) + 63) / 64 * 64),
                    *sb = aligned_alloc(64, (attn_state_bytes(&b) + 63) / 64 * 64);
            attn_clear(&a, sa);
            attn_clear(&b, sb);
            attn_append(&a, sa, 1, 0, T, k_rows[0], v_rows[0], H * MAX_D);
            attn_append(&b, sb, 1, 0, T, k_rows[0], v_rows[0], H * MAX_D);
            double worst = 0;
            struct attn_counters c = {0};
            for (size_t t = 0; t < T; t++) {
                ask(&a, sa, t, 1, out_rows, &c, NULL);
                ask(&b, sb, t, 1, other_rows, &c, NULL);
                for (size_t r = 0; r < H * D; r++)
                    worst = fmax(worst, fabs((double)out_rows[t][r] - other_rows[t][r]));
            }
            CHECK(worst <= 2e-6, "%s: off fp32 by %g", spec, worst);
            free(sa);
            free(sb);
            attn_free(&a);
            attn_free(&b);
        }
    book_close(&book);
}

static void specs(void) {
    struct book book = {0};
    struct attn_shape shape = {2, H, 20, T};
    struct attn a;
    struct err e;
    random_book(&book, 2, H, 20, 256, 1);
    random_learned(&book, 1, 256, 1);
    const struct {
        const char *spec, *name;
    } good[] = {{"lookat4", "lookat:m=4,k=256,table=16,plain/fp16"},
                {"lookat/fp16", "lookat:m=4,k=256,table=16,plain/fp16"},
                {"lookat2:table=8/fp32", "lookat:m=2,k=256,table=8,plain/fp32"},
                {"fp16+lookat:m=2@1", "fp16/fp16@0+lookat:m=2,k=256,table=16,plain/fp16@1-"},
                {"lookat1", "lookat:m=1,k=256,table=16,learned/fp16"},
                {"lookat1:plain", "lookat:m=1,k=256,table=16,plain/fp16"},
                {"lookat1:learned/fp32", "lookat:m=1,k=256,table=16,learned/fp32"}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        CHECK(attn_init(&a, &shape, good[i].spec, &book, kernels_at(0), &e) == OK &&
                  strcmp(a.name, good[i].name) == 0,
              "%s: %s", good[i].spec, e.msg);
        attn_free(&a);
    }
    const struct {
        const char *spec, *expect;
        const struct book *book;
    } bad[] = {
        {"lookat4",
         "needs codebooks; to make them: lookat calibrate -m MODEL -f TEXT --attn lookat4 -o "
         "BOOK.gguf",
         NULL},
        {"lookat:m=4,k=64",
         "random book has no such codebooks; to make them: lookat calibrate -m MODEL -f TEXT "
         "--attn lookat:m=4,k=64 -o",
         &book},
        {"lookat", "random book names no such cache; to choose one: lookat calibrate", &book},
        {"lookat:small", "the model, which has no codebooks, names no such cache", NULL},
        {"lookat:small/fp16", "lookat has no option 'small'", &book},
        {"lookat8", "8 subspaces do not divide the head dimension of 20", &book},
        {"lookat:m=3", "m=3, expected 1, 2, 4, 8, 16 or 32", &book},
        {"lookat:m=4,k=100", "k=100, expected 4, 16, 64 or 256", &book},
        {"lookat:bits=4", "lookat has no option 'bits'; it takes: m bytes k table plain learned",
         &book},
        {"lookat4:table=4", "table=4, expected 8, 16 or 32 bits", &book},
        {"lookat4:plain,learned", "plain and learned exclude each other", &book},
        {"lookat4:learned",
         "no such codebooks; to make them: lookat calibrate -m MODEL -f TEXT --attn "
         "lookat4:learned -o BOOK.gguf",
         &book},
        {"lookat:m=4,k=64,plain", "--attn lookat:m=4,k=64,plain -o BOOK.gguf", &book},
        {"fp16/lookat4", "is not a codec for values", &book},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(attn_init(&a, &shape, bad[i].spec, bad[i].book, kernels_at(0), &e) == ERR_USAGE &&
                  strstr(e.msg, bad[i].expect),
              "%s: %s", bad[i].spec, e.msg);
    book_close(&book);
}

/* ---- k-means ---- */

/* Lloyd in float64 from the given centroids ([d][k]) to the same rule of ending; returns the
 * inertia. */
static double lloyd64(const float *x, size_t n, size_t d, size_t k, double *c, size_t *iterations) {
    size_t *code = calloc(n, sizeof *code);
    double inertia = 0;
    for (*iterations = 1;; ++*iterations) {
        double before = inertia;
        inertia = 0;
        for (size_t i = 0; i < n; i++) {
            double least = INFINITY;
            for (size_t j = 0; j < k; j++) {
                double sum = 0;
                for (size_t r = 0; r < d; r++)
                    sum += ((double)x[i * d + r] - c[r * k + j]) *
                           ((double)x[i * d + r] - c[r * k + j]);
                if (sum < least) least = sum, code[i] = j;
            }
            inertia += least;
        }
        if (*iterations > 1 && before - inertia <= KMEANS_TOLERANCE * before) break;
        for (size_t j = 0; j < k; j++)
            for (size_t r = 0; r < d; r++) {
                double sum = 0, count = 0;
                for (size_t i = 0; i < n; i++)
                    if (code[i] == j) sum += (double)x[i * d + r], count++;
                CHECK(count > 0, "the reference has an empty cluster; choose other data");
                c[r * k + j] = sum / count;
            }
    }
    free(code);
    return inertia;
}

static void kmeans_equals_float64(void) {
    enum { N = 600, K = 16, MAX = 16 };
    static float x[N * MAX];
    float centroids[MAX * K];
    double reference[MAX * K];
    for (size_t d = 1; d <= MAX; d *= 2) {
        size_t set = 0, iterations;
        blobs(x, N, d, 5, 1, 1, d);
        void *work = aligned_alloc(64, kmeans_work_bytes(N, d, K));
        struct kmeans_points p = {.x = x, .stride = d, .n = N, .d = d};
        for (const struct kernels *k; (k = each_set(&set));) {
            CHECK(kmeans_seed(&p, K, 7, d, centroids, work) == K, "seeds");
            for (size_t i = 0; i < d * K; i++) reference[i] = (double)centroids[i];
            double want = lloyd64(x, N, d, K, reference, &iterations);
            struct kmeans_result got = kmeans_lloyd(k, &p, K, centroids, work);
            CHECK(fabs(got.inertia - want) <= 1e-5 * want && got.iterations == iterations &&
                      got.reseeded == 0,
                  "%s, d %zu: inertia %.9g after %zu, expected %.9g after %zu", k->name, d,
                  got.inertia, got.iterations, want, iterations);
            double worst = 0;
            for (size_t i = 0; i < d * K; i++)
                worst = fmax(worst, fabs((double)centroids[i] - reference[i]));
            CHECK(worst < 1e-5, "%s, d %zu: centroids off by %g", k->name, d, worst);
            struct kmeans_result both = kmeans(k, &p, K, 7, d, centroids, work);
            CHECK(both.inertia == got.inertia &&
                      kmeans_inertia(k, &p, K, centroids, work) == got.inertia,
                  "the halves differ from the whole");
        }
        free(work);
    }
}

/* Seeds are distinct points, and far ones are preferred: of well separated clusters each gets one,
 * so that the optimum is found. */
static void kmeans_finds_clusters(void) {
    enum { N = 512, D = 6, K = 64 };
    static float x[N * D];
    float centroids[D * K];
    double optimum = 0;
    blobs(x, N, D, K, 2000, 0.5, 3);
    for (size_t j = 0; j < K; j++)
        for (size_t r = 0; r < D; r++) {
            double mean = 0;
            for (size_t i = j; i < N; i += K) mean += (double)x[i * D + r] / (N / K);
            for (size_t i = j; i < N; i += K)
                optimum += ((double)x[i * D + r] - mean) * ((double)x[i * D + r] - mean);
        }
    void *work = aligned_alloc(64, kmeans_work_bytes(N, D, K));
    struct kmeans_points p = {.x = x, .stride = D, .n = N, .d = D};
    for (uint64_t seed = 0; seed < 5; seed++) {
        struct kmeans_result r = kmeans(kernels_at(0), &p, K, seed, 0, centroids, work);
        CHECK(fabs(r.inertia - optimum) < 1e-6 * optimum, "seed %d: %g, the optimum is %g",
              (int)seed, r.inertia, optimum);
    }
    free(work);
}

static void kmeans_of_few_points(void) {
    enum { D = 3, K = 16 };
    const float x[7][D] = {{1, 2, 3},    {1, 2, 3},      {4, 5, 6}, {1, 2, 3},
                           {4, 5, 6.5f}, {-1, 0, 1e-3f}, {4, 5, 6}};
    float centroids[D * K];
    void *work = aligned_alloc(64, kmeans_work_bytes(7, D, K));
    for (size_t n = 1; n <= 7; n++) {
        struct kmeans_points p = {.x = x[0], .stride = D, .n = n, .d = D};
        struct kmeans_result r = kmeans(kernels_at(0), &p, K, n, 0, centroids, work);
        CHECK(r.inertia == 0, "%zu points: inertia %g", n, r.inertia);
        for (size_t i = 0; i < n; i++) {
            bool found = false;
            for (size_t c = 0; c < K; c++)
                found = found || (centroids[c] == x[i][0] && centroids[K + c] == x[i][1] &&
                                  centroids[2 * K + c] == x[i][2]);
            CHECK(found, "%zu points: point %zu is no centroid", n, i);
        }
        size_t distinct = n < 3 ? 1 : n < 5 ? 2 : n < 6 ? 3 : 4;
        if (n == 4) distinct = 2;
        for (size_t c = distinct; c < K; c++)
            CHECK(centroids[c] == centroids[0] && centroids[K + c] == centroids[K] &&
                      centroids[2 * K + c] == centroids[2 * K],
                  "%zu points: centroid %zu is not the first again", n, c);
    }
    free(work);
}

/* Two centroids on the same place: the second is empty, and gets the farthest point. */
static void empty_clusters_are_reseeded(void) {
    const float x[8] = {0, 1, 2, 3, 100, 101, 102, 110};
    float centroids[4] = {0, 0, 0, 0};
    void *work = aligned_alloc(64, kmeans_work_bytes(8, 1, 4));
    struct kmeans_points p = {.x = x, .stride = 1, .n = 8, .d = 1};
    struct kmeans_result r = kmeans_lloyd(kernels_at(0), &p, 4, centroids, work);
    size_t used[4] = {0};
    for (size_t i = 0; i < 8; i++) {
        size_t best = 0;
        for (size_t c = 1; c < 4; c++)
            if (fabsf(x[i] - centroids[c]) < fabsf(x[i] - centroids[best])) best = c;
        used[best]++;
    }
    CHECK(r.reseeded >= 3 && used[0] && used[1] && used[2] && used[3],
          "%zu reseeded; clusters of %zu, %zu, %zu, %zu", r.reseeded, used[0], used[1], used[2],
          used[3]);
    CHECK(r.inertia <= 5 + 2 + 1e-9, "inertia %g",
          r.inertia); /* 0..3 together, 100..102 together, 110, or better */
    free(work);
}

static void learning_ignores_threads(void) {
    enum { L = 2, D = 16, N = 400 };
    struct book book[3] = {{0}};
    struct quantiser counts[L * H] = {{0}};
    struct key_sample sample = {.n_layer = L, .n_head = H, .head_dim = D, .n = N};
    struct arena a = {0};
    struct err e;
    float x[D];
    sample.keys = arena_alloc(&a, L * H * N * D, sizeof *sample.keys);
    sample.weights = arena_zalloc(&a, L * H * N, sizeof *sample.weights);
    sample.queries = arena_zalloc(&a, L * H * D * D, sizeof *sample.queries);
    for (size_t i = 0; i < L * H * N; i++) sample.weights[i] = (float)(i % 5);
    for (size_t i = 0; i < L * H * D * D; i += D + 1) sample.queries[i] = 1 + (double)(i % 7);
    for (size_t i = 0; i < L * H * N; i++) {
        blobs(x, 1, D, 1, 1, 1, i);
        for (size_t r = 0; r < D; r++) sample.keys[i * D + r] = f32_to_f16(x[r]);
    }
    for (size_t h = 0; h < L * H; h++) counts[h].n = 3 + h % 2 - (h % 4) / 2; /* 3 4 2 3 */
    for (int t = 0; t < 3; t++) {
        struct codebook all[] = {
            {.m = 2, .k = 64},
            {.m = 8, .k = 16},
            {.m = 4, .k = 16, .learned = true},
            {.m = 3, .k = 16, .learned = true, .uneven = true, .heads = counts}};
        struct learn_error errors[4 * L];
        book[t] = (struct book){.n_layer = L, .n_head = H, .head_dim = D, .n = 4};
        book[t].books = arena_alloc(&book[t].arena, 4, sizeof all[0]);
        memcpy(book[t].books, all, sizeof all);
        threads_set(t + 1);
        CHECK(book_learn(&book[t],
                         &(struct learning){
                             .sample = &sample, .parts = LEARN_ALL, .seed = 9, .kn = kernels_at(0)},
                         errors, &e) == OK,
              "%s", e.msg);
        for (size_t b = 0; b < 2; b++) {
            CHECK(memcmp(book[t].books[b].centroids, book[0].books[b].centroids,
                         L * H * D * all[b].k * 2) == 0,
                  "%d threads", t + 1);
            CHECK(errors[b * L].squared > 0 && errors[b * L].squared < errors[b * L].variance,
                  "error %g of %g", errors[b * L].squared, errors[b * L].variance);
        }
        for (size_t h = 0; h < L * H; h++) {
            const struct quantiser *got = &book[t].books[2].heads[h],
                                   *want = &book[0].books[2].heads[h];
            CHECK(!memcmp(got->inverse, want->inverse, D * D * 2) &&
                      !memcmp(got->mean, want->mean, D * 2),
                  "%d threads, head %zu", t + 1, h);
            CHECK(book[t].books[3].heads[h].n == counts[h].n, "%zu codes",
                  book[t].books[3].heads[h].n);
            for (size_t j = 0; j < counts[h].n; j++)
                CHECK(!memcmp(book[t].books[3].heads[h].ranges[j].centroids,
                              book[0].books[3].heads[h].ranges[j].centroids,
                              book[0].books[3].heads[h].ranges[j].width * 32),
                      "%d threads, uneven head %zu, code %zu", t + 1, h, j);
            for (size_t j = 0; j < 4; j++)
                CHECK(got->ranges[j].width == want->ranges[j].width &&
                          !memcmp(got->ranges[j].centroids, want->ranges[j].centroids,
                                  got->ranges[j].width * 32),
                      "%d threads, head %zu, code %zu", t + 1, h, j);
        }
    }
    threads_set(1);
    for (int t = 0; t < 3; t++) book_close(&book[t]);
    arena_free(&a);
}

/* ---- books as files ---- */

static void named_book(struct book *b) {
    random_book(b, 2, H, 16, 16, 2);
    b->corpora = arena_zalloc(&b->arena, 2, sizeof *b->corpora);
    b->n_corpora = 2;
    b->corpora[0].name = "prose.txt";
    b->corpora[1].name = "";
    memset(b->corpora[0].sha256, '0', 64);
    memset(b->corpora[1].sha256, 'f', 64);
}

static void same_quantisers(const struct codebook *want, const struct codebook *got) {
    CHECK(got && got->m == want->m && got->learned && got->values == want->values, "m=%zu is there",
          want->m);
    for (size_t h = 0; got && h < 2 * H; h++) {
        const struct quantiser *x = &want->heads[h], *y = &got->heads[h];
        CHECK(y->n == x->n && y->dim == 16 && y->k == want->k &&
                  !memcmp(y->inverse, x->inverse, 512) && !memcmp(y->mean, x->mean, 32),
              "head %zu", h);
        for (size_t j = 0; j < x->n; j++)
            CHECK(y->ranges[j].at == x->ranges[j].at && y->ranges[j].width == x->ranges[j].width &&
                      !memcmp(y->ranges[j].centroids, x->ranges[j].centroids,
                              x->ranges[j].width * x->k * 2),
                  "head %zu, code %zu", h, j);
    }
}

/* The words for whole caches: what a book says that they stand for. */
static void words(void) {
    struct book b = {0}, c;
    struct attn_shape shape = {2, H, 16, T};
    struct attn a;
    struct err e;
    bool found;
    const char *path = folder_path("words.gguf");
    named_book(&b);
    random_values(&b, 16, 256, 8);
    b.words[BOOK_RECOMMENDED] = "lookat:m=4,k=16,plain,refine=8,exact=8/pq16";
    b.words[BOOK_SMALL] = "fp16+lookat:m=4,k=16/pq16@1";
    CHECK(book_write(&b, path, true, &e) == OK, "%s", e.msg);
    CHECK(book_open(&c, path, &found, &e) == OK && found, "%s", e.msg);
    for (size_t i = 0; i < BOOK_WORDS; i++)
        CHECK(c.words[i] && strcmp(c.words[i], b.words[i]) == 0, "word %zu", i);
    static const char *const effective[BOOK_WORDS] = {
        "lookat:m=4,k=16,table=16,plain,refine=8,exact=8/pq:m=16,k=256,learned",
        "fp16/fp16@0+lookat:m=4,k=16,table=16,plain/pq:m=16,k=256,learned@1-"};
    for (size_t i = 0; i < BOOK_WORDS; i++) {
        const char *word = book_word_name((enum book_word)i);
        bool uses;
        CHECK(attn_init(&a, &shape, word, &c, kernels_at(0), &e) == OK, "%s", e.msg);
        CHECK(strcmp(a.name, effective[i]) == 0, "%s is %s", word, a.name);
        attn_free(&a);
        CHECK(spec_codebooks(word, &uses, &e) == OK && uses, "%s uses codebooks", word);
    }
    CHECK(spec_first("lookat,lookat:small,int4") == 6 && spec_first("lookat:small,lookat") == 12,
          "words in a list");
    book_close(&c);
    b.words[BOOK_SMALL] = NULL;
    inputs_forget(); /* the one before was read */
    CHECK(book_write(&b, path, true, &e) == OK && book_open(&c, path, &found, &e) == OK &&
              c.words[BOOK_RECOMMENDED] && !c.words[BOOK_SMALL],
          "one word alone");
    book_close(&c);
    book_close(&b);
}

/* A file may name anything as its whole cache. */
static void bad_words(void) {
    static char endless[BOOK_WORD_BYTES + 20] = "lookat4:plain";
    struct book b = {0}, c;
    struct err e;
    bool found;
    const char *path = folder_path("bad_words.gguf");
    const struct {
        const char *cache, *expect;
    } bad[] = {{"", "a spec of 0 bytes, expected 1 to 255"},
               {"lookat", "'lookat' stands for itself"},
               {"lookat:small", "'lookat:small' stands for itself"},
               {"nonsense", "is not a codec for keys"},
               {"int4/int4:refine=4", "int4 has no option 'refine' for values"},
               {"fp16+int4@2", "are not layers"},
               {"int4@1", "layer 0 is left out"},
               {"int4:group=7/fp16", "group"},
               {"lookat:m=3/fp16", "m=3, expected 1, 2, 4"},
               {"lookat32/fp16", "32 subspaces do not divide the head dimension of 16"},
               {"lookat:m=4,k=64/fp16", "no such codebooks"},
               {"lookat:m=4,k=16/pq4", "no such codebooks"},
               {"fp16\n", "is not a codec for keys"},
               {endless, "a spec of 273 bytes, expected 1 to 255"}};
    memset(endless + 13, '0', 260);
    named_book(&b);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        b.words[BOOK_SMALL] = bad[i].cache;
        inputs_forget(); /* the one before was read */
        CHECK(book_write(&b, path, true, &e) == OK, "%s", e.msg);
        CHECK(book_open(&c, path, &found, &e) == ERR_REFUSED && strstr(e.msg, bad[i].expect) &&
                  strstr(e.msg, "bad_words.gguf: key \"lookat.small\" is no whole cache"),
              "%s: %s", bad[i].cache, e.msg);
    }
    book_close(&b);
}

static void book_round_trip(void) {
    struct book b = {0}, c;
    struct err e;
    bool found;
    const char *path = folder_path("round.gguf");
    named_book(&b);
    random_learned(&b, 4, 16, 7);
    random_values(&b, 16, 256, 8);
    random_uneven(&b, 2, 64, 9);
    random_uneven_values(&b, 3, 16, 10);
    char *lines[] = {(char[]){"4 bytes: one"}, (char[]){""}, (char[]){"4 bytes: two"}};
    b.tried = lines, b.n_tried = 3;
    CHECK(book_write(&b, path, false, &e) == OK, "%s", e.msg);
    CHECK(book_write(&b, path, false, &e) == ERR_USAGE && strstr(e.msg, "--force"), "%s", e.msg);
    CHECK(book_open(&c, path, &found, &e) == OK && found, "%s", e.msg);
    CHECK(c.n_layer == 2 && c.n_head == H && c.head_dim == 16 && c.tokens == b.tokens &&
              c.samples == b.samples && c.seed == b.seed,
          "numbers");
    CHECK(strcmp(c.fingerprint, b.fingerprint) == 0 && c.n_corpora == 2, "fingerprint");
    for (size_t i = 0; i < 2; i++)
        CHECK(strcmp(c.corpora[i].name, b.corpora[i].name) == 0 &&
                  strcmp(c.corpora[i].sha256, b.corpora[i].sha256) == 0,
              "corpus %zu", i);
    CHECK(c.n_tried == 3 && !strcmp(c.tried[0], lines[0]) && !strcmp(c.tried[1], "") &&
              !strcmp(c.tried[2], lines[2]),
          "%zu lines of what was tried", c.n_tried);
    CHECK(c.n == b.n && c.n == 9, "%zu settings", c.n);
    same_quantisers(&b.books[5], book_find(&c, 4, 16, CODEBOOK_LEARNED));
    same_quantisers(&b.books[6], book_find(&c, 16, 256, CODEBOOK_VALUES));
    same_quantisers(&b.books[7], book_find(&c, 2, 64, CODEBOOK_UNEVEN));
    same_quantisers(&b.books[8], book_find(&c, 3, 16, CODEBOOK_UNEVEN_VALUES));
    CHECK(b.books[8].heads[0].n == 4 && b.books[8].heads[1].n == 8, "codes of 4 bits: %zu and %zu",
          b.books[8].heads[0].n, b.books[8].heads[1].n);
    CHECK(!book_find(&c, 2, 64, CODEBOOK_LEARNED) && b.books[7].heads[0].n == 1 &&
              b.books[7].heads[1].n == 3,
          "the uneven setting");
    for (size_t i = 0; i < b.n - 4; i++) {
        const struct codebook *y = book_find(&c, b.books[i].m, b.books[i].k, CODEBOOK_PLAIN);
        CHECK(y && memcmp(y->centroids, b.books[i].centroids, 2 * H * 16 * 16 * 2) == 0,
              "setting %zu", i);
        CHECK(y && (uintptr_t)y->centroids % 64 == 0, "alignment");
    }
    CHECK(!book_find(&c, 4, 64, CODEBOOK_PLAIN), "a setting that is not there");
    CHECK(book_check(&c, b.fingerprint, 2, H, 16, &e) == OK, "%s", e.msg);
    CHECK(book_check(&c, b.fingerprint, 3, H, 16, &e) == ERR_REFUSED &&
              strstr(e.msg, "another model: 2 layers, 2 heads of 16; this one has 3, 2 of 16"),
          "%s", e.msg);
    char other[65];
    memset(other, 'b', 64), other[64] = 0;
    CHECK(book_check(&c, other, 2, H, 16, &e) == ERR_REFUSED &&
              strstr(e.msg, "another model: fingerprint aaaaaaaaaaaaaaaa..., this one's is bbbb"),
          "%s", e.msg);
    book_close(&c);
    b.books[7].m = 3; /* of 2 codes on average */
    inputs_forget();
    CHECK(book_write(&b, path, true, &e) == OK, "%s", e.msg);
    CHECK(book_open(&c, path, &found, &e) == ERR_REFUSED &&
              strstr(e.msg, "uneven.m3.k64.stages\": 8 codes of 4 heads, expected 3 on average"),
          "%s", e.msg);
    book_close(&b);
}

/* What is other than it should be in a book's file; 0: nothing. */
struct parts {
    uint32_t version;
    const char *fingerprint, *drop, *key, *sha;
    int32_t shape[3];
    size_t numbers; /* of the codebook */
    uint16_t last;  /* the last of them */
    bool as_i32;    /* in the wrong type */
};

static const char sum64[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/* A book of 2 layers, 2 heads of 16, m = 4, k = 16. */
static struct parts filled(struct parts p) {
    if (!p.version) p.version = 1;
    if (!p.fingerprint) p.fingerprint = sum64;
    if (!p.sha) p.sha = sum64;
    if (!p.key) p.key = "lookat.codebook.m4.k16";
    if (!p.shape[0]) p.shape[0] = p.shape[1] = 2, p.shape[2] = 16;
    if (!p.numbers) p.numbers = 1024;
    return p;
}

static const char *write_parts(struct parts changes) {
    const struct parts all = filled(changes), *p = &all;
    static uint16_t numbers[2048];
    static int32_t wide[2048];
    struct gguf_writer w = {0};
    struct out_file o;
    struct err e;
    const size_t ends[2] = {0, 9}, sha_ends[2] = {0, strlen(p->sha)};
    const char *path = folder_path("bad.gguf");
    numbers[p->numbers - 1] = p->last;
#define ADD(key, call) (p->drop && strcmp(p->drop, key) == 0 ? (void)0 : call)
    ADD("version", gguf_add_u32(&w, "lookat.book.version", p->version));
    ADD("fingerprint",
        gguf_add_string(&w, "lookat.book.fingerprint", p->fingerprint, strlen(p->fingerprint)));
    ADD("shape", gguf_add_i32s(&w, "lookat.book.shape", p->shape, 3));
    ADD("names",
        gguf_add_strings(&w, "lookat.book.corpus.names", (const uint8_t *)"prose.txt", ends, 1));
    ADD("sha256",
        gguf_add_strings(&w, "lookat.book.corpus.sha256", (const uint8_t *)p->sha, sha_ends, 1));
    ADD("tokens", gguf_add_u64(&w, "lookat.book.tokens", 10));
    ADD("samples", gguf_add_u64(&w, "lookat.book.samples", 10));
    ADD("seed", gguf_add_u64(&w, "lookat.book.seed", 10));
    if (p->as_i32)
        gguf_add_i32s(&w, p->key, wide, p->numbers);
    else
        ADD("centroids", gguf_add_u16s(&w, p->key, numbers, p->numbers));
    inputs_forget(); /* the one before was read */
    CHECK(out_open(&o, path, true, &e) == OK && gguf_write_header(&w, &o, &e) == OK &&
              out_commit(&o, &e) == OK,
          "%s", e.msg);
    gguf_writer_free(&w);
    numbers[p->numbers - 1] = 0;
    return path;
}

static void broken_books(void) {
    const struct {
        const char *expect; /* NULL: is fine */
        struct parts p;
    } files[] = {
        {NULL, {.drop = NULL}},
        {NULL, {.last = 0x7bff}},
        {"lookat.book.version is 3, expected 1 or 2", {.version = 3}},
        {"\"lookat.book.fingerprint\" is missing", {.drop = "fingerprint"}},
        {"\"lookat.book.fingerprint\" is no SHA-256", {.fingerprint = "abc"}},
        {"\"lookat.book.corpus.sha256\" is no SHA-256",
         {.sha = "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef"}},
        {"\"lookat.book.shape\" is missing", {.drop = "shape"}},
        {"\"lookat.book.shape\" has the item 0", {.shape = {2, 0, 16}}},
        {"\"lookat.book.shape\" has the item -1", {.shape = {2, 2, -1}}},
        {"\"lookat.book.shape\" has the item 2147483647", {.shape = {INT32_MAX, 2, 16}}},
        {"overflows", {.shape = {1 << 24, 1 << 24, 1 << 24}}},
        {OF_64_OR_32("has 1024 items, expected 18014398509481984", "overflows"),
         {.shape = {1 << 24, 1 << 24, 4}}},
        {"\"lookat.book.corpus.names\" is missing", {.drop = "names"}},
        {"\"lookat.book.corpus.sha256\" is missing", {.drop = "sha256"}},
        {"\"lookat.book.tokens\" is missing", {.drop = "tokens"}},
        {"\"lookat.book.samples\" is missing", {.drop = "samples"}},
        {"\"lookat.book.seed\" is missing", {.drop = "seed"}},
        {"the book has no codebooks", {.drop = "centroids"}},
        {"1 keys lookat.codebook.* are of no setting, m 1, 2, 4",
         {.key = "lookat.codebook.m3.k16"}},
        {"\"lookat.codebook.m4.k16\" has 1023 items, expected 1024", {.numbers = 1023}},
        {"\"lookat.codebook.m4.k16\" has 1025 items, expected 1024", {.numbers = 1025}},
        {"\"lookat.codebook.m4.k16\" is not an array of u16", {.as_i32 = true}},
        {"\"lookat.codebook.m32.k16\": 32 subspaces do not divide the head dimension of 16",
         {.key = "lookat.codebook.m32.k16"}},
        {"number 1023 of 1024 is NaN", {.last = 0x7c01}},
        {"number 1023 of 1024 is NaN", {.last = 0xfe00}},
        {"number 1023 of 1024 is infinite", {.last = 0x7c00}},
        {"number 1023 of 1024 is infinite", {.last = 0xfc00}},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct book b;
        struct err e;
        bool found;
        int rc = book_open(&b, write_parts(files[i].p), &found, &e);
        if (files[i].expect)
            CHECK(rc == ERR_REFUSED && strstr(e.msg, files[i].expect) &&
                      strstr(e.msg, "bad.gguf") && strlen(e.msg) < sizeof e.msg - 1,
                  "file %zu: %d \"%s\" does not say \"%s\"", i, rc, rc ? e.msg : "",
                  files[i].expect);
        else
            CHECK(rc == OK && found && b.n == 1, "file %zu: %s", i, e.msg);
        if (!rc) book_close(&b);
    }
    struct book b;
    struct err e;
    bool found = true;
    CHECK(book_open(&b, write_parts((struct parts){.drop = "version"}), &found, &e) == OK &&
              !found && b.n == 0,
          "a file without a book");
    book_close(&b);
}

/* A book of one learned setting, of keys or of values, something changed in its parts. */
struct learned_parts {
    const char *drop, *extra;         /* a part left out; a further key */
    int32_t stages, at, width;        /* of head 1, of its code 2; -9: as it is */
    uint16_t inverse, mean, centroid; /* in place of the first number, where not 0 */
    size_t fewer;                     /* numbers of .centroids left out */
    bool singular;
};

static const char *write_learned(struct learned_parts changes, const char *prefix) {
    const struct learned_parts *p = &changes;
    char stages_key[48], ranges_key[48], centroids_key[48], inverse_key[48], mean_key[48];
    enum { HEADS = 2, M = 3, WIDTH = 4, DIM = 12, KS = 16 };
    static uint16_t inverse[HEADS * DIM * DIM], mean[HEADS * DIM],
        centroids[HEADS * DIM * KS + KS * DIM];
    const int32_t shape[3] = {1, HEADS, DIM};
    int32_t stages[HEADS] = {M, M}, ranges[2 * HEADS * M];
    struct gguf_writer w = {0};
    struct out_file o;
    struct err e;
    const char *path = folder_path("learned.gguf");
    for (size_t i = 0; i < HEADS * DIM * DIM; i++)
        inverse[i] = i % (DIM * DIM) % (DIM + 1) == 0 ? f32_to_f16(1) : 0;
    for (size_t i = 0; i < HEADS * M; i++)
        ranges[2 * i] = (int32_t)(i % M * WIDTH), ranges[2 * i + 1] = WIDTH;
    if (p->stages != -9) stages[1] = p->stages;
    if (p->at != -9) ranges[10] = p->at;
    if (p->width != -9) ranges[11] = p->width;
    if (p->inverse) inverse[0] = p->inverse;
    if (p->singular) memset(inverse + DIM * DIM, 0, DIM * sizeof *inverse);
    mean[0] = p->mean, centroids[0] = p->centroid;
    snprintf(stages_key, sizeof stages_key, "%sm4.k16.stages", prefix),
        snprintf(ranges_key, sizeof ranges_key, "%sm4.k16.ranges", prefix);
    snprintf(centroids_key, sizeof centroids_key, "%sm4.k16.centroids", prefix),
        snprintf(mean_key, sizeof mean_key, "%sm4.k16.mean", prefix);
    snprintf(inverse_key, sizeof inverse_key, "%sm4.k16.inverse", prefix);
    gguf_add_u32(&w, "lookat.book.version", 2);
    gguf_add_string(&w, "lookat.book.fingerprint", sum64, 64);
    gguf_add_i32s(&w, "lookat.book.shape", shape, 3);
    gguf_add_strings(&w, "lookat.book.corpus.names", (const uint8_t *)"", (const size_t[2]){0, 0},
                     0);
    gguf_add_u64(&w, "lookat.book.tokens", 10);
    gguf_add_u64(&w, "lookat.book.samples", 10);
    gguf_add_u64(&w, "lookat.book.seed", 10);
    ADD("stages", gguf_add_i32s(&w, stages_key, stages, HEADS));
    ADD("ranges", gguf_add_i32s(&w, ranges_key, ranges, 2 * HEADS * M));
    ADD("centroids", gguf_add_u16s(&w, centroids_key, centroids, HEADS * DIM * KS - p->fewer));
    ADD("inverse", gguf_add_u16s(&w, inverse_key, inverse, HEADS * DIM * DIM));
    ADD("mean", gguf_add_u16s(&w, mean_key, mean, HEADS * DIM));
    char extra[64];
    snprintf(extra, sizeof extra, "%s%s", prefix, p->extra ? p->extra : "");
    if (p->extra) gguf_add_u32(&w, extra, 1);
    inputs_forget(); /* the one before was read */
    CHECK(out_open(&o, path, true, &e) == OK && gguf_write_header(&w, &o, &e) == OK &&
              out_commit(&o, &e) == OK,
          "%s", e.msg);
    gguf_writer_free(&w);
    return path;
}

static void broken_learned_books(void) {
#define AS_IT_IS .stages = -9, .at = -9, .width = -9
    const struct {
        const char *expect;
        struct learned_parts p;
    } files[] = {
        {NULL, {AS_IT_IS, .drop = ""}},
        {"are of no setting", {AS_IT_IS, .drop = "stages", .extra = "m3.k16.stages"}},
        {"m4.k16.ranges\" is missing", {AS_IT_IS, .drop = "ranges"}},
        {"m4.k16.centroids\" is missing", {AS_IT_IS, .drop = "centroids"}},
        {"m4.k16.inverse\" is missing", {AS_IT_IS, .drop = "inverse"}},
        {"m4.k16.mean\" is missing", {AS_IT_IS, .drop = "mean"}},
        {"1 keys lookat.", {AS_IT_IS, .extra = "m4.k16.more"}},
        {"stages\": number 1 is 0, expected 1 to 64", {.stages = 0, .at = -9, .width = -9}},
        {"stages\": number 1 is -1, expected 1 to 64", {.stages = -1, .at = -9, .width = -9}},
        {"stages\": number 1 is 65, expected 1 to 64", {.stages = 65, .at = -9, .width = -9}},
        {"ranges\" has 12 items, expected 10", {.stages = 2, .at = -9, .width = -9}},
        {"ranges\": number 10 is -1, expected 0 to 11", {.stages = -9, .at = -1, .width = -9}},
        {"ranges\": number 10 is 12, expected 0 to 11", {.stages = -9, .at = 12, .width = -9}},
        {"ranges\": number 11 is 0, expected 1 to 4", {.stages = -9, .at = -9, .width = 0}},
        {"ranges\": number 11 is 5, expected 1 to 4", {.stages = -9, .at = -9, .width = 5}},
        {"ranges\": number 11 is 2147483647, expected 1 to 4",
         {.stages = -9, .at = -9, .width = INT32_MAX}},
        {"centroids\" has 384 items, expected 368", {.stages = -9, .at = -9, .width = 3}},
        {"centroids\" has 383 items, expected 384", {AS_IT_IS, .fewer = 1}},
        {"centroids\": number 0 of 384 is NaN", {AS_IT_IS, .centroid = 0x7e00}},
        {"inverse\": number 0 of 288 is infinite", {AS_IT_IS, .inverse = 0x7c00}},
        {"mean\": number 0 of 24 is NaN", {AS_IT_IS, .mean = 0xfe00}},
        {"inverse\": head 1 of 2: its transform has no inverse", {AS_IT_IS, .singular = true}},
    };
    const char *const prefixes[] = {"lookat.learned.", "lookat.values."};
    for (size_t i = 0; i < 2 * (sizeof files / sizeof *files); i++) {
        const char *expect = files[i / 2].expect;
        struct book b;
        struct err e;
        bool found;
        int rc = book_open(&b, write_learned(files[i / 2].p, prefixes[i % 2]), &found, &e);
        if (expect)
            CHECK(rc == ERR_REFUSED && strstr(e.msg, expect) && strstr(e.msg, "learned.gguf"),
                  "file %zu: %d \"%s\" does not say \"%s\"", i, rc, rc ? e.msg : "", expect);
        else
            CHECK(rc == OK && found && b.n == 1 && b.books[0].learned &&
                      b.books[0].values == (i % 2 == 1),
                  "file %zu: %s", i, rc ? e.msg : "");
        if (!rc) book_close(&b);
    }
}

/* Cut off anywhere, or any byte changed: refused, or a book that is in order (the sanitizers see
 * the rest). */
static void damaged_books(void) {
    const char *path = write_parts((struct parts){0});
    static uint8_t data[8192];
    FILE *fp = fopen(path, "rb");
    size_t size = fp ? fread(data, 1, sizeof data, fp) : 0, opened = 0, refused = 0;
    CHECK(fp && size > 2000 && size < sizeof data, "%zu bytes", size);
    if (fp) fclose(fp);
    for (size_t at = 0; at < size; at += at < 700 || at > size - 8 ? 1 : 31)
        for (int cut = 0; cut < 3; cut++) {
            struct book b;
            struct err e;
            bool found;
            uint8_t before = data[at];
            data[at] = cut ? before ^ (cut == 1 ? 0x01 : 0xff) : before;
            int rc = book_open(&b, folder_write("damaged.gguf", data, cut ? size : at), &found, &e);
            CHECK(rc == OK || (rc == ERR_REFUSED && strstr(e.msg, "damaged.gguf")),
                  "byte %zu: %d %s", at, rc, e.msg);
            CHECK(cut || rc == ERR_REFUSED || at + 32 > size,
                  "%zu of %zu bytes are taken for a book", at, size);
            data[at] = before;
            rc ? refused++ : opened++;
            if (!rc) book_close(&b);
        }
    CHECK(opened > 10 && refused > 700, "%zu opened, %zu refused", opened, refused);
}

int main(void) {
    if (!folder_make()) return 1;
    RUN(specs);
    RUN(codes_and_scores);
    RUN(enough_centroids_are_exact);
    RUN(kmeans_equals_float64);
    RUN(kmeans_finds_clusters);
    RUN(kmeans_of_few_points);
    RUN(empty_clusters_are_reseeded);
    RUN(learning_ignores_threads);
    RUN(book_round_trip);
    RUN(words);
    RUN(bad_words);
    RUN(broken_books);
    RUN(broken_learned_books);
    RUN(damaged_books);
    folder_remove();
    return TEST_RESULT;
}
