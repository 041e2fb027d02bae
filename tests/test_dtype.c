/* Conversions between number types, one by one and by every kernel set, and the two quantisers. */
#include <float.h>

#include "base/rng.h"
#include "stored.h"
#include "test.h"

static struct rng rng;

static bool same_bits(float a, float b) { return memcmp(&a, &b, sizeof a) == 0; }

static void all_patterns_of(enum dtype type) {
    static uint16_t h[65536], back[65536];
    static float f[65536];
    for (size_t i = 0; i < 65536; i++) h[i] = (uint16_t)i;
    EACH_SET(k) {
        k->to_f32(type, f, h, 65536);
        for (size_t i = 0; i < 65536; i++) {
            double want = type == DTYPE_F16 ? small_float(h[i], 5, 10) : small_float(h[i], 8, 7);
            float number = type == DTYPE_F16 ? f16_to_f32(h[i]) : bf16_to_f32(h[i]);
            CHECK(isnan(want) ? isnan(f[i]) && isnan(number)
                              : same_bits(f[i], (float)want) && same_bits(number, f[i]),
                  "%s %s %04zx: %a, not %a", k->name, dtype_name(type), i, (double)f[i], want);
        }
        if (type == DTYPE_F16) k->to_f16(back, f, 65536);
        for (size_t i = 0; i < 65536; i++) {
            uint16_t b = type == DTYPE_F16 ? f32_to_f16(f[i]) : f32_to_bf16(f[i]);
            if (type == DTYPE_F16)
                CHECK(b == back[i], "%s: %04zx comes back as %04x and %04x", k->name, i, b,
                      back[i]);
            if (isnan(f[i]))
                CHECK(isnan(type == DTYPE_F16 ? f16_to_f32(b) : bf16_to_f32(b)),
                      "%04zx: NaN comes back as %04x", i, b);
            else
                CHECK(b == h[i], "%s: %04zx comes back as %04x", k->name, i, b);
        }
    }
}

static void f16_patterns_round_trip(void) { all_patterns_of(DTYPE_F16); }
static void bf16_patterns_round_trip(void) { all_patterns_of(DTYPE_BF16); }

/* Nearest-even by rint in units of the last place; x is no NaN. */
static double nearest(double x, int least_exponent, int fraction_bits, double overflow) {
    int e;
    if (x == 0 || isinf(x)) return x;
    if (fabs(x) >= overflow) return copysign(INFINITY, x);
    frexp(x, &e);
    int ulp = (e - 1 < least_exponent ? least_exponent : e - 1) - fraction_bits;
    return copysign(ldexp(rint(ldexp(x, -ulp)), ulp), x);
}

static void check_narrowing(float x) {
    uint16_t h = f32_to_f16(x), b = f32_to_bf16(x), by_set[9];
    if (isnan(x)) {
        CHECK(isnan(small_float(h, 5, 10)) && isnan(small_float(b, 8, 7)),
              "NaN became %04x and %04x", h, b);
        CHECK(!signbit(x) == !(h >> 15) && !signbit(x) == !(b >> 15), "NaN changed its sign");
    } else {
        double want = nearest(x, -14, 10, 65520), got = small_float(h, 5, 10);
        CHECK(got == want && !signbit(x) == !(h >> 15), "f16 of %a: %a, not %a", (double)x, got,
              want);
        want = nearest(x, -126, 7, ldexp(511, 119)); /* halfway from the largest number to 2^128 */
        got = small_float(b, 8, 7);
        CHECK(got == want && !signbit(x) == !(b >> 15), "bf16 of %a: %a, not %a", (double)x, got,
              want);
    }
    float nine[9];
    for (int i = 0; i < 9; i++) nine[i] = x;
    EACH_SET(k) {
        k->to_f16(by_set, nine, 9);
        CHECK(by_set[0] == h && by_set[8] == h, "%s: f16 of %a: %04x, not %04x", k->name, (double)x,
              by_set[0], h);
    }
}

static void narrowing_is_to_nearest_even(void) {
    for (uint32_t i = 0; i < 0x7c00;
         i++) { /* the tie above each f16 number, and both neighbours of the tie */
        double here = small_float((uint16_t)i, 5, 10),
               next = i + 1 < 0x7c00 ? small_float((uint16_t)(i + 1), 5, 10) : 65536;
        float tie = (float)((here + next) / 2);
        check_narrowing(tie);
        check_narrowing(nextafterf(tie, 0));
        check_narrowing(-nextafterf(tie, INFINITY));
    }
    for (uint32_t i = 0; i < 0x7f80; i += 13) { /* the same for bf16 */
        uint32_t bits = i << 16 | 0x8000;
        float tie;
        memcpy(&tie, &bits, sizeof tie);
        check_narrowing(tie);
        check_narrowing(nextafterf(tie, 0));
        check_narrowing(nextafterf(tie, INFINITY));
    }
    for (int i = 0; i < 30000; i++) {
        uint32_t bits = (uint32_t)rng_u64(&rng);
        float x;
        memcpy(&x, &bits, sizeof x);
        check_narrowing(x);
    }
    const float special[] = {0,       -0.0f,      INFINITY, -INFINITY,    NAN,
                             FLT_MAX, -FLT_MAX,   FLT_MIN,  FLT_TRUE_MIN, 65504,
                             65520,   65519.996f, 0x1p-25f};
    for (size_t i = 0; i < COUNT(special); i++) check_narrowing(special[i]);
}

/* d = 127 / 127 = 1 is 0x3c00; the numbers 0, 4, ... 120, then -127 = 0x81. */
static void q8_0_layout_by_hand(void) {
    float x[32];
    uint8_t block[34];
    for (int i = 0; i < 31; i++) x[i] = 4.0f * (float)i + (i % 2 ? 0.25f : -0.25f);
    x[31] = -127;
    dtype_from_f32(DTYPE_Q8_0, block, x, 32);
    CHECK(block[0] == 0x00 && block[1] == 0x3c, "scale %02x%02x", block[1], block[0]);
    for (int i = 0; i < 31; i++) CHECK(block[2 + i] == 4 * i, "byte %d is %d", i, block[2 + i]);
    CHECK(block[33] == 0x81, "last byte %02x", block[33]);
}

/* The element of largest magnitude is 4, so d = 4 / -8 = -0.5 is 0xb800 and x / d + 8 is the
 * nibble. */
static void q4_0_layout_by_hand(void) {
    static const float x[32] = {4,  0, -3.5f, 1,  -1, 0.5f, 0, 0, 0, 0, 0, 0, 0, 0, 0, -0.5f,
                                -2, 0, 3.5f,  -4, 0,  0,    0, 0, 0, 0, 0, 0, 0, 0, 0, 2};
    static const uint8_t want[18] = {0x00, 0xb8, 0xc0, 0x88, 0x1f, 0xf6, 0x8a, 0x87, 0x88,
                                     0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x49};
    uint8_t block[18];
    dtype_from_f32(DTYPE_Q4_0, block, x, 32);
    for (int i = 0; i < 18; i++)
        CHECK(block[i] == want[i], "byte %d is %02x, not %02x", i, block[i], want[i]);
}

static void quantisation_errors(void) {
    float x[32], most = 0;
    uint8_t block[34];
    for (int round = 0; round < 3000; round++) {
        most = 0;
        for (int i = 0; i < 32; i++) {
            x[i] = (float)(rng_normal(&rng) * pow(10, round % 8 - 4));
            most = fmaxf(most, fabsf(x[i]));
        }
        /* half a step, and q times the rounding of d to f16 (2^-25 more where d is subnormal) */
        dtype_from_f32(DTYPE_Q8_0, block, x, 32);
        for (size_t i = 0; i < 32; i++) {
            double error = fabs(stored(DTYPE_Q8_0, block, i) - x[i]),
                   bound = most * (0.5001 / 127 + 0x1p-11) + 127 * 0x1p-25;
            CHECK(error <= bound, "q8_0: %g of %g, bound %g", error, (double)most, bound);
        }
        dtype_from_f32(DTYPE_Q4_0, block, x, 32);
        for (size_t i = 0; i < 32;
             i++) { /* the nibble 15 also stands for what would be 16: up to a whole step */
            int nibble = i < 16 ? block[2 + i] & 15 : block[2 + i - 16] >> 4;
            double error = fabs(stored(DTYPE_Q4_0, block, i) - x[i]);
            double bound = most * ((nibble == 15 ? 1.0001 : 0.5001) / 8 + 0x1p-11) + 8 * 0x1p-25;
            CHECK(error <= bound, "q4_0: %g of %g, bound %g", error, (double)most, bound);
        }
    }
}

static void quantising_odd_numbers(void) {
    static const float odd[] = {0, FLT_TRUE_MIN, 1e-38f, 1e-7f, FLT_MAX, INFINITY, -INFINITY, NAN};
    uint8_t block[34];
    for (size_t k = 0; k < COUNT(odd); k++)
        for (size_t t = 3; t < 5; t++) {
            float x[32] = {[0] = odd[k], [7] = -odd[k], [31] = k ? 1e-42f : 0};
            dtype_from_f32(types[t], block, x,
                           32); /* under the sanitizers: no undefined conversion */
            for (size_t i = 0; i < 32 && k < 3; i++)
                CHECK(stored(types[t], block, i) == 0, "%s", dtype_name(types[t]));
        }
}

static void names_and_sizes_of_types(void) {
    static const char *const spelled[] = {"f32", "f16", "bf16", "q8_0", "q4_0"};
    static const size_t bytes_of_64[] = {256, 128, 128, 68, 36};
    for (size_t t = 0; t < COUNT(types); t++) {
        CHECK(dtype_known(types[t]) && strcmp(dtype_name(types[t]), spelled[t]) == 0, "%s",
              dtype_name(types[t]));
        CHECK(dtype_parse(spelled[t]) == (int)types[t], "%s", spelled[t]);
        CHECK(dtype_bytes(types[t], 64) == bytes_of_64[t] && dtype_bytes(types[t], 0) == 0, "%s",
              spelled[t]);
    }
    CHECK(dtype_known(12) && strcmp(dtype_name(12), "q4_K") == 0, "%s", dtype_name(12));
    CHECK(!dtype_known(17) && strcmp(dtype_name(17), "iq2_xs") == 0, "%s", dtype_name(17));
    CHECK(!dtype_known(1000) && strcmp(dtype_name(1000), "unknown") == 0, "%s", dtype_name(1000));
    CHECK(!dtype_known(UINT32_MAX) && strcmp(dtype_name(UINT32_MAX), "unknown") == 0, "%s",
          dtype_name(UINT32_MAX));
    CHECK(dtype_parse("q5_K") == -1 && dtype_parse("unknown") == -1 && dtype_parse("") == -1 &&
              dtype_parse("F16") == -1,
          "parsed");
}

/* The largest magnitude that each type holds, and the next one, which it would make infinite: by
 * the formats' own limits (65504 and half a step is 65520 for f16 and for the scales of blocks),
 * and by what conversion makes of them. */
static void ranges(void) {
    static const struct {
        enum dtype type;
        float limit; /* the least magnitude that is too large */
    } t[] = {{DTYPE_F16, 65520},
             {DTYPE_BF16, 0x1.ffp127f},
             {DTYPE_Q8_0, 127 * 65520.0f},
             {DTYPE_Q4_0, 8 * 65520.0f}};
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        const float below = nextafterf(t[i].limit, 0);
        CHECK(!dtype_holds(t[i].type, t[i].limit) && dtype_holds(t[i].type, below),
              "%s ends elsewhere", dtype_name(t[i].type));
        CHECK(dtype_holds(t[i].type, 0) && !dtype_holds(t[i].type, INFINITY) &&
                  !dtype_holds(t[i].type, NAN),
              "%s", dtype_name(t[i].type));
        for (int large = 0; large < 2; large++) {
            float x[32] = {1, [7] = large ? t[i].limit : below}, y[32];
            uint8_t stored[128];
            dtype_from_f32(t[i].type, stored, x, 32);
            kernels_at(0)->to_f32(t[i].type, y, stored, 32);
            CHECK(isfinite(y[7]) ? !large : large, "%s: %g becomes %g", dtype_name(t[i].type),
                  (double)x[7], (double)y[7]);
        }
    }
    CHECK(dtype_holds(DTYPE_F32, 0x1.fffffep127f) && !dtype_holds(DTYPE_F32, INFINITY) &&
              !dtype_holds(DTYPE_F32, NAN),
          "f32");
}

int main(void) {
    rng_seed(&rng, 20240326, 0);
    RUN(names_and_sizes_of_types);
    RUN(f16_patterns_round_trip);
    RUN(bf16_patterns_round_trip);
    RUN(narrowing_is_to_nearest_even);
    RUN(q8_0_layout_by_hand);
    RUN(q4_0_layout_by_hand);
    RUN(quantisation_errors);
    RUN(quantising_odd_numbers);
    RUN(ranges);
    return TEST_RESULT;
}
