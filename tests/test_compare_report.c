/* The reports of a comparison, from numbers made by hand: shares that add up bit for bit, broken
 * shares, the fit of the law, awkward names and texts. */
#include <unistd.h>

#include "base/rng.h"
#include "report/compare_out.h"
#include "report/compare_table.h"
#include "report/metrics.h"
#include "test.h"

enum { L = 2, H = 3, N = 5, RUNS = 2, TEXTS = 2, CHUNKS = 5 };

static struct arena arena;
static struct err err;
static struct gpt2_weights weights;
static char folder[] = "/tmp/lookat-test-XXXXXX";

/* A comparison whose numbers are of every kind that a double or float can be. */
static double odd_number(struct rng *r) {
    static const double special[] = {
        0, -0.0, 1.0 / 3, 5e-324, 1.7976931348623157e308, -1e-17, 0.1, 4503599627370497.5};
    uint64_t pick = rng_below(r, 16);
    return pick < 8 ? special[pick] : rng_normal(r) * 1e-3;
}

static void fill_chunk(struct comparison_chunk *x, struct rng *r) {
    struct predictions *p = &x->predictions;
    predictions_alloc(p, N, &arena);
    for (int i = 0; i < N; i++) {
        p->nll[i] = odd_number(r);
        p->kld[i] = (float)rng_double(r);
        p->dp[i] = nextafterf((float)rng_normal(r), 9);
        p->same_top1[i] = rng_below(r, 2) == 1;
    }
    x->shadow = arena_zalloc(&arena, L * H * FIDELITIES, sizeof *x->shadow);
    for (int i = 0; i < L * H * FIDELITIES; i++)
        x->shadow[i] = (struct moments){rng_u64(r) >> 40, odd_number(r), odd_number(r)};
    x->loaded = arena_zalloc(&arena, L, sizeof *x->loaded);
    for (int l = 0; l < L; l++)
        x->loaded[l] = (struct attn_counters){rng_u64(r),       rng_u64(r),      0,
                                              UINT64_MAX,       rng_u64(r),      rng_u64(r),
                                              rng_u64(r) >> 40, rng_u64(r) >> 20};
    x->decoded = 1;
    x->recall = arena_zalloc(&arena, L, sizeof *x->recall);
    if (x->chunk % 2)
        x->recall[1] = (struct recall){100, 40 + x->text, 90}; /* else the line does without */
    x->attention = (struct timing){rng_double(r), rng_double(r), rng_double(r)};
    x->cut = arena_zalloc(&arena, L, sizeof *x->cut);
    if (rng_below(r, 2)) x->cut[1] = rng_below(r, 1000) + 1; /* all 0: the line does without */
}

static struct comparison_text texts[TEXTS] = {
    {.file = "a \"quoted\", name|.txt", .tokens = 33, .chunks = 3},
    {.file = "b", .tokens = 24, .chunks = 2}};

static struct comparison make(void) {
    struct rng r;
    rng_seed(&r, 7, 0);
    weights.config =
        (struct gpt2_config){.n_layer = L, .n_head = H, .n_embd = 12, .n_vocab = 99, .n_ctx = 64};
    struct comparison c = {.w = &weights,
                           .contexts = {16, 64},
                           .n_contexts = 2,
                           .window = 11,
                           .forced = true,
                           .shadow = true,
                           .last_layer = L - 1,
                           .of = 1,
                           .texts = texts,
                           .n_texts = TEXTS,
                           .n_runs = RUNS};
    for (int i = 0; i < TEXTS; i++) memset(texts[i].sha256, 'a' + i, 64);
    c.runs = arena_zalloc(&arena, RUNS, sizeof *c.runs);
    for (int i = 0; i < RUNS; i++) {
        c.runs[i] = (struct comparison_run){.spec = i ? "int4" : "fp16",
                                            .keys = "int4:group=32",
                                            .values = "fp16",
                                            .name = "int4:group=32/fp16",
                                            .title = i ? "int4" : "fp16",
                                            .stored_keys = 10,
                                            .stored_values = 20,
                                            .stored_refined = 30,
                                            .codebooks = (size_t)i << 21,
                                            .n_chunks = CHUNKS};
        struct by_context *b = &c.runs[i].by_context;
        b->loaded = arena_zalloc(&arena, 2, sizeof *b->loaded);
        b->loaded[0].keys = 5;
        b->loaded[1] = (struct attn_counters){.keys = 100, .tables = rng_u64(&r) >> 20};
        b->fewer_loaded = i ? 17 : 0;
        b->fewer_streamed = i ? 3 : 0;
        c.runs[i].chunks = arena_zalloc(&arena, CHUNKS, sizeof *c.runs[i].chunks);
        for (size_t k = 0; k < CHUNKS; k++) {
            c.runs[i].chunks[k] = (struct comparison_chunk){.text = k >= 3, .chunk = k % 3};
            fill_chunk(&c.runs[i].chunks[k], &r);
        }
    }
    return c;
}

static struct compare_free free_texts[RUNS * TEXTS];
static int32_t ids[] = {5, 6, 7};
static const double logprobs[] = {-1.0 / 3, -5e-324, -17};
static const uint64_t token_bytes[] = {4, 5, 1};
static struct codebook books[] = {{.m = 4, .k = 256}};
static struct book_corpus corpora[] = {{.name = "calibration.txt", .sha256 = "00"}};
static struct compare_book book = {.file = "x.book.gguf",
                                   .corpora = corpora,
                                   .n_corpora = 1,
                                   .books = books,
                                   .n = 1,
                                   .tokens = 8,
                                   .samples = 9,
                                   .seed = 10};

static struct compare_report report_of(const struct comparison *c) {
    struct compare_report r = {.main = c, .arena = &arena, .book = &book, .n_prompt = 4, .seed = 3};
    r.model = (struct compare_model){.file = "m.gguf",
                                     .name = "m",
                                     .fingerprint = "ff",
                                     .sha256 = "ee",
                                     .config = weights.config};
    for (int i = 0; i < RUNS * TEXTS; i++)
        free_texts[i] = (struct compare_free){.text = "caf\xC3\xA9 \xFF\n|x",
                                              .bytes = 10,
                                              .ids = ids,
                                              .n = 3,
                                              .logprobs = logprobs,
                                              .token_bytes = token_bytes,
                                              .first_difference = i < TEXTS ? SIZE_MAX : 2,
                                              .same_bytes = i < TEXTS ? 10 : 4};
    r.free = free_texts;
    return r;
}

/* Writes the share `number` of `of` to a file, and its name to path. */
static void write_share(const struct comparison *whole, size_t number, size_t of, char *path) {
    struct comparison c = *whole;
    struct compare_report r = report_of(&c);
    c.share = number;
    c.of = of;
    if (number) r.free = NULL;
    sprintf(path, "%s/%zu-%zu", folder, number, of);
    FILE *fp = fopen(path, "wb");
    if (!fp) return;
    compare_put_share(&r, fp);
    fclose(fp);
}

static bool same_bits(const void *a, const void *b, size_t n) { return memcmp(a, b, n) == 0; }

static void check_chunk(const struct comparison_chunk *a, const struct comparison_chunk *b) {
    const struct predictions *p = &a->predictions, *q = &b->predictions;
    CHECK(a->text == b->text && a->chunk == b->chunk && p->n == q->n && a->decoded == b->decoded,
          "the chunk's numbers");
    CHECK(same_bits(&a->attention, &b->attention, sizeof a->attention), "time in attention");
    CHECK(same_bits(p->nll, q->nll, N * sizeof *p->nll) &&
              same_bits(p->kld, q->kld, N * sizeof *p->kld) &&
              same_bits(p->dp, q->dp, N * sizeof *p->dp) &&
              same_bits(p->same_top1, q->same_top1, N),
          "forced");
    CHECK(same_bits(a->shadow, b->shadow, L * H * FIDELITIES * sizeof *a->shadow), "shadow");
    for (int l = 0; l < L; l++)
        CHECK(a->cut[l] == (b->cut ? b->cut[l] : 0), "rows cut short in layer %d", l);
    for (int l = 0; l < L; l++)
        CHECK(same_bits(&a->recall[l], b->recall ? &b->recall[l] : &(struct recall){0},
                        sizeof *a->recall),
              "recall of layer %d", l);
    CHECK(same_bits(a->loaded, b->loaded, L * sizeof *a->loaded), "loaded");
}

static void shares_add_up(void) {
    struct comparison c = make(), merged;
    char path[3][64], *files[3] = {path[2], path[0], path[1]};
    for (size_t i = 0; i < 3; i++) write_share(&c, i, 3, path[i]);
    struct compare_report r = {.arena = &arena};
    int rc = compare_merge(&r, &merged, files, 3, &err);
    CHECK(!rc, "%s", err.msg);
    if (rc) return;
    CHECK(merged.window == 11 && merged.forced && merged.shadow && merged.n_runs == RUNS &&
              merged.n_texts == TEXTS && merged.last_layer == L - 1,
          "the setup");
    CHECK(strcmp(merged.texts[0].file, texts[0].file) == 0 &&
              strcmp(merged.texts[1].sha256, texts[1].sha256) == 0 && merged.texts[0].tokens == 33,
          "the texts");
    CHECK(strcmp(merged.runs[1].spec, "int4") == 0 &&
              strcmp(merged.runs[1].keys, "int4:group=32") == 0 &&
              merged.runs[1].stored_values == 20 && merged.runs[1].stored_refined == 30 &&
              merged.runs[1].codebooks == (size_t)1 << 21,
          "the runs");
    CHECK(r.model.config.n_vocab == 99 && strcmp(r.model.fingerprint, "ff") == 0 &&
              strcmp(r.model.file, "m.gguf") == 0,
          "the model");
    CHECK(r.book && r.book->n == 1 && r.book->books[0].k == 256 &&
              strcmp(r.book->corpora[0].name, "calibration.txt") == 0 && r.book->seed == 10,
          "the codebooks");
    for (int i = 0; i < RUNS; i++)
        for (int k = 0; k < CHUNKS; k++)
            check_chunk(&c.runs[i].chunks[k], &merged.runs[i].chunks[k]);
    CHECK(r.n_prompt == 4 && r.seed == 3 && r.free && r.free[2].first_difference == 2 &&
              r.free[0].first_difference == SIZE_MAX && r.free[3].same_bytes == 4 &&
              r.free[3].bytes == 10 && same_bits(r.free[3].text, free_texts[3].text, 10) &&
              r.free[3].ids[2] == 7 && same_bits(r.free[3].logprobs, logprobs, sizeof logprobs) &&
              same_bits(r.free[3].token_bytes, token_bytes, sizeof token_bytes),
          "the free texts");
    CHECK(merged.n_contexts == 2 && merged.contexts[1] == 64 &&
              merged.runs[1].by_context.fewer_loaded == 17 &&
              merged.runs[1].by_context.fewer_streamed == 3 &&
              same_bits(merged.runs[1].by_context.loaded, c.runs[1].by_context.loaded,
                        2 * sizeof(struct attn_counters)),
          "bytes by context");
}

static void missing_and_twice(void) {
    struct comparison c = make(), merged;
    char path[3][64], *two[3] = {path[0], path[2], path[2]};
    for (size_t i = 0; i < 3; i++) write_share(&c, i, 3, path[i]);
    struct compare_report r = {.arena = &arena};
    CHECK(compare_merge(&r, &merged, two, 2, &err) == ERR_REFUSED &&
              strstr(err.msg, "share 1 of 3") && strstr(err.msg, "2 of 5 chunks") &&
              strstr(err.msg, "chunk 1 of a "),
          "%s", err.msg);
    r = (struct compare_report){.arena = &arena};
    CHECK(compare_merge(&r, &merged, two, 3, &err) == ERR_REFUSED && strstr(err.msg, "comes twice"),
          "%s", err.msg);
}

/* The page and all figures, into the void: whatever numbers a share has, drawing them ends. */
static void draw(const struct compare_report *r) {
    FILE *fp = fopen("/dev/null", "wb");
    if (!fp) return;
    compare_put_html(r, fp);
    CHECK(!ferror(fp), "the page");
    fclose(fp);
}

/* What a broken share may do is to be refused: never to crash, and never to be taken where it was
 * cut. */
static void broken_shares(void) {
    struct comparison c = make(), merged;
    char path[64], *files[1] = {path}, *text, mutant[64];
    struct rng r;
    write_share(&c, 0, 1, path);
    FILE *fp = fopen(path, "rb");
    CHECK(fp, "the share");
    if (!fp) return;
    text = arena_alloc(&arena, 1 << 20, 1);
    size_t n = fread(text, 1, 1 << 20, fp);
    fclose(fp);
    rng_seed(&r, 3, 0);
    sprintf(mutant, "%s/mutant", folder);
    files[0] = mutant;
    for (int i = 0; i < 3000; i++) {
        size_t keep = i % 3 ? n : rng_below(&r, n), at = rng_below(&r, i % 2 ? n : n / 16);
        char old = text[at];
        if (i % 3) text[at] = "0123456789\"[]{},:-e.n\n\xFF"[rng_below(&r, 23)];
        fp = fopen(mutant, "wb");
        if (!fp) break;
        fwrite(text, 1, keep, fp);
        fclose(fp);
        struct arena scratch = {0};
        struct compare_report report = {.arena = &scratch};
        int rc = compare_merge(&report, &merged, files, 1, &err);
        CHECK(rc == OK || rc == ERR_REFUSED, "mutant %d: %d %s", i, rc, err.msg);
        CHECK(i % 3 || rc || keep + 1 == n, "cut after %zu of %zu bytes, and taken", keep, n);
        if (!rc) CHECK(compare_report_sum(&report, &err) == OK, "%s", err.msg);
        if (!rc && i % 8 == 1) draw(&report);
        arena_free(&scratch);
        text[at] = old;
    }
    remove(mutant);
}

static char printed[1 << 16];

/* What `put` writes. */
static void print(void (*put)(FILE *fp, const void *what), const void *what) {
    FILE *fp = tmpfile();
    printed[0] = 0;
    if (!fp) return;
    put(fp, what);
    rewind(fp);
    printed[fread(printed, 1, sizeof printed - 1, fp)] = 0;
    fclose(fp);
}

static void put_csv(FILE *fp, const void *r) { compare_put_csv(r, fp); }
static void put_json(FILE *fp, const void *r) { compare_put_json(r, fp); }
static void put_markdown(FILE *fp, const void *r) {
    CHECK(compare_put_text(r, true, fp, &err) == OK, "%s", err.msg);
}

static void awkward_names(void) {
    struct comparison c = make();
    struct compare_report r = report_of(&c);
    CHECK(compare_report_sum(&r, &err) == OK, "%s", err.msg);
    print(put_csv, &r);
    CHECK(strstr(printed, "\n\"a \"\"quoted\"\", name|.txt\",11,\"fp16\","), "%.300s", printed);
    print(put_json, &r);
    CHECK(strstr(printed, "\"file\":\"a \\\"quoted\\\", name|.txt\""), "the name in JSON");
    CHECK(strstr(printed, "\"text\":\"caf\xC3\xA9 "
                          "\xEF\xBF\xBD\\n|x\",\"bytes\":\"Y2Fmw6kg/"
                          "wp8eA==\",\"ids\":[5,6,7],\"first_difference\":2"),
          "text that is not UTF-8");
    CHECK(strstr(printed,
                 "\"codebook\":{\"file\":\"x.book.gguf\",\"codebooks\":[{\"m\":4,\"k\":256,"
                 "\"learned\":false,\"values\":false}],\"corpora\":[{\"file\":\"calibration.txt\""),
          "book");
    print(put_markdown, &r);
    CHECK(strstr(printed, "| caf?>>>? ?<br>\\|x |"), "the mark within a character: %s",
          strstr(printed, "| caf"));
}

/* Lines of a column break at spaces and newlines, and count characters. */
static void put_columns(FILE *fp, const void *right) {
    struct page p = {fp, false, &arena};
    struct page_column left = {"left", "one\ntwo", 7, SIZE_MAX};
    CHECK(page_columns(&p, &left, right, &err) == OK, "%s", err.msg);
}
static void columns(void) {
    char text[200];
    for (int i = 0; i < 57; i++) memcpy(text + 2 * i, "\xC3\xA9", 2);
    strcpy(text + 114, " word");
    struct page_column right = {"right", text, 119, 115};
    print(put_columns, &right);
    char want[700];
    snprintf(want, sizeof want, "%-58s | right\n%-58s | %.114s\n%-58s | >>>word\n", "left", "one",
             text, "two");
    CHECK(strcmp(printed, want) == 0, "%s", printed);
}

static void law(void) {
    struct power_law f;
    const double x[] = {1, 4, 9, 16, 25, 0, 2}, y[] = {3, 6, 9, 12, 15, 7, -1};
    CHECK(power_law_fit(x, y, 7, &f) && f.n == 5 && fabs(f.exponent - 0.5) < 1e-12 &&
              fabs(f.factor - 3) < 1e-12 && f.exponent_error < 1e-7 && f.r2 > 1 - 1e-12,
          "3 sqrt x: %g x^%g", f.factor, f.exponent);
    const double x3[] = {1, 2, 4},
                 y3[] = {1, 3, 4}; /* residuals -a, ln 1.5 - a, -a with a = ln(12) / 3 - ln 2 */
    double a = log(12) / 3 - log(2), rest = 2 * a * a + (log(1.5) - a) * (log(1.5) - a),
           ln2 = log(2);
    CHECK(power_law_fit(x3, y3, 3, &f) && fabs(f.exponent - 1) < 1e-12 &&
              fabs(f.exponent_error - sqrt(rest / (2 * ln2 * ln2))) < 1e-12,
          "%g ± %g", f.exponent, f.exponent_error);
    const double same[] = {2, 2, 2};
    CHECK(!power_law_fit(same, y3, 3, &f) && !power_law_fit(x3, y3, 1, &f) &&
              !power_law_fit(x3, y3, 0, &f),
          "nothing to fit");
    const double bad[] = {3, 6, 9, (double)NAN, 15, 7, -1};
    CHECK(!power_law_fit(x, bad, 7, &f), "a law through a point that is no number");
}

/* Windows that share what they find hard, and whose points differ by noise: curve[n] times
 * exp(common + noise). */
enum { LAW_POINTS = 4, LAW_WINDOWS = 16 };
static void law_windows(struct rng *g, double *y, const double *curve, double common,
                        double noise) {
    for (size_t w = 0; w < LAW_WINDOWS; w++) {
        double shared = common * rng_normal(g);
        for (size_t i = 0; i < LAW_POINTS; i++)
            y[w * LAW_POINTS + i] = curve[i] * exp(shared + noise * rng_normal(g));
    }
}

static void student(void) {
    /* closed forms of one and two degrees of freedom, and a table's 5 % and 1 % points */
    for (double t = 0; t < 9; t += 0.37) {
        CHECK(fabs(student_p(t, 1) - (1 - 2 / acos(-1.0) * atan(t))) < 1e-12, "1, t = %g", t);
        CHECK(fabs(student_p(-t, 2) - (1 - t / sqrt(2 + t * t))) < 1e-12, "2, t = %g", t);
    }
    const struct {
        double t, p;
        size_t freedom;
    } table[] = {{2.13145, 0.05, 15},
                 {2.94671, 0.01, 15},
                 {2.22814, 0.05, 10},
                 {4.03214, 0.01, 5},
                 {1.98397, 0.05, 100}};
    for (size_t i = 0; i < 5; i++)
        CHECK(fabs(student_p(table[i].t, table[i].freedom) - table[i].p) < 2e-6, "%zu: %g", i,
              student_p(table[i].t, table[i].freedom));
}

/* A test of the curve: exact laws and noise within the errors pass, whatever the windows share;
 * curves do not. */
static void test_of_the_law(void) {
    const double x[LAW_POINTS] = {0.125, 0.0625, 0.03125, 0.015625},
                 exact[LAW_POINTS] = {0.08, 0.04, 0.02, 0.01};
    const double curved[LAW_POINTS] = {0.07, 0.0483, 0.0271,
                                       0.0088}; /* local exponents 0.54, 0.83, 1.62 */
    double y[LAW_WINDOWS * LAW_POINTS];
    struct power_law_test t;
    struct rng g;
    size_t rejected = 0;
    rng_seed(&g, 5, 0);
    law_windows(&g, y, exact, 0, 0);
    CHECK(power_law_test(x, y, 4, LAW_WINDOWS, 0.01, &t) && t.p == 1 && t.exponent_p == 1,
          "an exact law: p %g, %g", t.p, t.exponent_p);
    law_windows(&g, y, exact, 0.3, 0);
    CHECK(power_law_test(x, y, 4, LAW_WINDOWS, 0.01, &t) && t.p == 1,
          "an exact law in windows that differ: p %g", t.p);
    for (int i = 0; i < 1000; i++) {
        law_windows(&g, y, exact, 0.3, 0.05);
        CHECK(power_law_test(x, y, 4, LAW_WINDOWS, 0.01, &t), "points");
        rejected += t.p < 0.01;
    }
    CHECK(rejected <= 20, "at 1 %%, %zu of 1000 true laws are rejected", rejected);
    for (int i = 0; i < 50; i++) {
        law_windows(&g, y, curved, 0.3, 0.05);
        CHECK(power_law_test(x, y, 4, LAW_WINDOWS, 0.01, &t) && t.p < 1e-4 &&
                  fabs(t.residual) > 0.1 && t.error < 0.03,
              "a curve: p %g, off by %g ± %g", t.p, t.residual, t.error);
        law_windows(&g, y, curved, 0.3, 2);
        CHECK(power_law_test(x, y, 4, LAW_WINDOWS, 0.01, &t) && t.visible > 0.5,
              "errors that hide a curve: %g", t.visible);
    }
    CHECK(!power_law_test(x, y, 2, LAW_WINDOWS, 0.01, &t) && !power_law_test(x, y, 4, 1, 0.01, &t),
          "too few points or windows");
}

/* What is said of it. */
static const char *said_of(const double *curve, double noise, size_t windows) {
    static double y[LAW_WINDOWS * LAW_POINTS], of_point[LAW_POINTS][LAW_WINDOWS];
    static const size_t m[LAW_POINTS] = {2, 4, 8, 16};
    struct comparison c = make();
    struct compare_report r = report_of(&c);
    struct compare_law_point points[LAW_POINTS] = {{0}};
    struct rng g;
    rng_seed(&g, 6, 0);
    law_windows(&g, y, curve, 0.2, noise);
    for (size_t i = 0; i < LAW_POINTS; i++) {
        points[i] = (struct compare_law_point){.m = m[i], .k = 256, .windows = of_point[i]};
        for (size_t w = 0; w < windows; w++) {
            of_point[i][w] = y[w * LAW_POINTS + i];
            estimate_add(&points[i].spearman, 100, 100 * (1 - of_point[i][w]));
        }
    }
    r.paper = true;
    r.law = points;
    r.n_law = LAW_POINTS;
    r.n_law_windows = windows;
    CHECK(compare_report_sum(&r, &err) == OK, "%s", err.msg);
    print(put_markdown, &r);
    char *said = strstr(printed, "The law asks for the exponent 1: ");
    return said ? said + strlen("The law asks for the exponent 1: ") : "nothing";
}

static void verdicts_of_the_law(void) {
    const double exact[LAW_POINTS] = {0.08, 0.04, 0.02, 0.01},
                 curved[LAW_POINTS] = {0.07, 0.0483, 0.0271, 0.0088};
    const double slow[LAW_POINTS] = {0.08, 0.0566, 0.04, 0.0283},
                 fast[LAW_POINTS] = {0.08, 0.0283, 0.01, 0.00354};
    const struct {
        const double *curve;
        double noise;
        size_t windows;
        const char *said;
    } cases[] = {{exact, 0, 16, "it holds here"},
                 {exact, 0.04, 16, "it holds here"},
                 {curved, 0.004, 16, "it does not hold here, the points are no power law"},
                 {curved, 0.04, 16, "it does not hold here, the points are no power law"},
                 {slow, 0.02, 16, "it does not hold here, 1 - rho falls more slowly"},
                 {fast, 0.02, 16, "it holds here as a bound, 1 - rho falls faster"},
                 {exact, 0.04, 1, "that is not settled"},
                 {curved, 0.5, 2, "that is not settled"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *said = said_of(cases[i].curve, cases[i].noise, cases[i].windows);
        CHECK(strncmp(said, cases[i].said, strlen(cases[i].said)) == 0, "case %zu: %.100s", i,
              said);
    }
    said_of(curved, 0, 16);
    CHECK(strstr(printed, "| 4 | 256 | 0.00391 | ") && strstr(printed, " | 0.54 |") &&
              strstr(printed, " | 0.83 |") && strstr(printed, " | 1.62 |"),
          "local exponents: %s", strstr(printed, "local exponent"));
}

/* One prediction and one head that are no numbers are seen in every form, after a merge too. */
static void not_a_number(void) {
    struct comparison c = make(), merged;
    struct comparison_chunk *x = &c.runs[1].chunks[1];
    char path[2][64], *files[2] = {path[0], path[1]};
    for (size_t run = 0; run < RUNS; run++)
        for (size_t k = 0; k < CHUNKS; k++)
            for (int i = 0; i < L * H * FIDELITIES; i++)
                c.runs[run].chunks[k].shadow[i] = (struct moments){1, 0.5, 0.25};
    x->predictions.nll[2] = (double)NAN;
    x->predictions.kld[2] = x->predictions.dp[2] = NAN;
    x->predictions.same_top1[2] = TOP1_UNKNOWN;
    for (int f = 0; f < FIDELITIES; f++)
        x->shadow[4 * FIDELITIES + f].sum = (double)NAN; /* layer 1, head 1 */
    for (size_t i = 0; i < 2; i++) write_share(&c, i, 2, path[i]);
    struct compare_report r = {.arena = &arena};
    CHECK(compare_merge(&r, &merged, files, 2, &err) == OK, "%s", err.msg);
    CHECK(merged.runs[1].chunks[1].predictions.same_top1[2] == TOP1_UNKNOWN &&
              isnan(merged.runs[1].chunks[1].predictions.kld[2]),
          "merged");
    r.main = &merged;
    CHECK(compare_report_sum(&r, &err) == OK, "%s", err.msg);
    const struct comparison_summary *s = compare_sum(&r, 1, 0), *other = compare_sum(&r, 1, 1);
    const double figures[] = {s->perplexity,
                              s->perplexity_error,
                              s->ratio,
                              s->ratio_error,
                              estimate_mean(&s->kld),
                              estimate_error(&s->kld),
                              s->kld_median,
                              s->kld_p99,
                              s->kld_max,
                              estimate_mean(&s->same_top1),
                              s->rms_dp};
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        CHECK(isnan(figures[i]), "forced figure %zu is %g", i, figures[i]);
    for (int f = 0; f < FIDELITIES; f++)
        CHECK(isnan(estimate_mean(&s->all[f])) &&
                  isnan(estimate_mean(&s->layers[FIDELITIES + f])) &&
                  estimate_mean(&s->layers[f]) == 0.5,
              "shadow %d", f);
    CHECK(s->worst_layer == 1, "the worst layer is %zu", s->worst_layer);
    CHECK(!isnan(estimate_mean(&other->kld)) && !isnan(estimate_mean(&other->all[0])),
          "the other text's figures");
    print(put_markdown, &r);
    CHECK(strstr(printed, "| int4 | 1 | NaN | NaN | NaN | NaN |") &&
              strstr(printed, "| int4 | 0 | 0.5000 ± "),
          "%.3000s", printed);
    CHECK(strstr(printed, " | NaN | NaN | NaN | NaN | NaN | NaN | NaN | NaN |\n"),
          "the forced table: %.3000s", printed);
    CHECK(s->cut[0] == 0 &&
              s->cut[1] == c.runs[1].chunks[0].cut[1] + x->cut[1] + c.runs[1].chunks[2].cut[1] &&
              s->cut[1] > 0,
          "rows cut short");
    print(put_csv, &r);
    CHECK(strstr(printed, ",all,all,18,NaN,NaN,NaN,NaN,NaN,NaN,NaN,NaN,"), "%.3000s", printed);
    print(put_json, &r);
    CHECK(!strstr(printed, "nan") && !strstr(printed, "NaN") &&
              strstr(printed, "\"finite\":false,\"perplexity\":[null,null]") &&
              strstr(printed, "\"kld\":{\"mean\":[null,null],\"median\":null") &&
              strstr(printed, "\"finite\":true"),
          "%.3000s", printed);
}

/* Every row of the table of metrics can be written by every format. */
static void metrics_are_complete(void) {
    struct comparison c = make();
    struct compare_report r = report_of(&c);
    bool defined[GROUP_FORCED + 1] = {[GROUP_ROW] = true, [GROUP_SKIPPED] = true};
    CHECK(compare_report_sum(&r, &err) == OK, "%s", err.msg);
    struct metric_place p = {.r = &r, .c = &c, .s = compare_sum(&r, 1, 0), .run = 1};
    p.layer = p.head = METRIC_ALL;
    print(put_csv, &r);
    for (size_t i = 0; i < n_metrics; i++) {
        const struct metric *m = &metrics[i];
        char heading[64];
        snprintf(heading, sizeof heading, ",%s%s", m->name, m->error == ERROR_BESIDE ? "_se" : "");
        CHECK(m->name && m->value && m->unit, "row %zu lacks a name, a unit or a value", i);
        CHECK(metric_named(m->name) == m && (!m->alias || metric_named(m->alias) == m),
              "the name %s comes twice", m->name);
        CHECK((m->left_out & NOT_IN_CSV) || strstr(printed, heading), "%s is not in CSV", m->name);
        CHECK(m->group == GROUP_ROW || (m->left_out & NOT_IN_TABLES) || (m->title && *m->title),
              "%s has no heading", m->name);
        CHECK(metric_figure(m, &p).kind != FIGURE_NONE, "%s has no figure", m->name);
        defined[m->group] = defined[m->group] || m->definition;
    }
    for (int g = 0; g <= GROUP_FORCED; g++) CHECK(defined[g], "group %d is not explained", g);
}

int main(void) {
    if (!mkdtemp(folder)) return 1;
    RUN(shares_add_up);
    RUN(missing_and_twice);
    RUN(broken_shares);
    RUN(awkward_names);
    RUN(columns);
    RUN(metrics_are_complete);
    RUN(law);
    RUN(student);
    RUN(test_of_the_law);
    RUN(verdicts_of_the_law);
    RUN(not_a_number);
    char path[64];
    for (size_t of = 1; of <= 3; of++)
        for (size_t i = 0; i < of; i++) {
            sprintf(path, "%s/%zu-%zu", folder, i, of);
            remove(path);
        }
    rmdir(folder);
    arena_free(&arena);
    return TEST_RESULT;
}
