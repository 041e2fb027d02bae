/* Stop strings against a search from every place of the text: random texts of few letters, cut into
 * pieces of random lengths. */
#include "test.h"

#include "base/rng.h"
#include "model/stop_text.h"

static struct rng rng;

static void letters(char *out, size_t n, uint64_t alphabet) {
    for (size_t i = 0; i < n; i++) out[i] = (char)('a' + rng_below(&rng, alphabet));
    out[n] = 0;
}

/* Does one of the strings end at one of the bytes from..to of the text? */
static bool ends_within(const char *text, size_t from, size_t to, char strings[][16], size_t n) {
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(strings[i]);
        for (size_t end = from + 1; end <= to; end++)
            if (end >= len && memcmp(text + end - len, strings[i], len) == 0) return true;
    }
    return false;
}

static void as_a_search_finds_them(void) {
    size_t found = 0, pieces = 0;
    rng_seed(&rng, 5, 0);
    for (size_t round = 0; round < 400; round++) {
        struct arena a = {0};
        struct stop_text t;
        char strings[3][16], text[2][201];
        const char *p[3];
        uint64_t alphabet = 1 + rng_below(&rng, 4);
        size_t n = 1 + rng_below(&rng, 3), at[2] = {0};
        for (size_t i = 0; i < n; i++) {
            letters(strings[i], 1 + rng_below(&rng, 15), alphabet);
            p[i] = strings[i];
        }
        letters(text[0], 200, alphabet), letters(text[1], 200, alphabet);
        CHECK(stop_text_init(&t, p, n, 2, &a), "memory");
        while (at[0] < 200 || at[1] < 200) { /* two samples in turn */
            size_t x = rng_below(&rng, 2), take = rng_below(&rng, 9);
            if (take > 200 - at[x]) take = 200 - at[x];
            bool want = ends_within(text[x], at[x], at[x] + take, strings, n),
                 got = stop_text_read(&t, x, (const uint8_t *)text[x] + at[x], take);
            CHECK(got == want, "round %zu, bytes %zu to %zu of %s: %d", round, at[x], at[x] + take,
                  text[x], got);
            at[x] += take;
            found += got, pieces++;
        }
        arena_free(&a);
    }
    CHECK(found > pieces / 20 && found < pieces / 2, "%zu of %zu pieces", found, pieces);
}

static void overlapping_ends(void) {
    struct arena a = {0};
    struct stop_text t;
    const char *p[] = {"aba", "\303\251"};
    CHECK(stop_text_init(&t, p, 2, 1, &a), "memory");
    static const struct {
        const char *piece;
        bool ends;
    } pieces[] = {{"ab", false},  {"a", true},     {"b", false}, {"a", true},
                  {"", false},    {"\303", false}, {"x", false}, {"\303", false},
                  {"\251", true}, {"xabax", true}, {"ba", false}};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        CHECK(stop_text_read(&t, 0, (const uint8_t *)pieces[i].piece, strlen(pieces[i].piece)) ==
                  pieces[i].ends,
              "piece %zu", i);
    arena_free(&a);
}

int main(void) {
    RUN(as_a_search_finds_them);
    RUN(overlapping_ends);
    return TEST_RESULT;
}
