/* The sampler against a brute-force float64 account of which tokens may come, and how often. */
#include "test.h"

#include "model/sampler.h"

enum { V = 200 };
static float logits[V];
static struct arena arena;
static const struct sampler_params plain = {.temp = 1, .top_p = 1, .repeat_penalty = 1};

static void fill(uint64_t seed) {
    struct rng r;
    rng_seed(&r, seed, 0);
    for (size_t i = 0; i < V; i++) logits[i] = 2 * (float)rng_normal(&r);
}

/* probability[V] after all filters, straight from their definitions: a full sort, one filter after
 * the other. */
static void expected(const struct sampler_params *p, const int32_t *history, size_t n,
                     double *probability) {
    double z[V], w[V], total = 0;
    size_t order[V], kept = V;
    for (size_t i = 0; i < V; i++) z[i] = logits[i], order[i] = i;
    size_t last =
        p->repeat_last_n < 0 || (size_t)p->repeat_last_n > n ? n : (size_t)p->repeat_last_n;
    for (size_t i = 0; i < V; i++)
        for (size_t j = n - last; j < n; j++)
            if (history[j] == (int32_t)i) {
                z[i] = (float)(z[i] > 0 ? z[i] / p->repeat_penalty : z[i] * p->repeat_penalty);
                break;
            }
    for (size_t i = 0; i < V; i++)
        for (size_t j = i + 1; j < V; j++)
            if (z[order[j]] > z[order[i]] || (z[order[j]] == z[order[i]] && order[j] < order[i])) {
                size_t t = order[i];
                order[i] = order[j];
                order[j] = t;
            }
    if (p->top_k > 0 && (size_t)p->top_k < kept) kept = (size_t)p->top_k;
    for (size_t i = 0; i < kept; i++) total += w[i] = exp(z[order[i]] - z[order[0]]);
    if (p->top_p < 1) {
        double sum = 0;
        size_t i = 0;
        while (i < kept && (i == 0 || sum < p->top_p * total)) sum += w[i++];
        kept = i;
    }
    size_t good = 1;
    while (good < kept && w[good] >= p->min_p) good++;
    kept = good;
    total = 0;
    for (size_t i = 0; i < kept; i++) total += w[i] = exp((z[order[i]] - z[order[0]]) / p->temp);
    for (size_t i = 0; i < V; i++) probability[i] = 0;
    for (size_t i = 0; i < kept; i++) probability[order[i]] = w[i] / total;
}

static void filters_equal_their_definitions(void) {
    const struct sampler_params cases[] = {
        plain,
        {.temp = 0.5, .top_p = 1, .repeat_penalty = 1},
        {.temp = 2, .top_k = 7, .top_p = 1, .repeat_penalty = 1},
        {.temp = 1, .top_k = 1, .top_p = 1, .repeat_penalty = 1},
        {.temp = 1, .top_p = 0.6, .repeat_penalty = 1},
        {.temp = 1, .top_p = 0, .repeat_penalty = 1},
        {.temp = 1.5, .top_p = 1, .min_p = 0.2, .repeat_penalty = 1},
        {.temp = 0.8,
         .top_k = 40,
         .top_p = 0.95,
         .min_p = 0.05,
         .repeat_penalty = 1.3,
         .repeat_last_n = 4},
        {.temp = 1, .top_k = 500, .top_p = 0.9, .repeat_penalty = 2, .repeat_last_n = -1},
    };
    const int32_t history[] = {3, 3, 9, 150, 77, 9};
    enum { DRAWS = 40000 };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sampler s;
        double p[V], chi2 = 0;
        size_t count[V] = {0}, freedom = 0;
        fill(i);
        CHECK(sampler_init(&s, &cases[i], V, &arena), "memory");
        struct rng rng;
        rng_seed(&rng, 100 + i, 0);
        expected(&cases[i], history, 6, p);
        for (int d = 0; d < DRAWS; d++) count[sampler_next(&s, &rng, logits, history, 6, -1)]++;
        double rest = 0, rest_count = 0;
        for (size_t v = 0; v < V; v++) {
            CHECK(p[v] > 0 || count[v] == 0, "case %zu: token %zu came %zu times and should not", i,
                  v, count[v]);
            if (p[v] * DRAWS < 10) {
                rest += p[v] * DRAWS, rest_count += (double)count[v];
                continue;
            }
            double d = (double)count[v] - p[v] * DRAWS;
            chi2 += d * d / (p[v] * DRAWS);
            freedom++;
        }
        if (rest > 10) chi2 += (rest_count - rest) * (rest_count - rest) / rest;
        /* mean f, deviation sqrt(2 f): five deviations, with a fixed seed */
        CHECK(chi2 <= (double)freedom + 5 * sqrt(2.0 * (double)freedom),
              "case %zu: chi squared %g of %zu", i, chi2, freedom);
    }
}

static void greedy_takes_the_lowest_of_equals(void) {
    struct sampler s;
    struct rng rng;
    struct sampler_params p = plain;
    rng_seed(&rng, 1, 0);
    p.temp = 0;
    CHECK(sampler_init(&s, &p, V, &arena), "memory");
    for (size_t i = 0; i < V; i++) logits[i] = -1;
    CHECK(sampler_next(&s, &rng, logits, NULL, 0, -1) == 0, "all equal");
    logits[40] = logits[12] = logits[199] = 3;
    CHECK(sampler_next(&s, &rng, logits, NULL, 0, -1) == 12, "three equal");
    CHECK(sampler_next(&s, &rng, logits, NULL, 0, 12) == 40, "12 is banned");
    p = plain;
    p.top_k = 1; /* sampling among one keeps the same rule */
    CHECK(sampler_init(&s, &p, V, &arena), "memory");
    CHECK(sampler_next(&s, &rng, logits, NULL, 0, -1) == 12, "top-k 1");
}

static void seeds_and_streams(void) {
    const struct { uint64_t seed, stream; } from[4] = {{1, 0}, {1, 0}, {1, 1}, {2, 0}};
    struct rng rng[4];
    struct sampler s;
    size_t same[4] = {0}, n = 200;
    fill(5);
    CHECK(sampler_init(&s, &plain, V, &arena), "memory");
    for (size_t k = 0; k < 4; k++) rng_seed(&rng[k], from[k].seed, from[k].stream);
    for (size_t i = 0; i < n; i++) {
        int32_t x = sampler_next(&s, &rng[0], logits, NULL, 0, -1);
        for (size_t k = 1; k < 4; k++)
            same[k] += sampler_next(&s, &rng[k], logits, NULL, 0, -1) == x;
    }
    CHECK(same[1] == n, "the same seed gives %zu of %zu equal draws", same[1], n);
    CHECK(same[2] < n / 2 && same[3] < n / 2, "another stream %zu, another seed %zu of %zu equal",
          same[2], same[3], n);
}

static void logprobs(void) {
    struct candidate top[V], work[V];
    fill(9);
    logits[17] = logits[4] = 9; /* a tie at the top */
    double log_sum = logprobs_top(logits, V, NULL, top, V, work), z = 0, total = 0;
    for (size_t i = 0; i < V; i++) z += exp((double)logits[i]);
    CHECK(fabs(log_sum - log(z)) < 1e-12, "%g, expected %g", log_sum, log(z));
    CHECK(top[0].id == 4 && top[1].id == 17, "%d, %d", top[0].id, top[1].id);
    for (size_t i = 0; i < V; i++) {
        total += exp((double)top[i].logit);
        CHECK(i == 0 || top[i].logit <= top[i - 1].logit, "not sorted at %zu", i);
        CHECK(fabs(top[i].logit - (logits[top[i].id] - log(z))) < 1e-6, "token %d", top[i].id);
    }
    CHECK(fabs(total - 1) < 1e-6, "sum %g", total);
}

/* Nothing can be chosen where a logit is NaN, wherever it stands and whatever the filters would
 * leave of it. */
static void nan_is_never_chosen(void) {
    const struct sampler_params all[] = {
        plain, {.temp = 0, .top_p = 1, .repeat_penalty = 1}, {0.8, 5, 0.9, 0.1, 1.3, -1, NULL}};
    struct rng r;
    rng_seed(&r, 1, 0);
    for (size_t p = 0; p < 3; p++) {
        struct sampler s;
        CHECK(sampler_init(&s, &all[p], V, &arena), "memory");
        for (size_t at = 0; at < V; at++) {
            fill(at);
            logits[at] = NAN;
            int32_t id = sampler_next(&s, &r, logits, NULL, 0, -1);
            CHECK(id == -1, "NaN at %zu: %d was chosen", at, id);
        }
        fill(1);
        CHECK(sampler_next(&s, &r, logits, NULL, 0, -1) >= 0, "sound logits");
    }
}

/* Tokens that must never come: the draws are those of a vocabulary without them. */
static void never_chosen(void) {
    const struct sampler_params cases[] = {
        {.temp = 0, .top_p = 1, .repeat_penalty = 1},
        {.temp = 1, .top_p = 1, .repeat_penalty = 1},
        {.temp = 50, .top_p = 1, .repeat_penalty = 1},
        {.temp = 1, .top_k = 5, .top_p = 1, .repeat_penalty = 1},
        {.temp = 1, .top_k = V, .top_p = 1, .repeat_penalty = 1},
        {.temp = 1, .top_p = 0.7, .min_p = 0.01, .repeat_penalty = 1}};
    uint8_t never[V];
    float fewer[V], all[V];
    int32_t id[V];
    struct candidate top[V], work[V];
    size_t n = 0;
    fill(7);
    for (size_t i = 0; i < V; i++) {
        never[i] = i % 3 == 0 || logits[i] > 2;
        if (never[i]) continue;
        id[n] = (int32_t)i;
        fewer[n++] = logits[i];
    }
    memcpy(all, logits, sizeof all);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sampler_params p = cases[i];
        struct sampler with, without;
        struct rng a, b;
        rng_seed(&a, 3, i);
        rng_seed(&b, 3, i);
        CHECK(sampler_init(&without, &p, n, &arena), "memory");
        p.never = never;
        CHECK(sampler_init(&with, &p, V, &arena), "memory");
        for (int d = 0; d < 500; d++) {
            int32_t got = sampler_next(&with, &a, all, NULL, 0, -1),
                    want = id[sampler_next(&without, &b, fewer, NULL, 0, -1)];
            CHECK(got == want, "case %zu, draw %d: %d, expected %d", i, d, (int)got, (int)want);
        }
        CHECK(sampler_next(&with, &a, all, NULL, 0, V + 5) != V + 5,
              "a banned token that no row stands for");
    }
    double log_sum = logprobs_top(all, V, NULL, top, V, work);
    CHECK(never[top[0].id], "the best must not be chosen");
    CHECK(logprobs_top(all, V, never, top, n, work) == log_sum,
          "the model's own log-probabilities");
    for (size_t i = 0; i < n; i++)
        CHECK(!never[top[i].id] && top[i].logit == (float)(all[top[i].id] - log_sum), "place %zu",
              i);
}

int main(void) {
    RUN(filters_equal_their_definitions);
    RUN(greedy_takes_the_lowest_of_equals);
    RUN(seeds_and_streams);
    RUN(logprobs);
    RUN(nan_is_never_chosen);
    RUN(never_chosen);
    arena_free(&arena);
    return TEST_RESULT;
}
