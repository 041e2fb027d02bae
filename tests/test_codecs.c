/* The codecs that need no calibration, int8, int4 and turbo, against float64, rows worked out by
 * hand, and naive versions of what they do. */
#include "test.h"

#include <float.h>

#include "attention/backend.h"
#include "attention/rotate.h"
#include "attention/turbo.h"
#include "base/rng.h"
#include "base/threads.h"

enum { ROWS = 9, MAX_D = 128, GUARD = 8 };

static const char *const specs[] = {
    "int8",         "int8:rotate",  "int8:group=2",        "int8:center,rotate",
    "int4",         "int4:rotate",  "int4:group=4,rotate", "int4:center",
    "int4:group=6", "turbo:bits=2", "turbo:bits=3",        "turbo:bits=4"};
static const size_t dims[] = {4, 12, 20, 48, 64, 80, 96, 128};

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define EACH(type, x, of) for (type const *x = of; x < of + COUNT(of); x++)

/* One head with the codec as keys and, where it may, as values. */
struct one {
    struct attn a;
    struct codec_head key, value;
    bool values;
    size_t row; /* bytes */
};

static bool one_open(struct one *o, const char *spec, size_t D, const float *center,
                     struct err *e) {
    struct attn_shape shape = {1, 1, D, ROWS};
    char both[128];
    o->values = !strstr(spec, "center");
    snprintf(both, sizeof both, "%s/%s", spec, o->values ? spec : "fp32");
    if (attn_init(&o->a, &shape, both, NULL, kernels_at(0), e)) return false;
    o->a.center = center;
    o->key = (struct codec_head){o->a.kn, &o->a.layers[0].key, 0, 0, D, center};
    o->value = (struct codec_head){o->a.kn, &o->a.layers[0].value, 0, 0, D, NULL};
    o->row = o->a.layers[0].keys[0].row;
    return true;
}

static void fill_normal(float *x, size_t n, double scale, uint64_t seed) {
    struct rng r;
    rng_seed(&r, seed, 0);
    for (size_t i = 0; i < n; i++) x[i] = (float)(scale * rng_normal(&r));
}

static size_t bits_of(const char *spec) {
    return strncmp(spec, "turbo", 5) == 0  ? (size_t)(spec[11] - '0')
           : strncmp(spec, "int8", 4) == 0 ? 8
                                           : 4;
}

/* Blocks of 32 rows, by packed.h; in others every row lies alone. */
static bool tiled(const struct one *o) {
    size_t D = o->key.head_dim, group = o->key.codec->o.group ? o->key.codec->o.group : D;
    return D % 32 == 0 && group % 32 == 0 && D <= 256;
}

/* The scale of number i of a row. */
static double scale_of(const struct one *o, const uint8_t *timeline, size_t row, size_t i) {
    size_t D = o->key.head_dim, group = o->key.codec->o.group ? o->key.codec->o.group : D,
           scales = D / group * 2, g = i / group;
    const uint8_t *at = timeline + row * o->row + 2 * g;
    if (tiled(o))
        at = timeline + row / 32 * 32 * o->row + 32 * (o->row - scales) + 64 * g + row % 32 * 2;
    return f16_to_f32((uint16_t)(at[0] | at[1] << 8));
}

/* ---- rotations ---- */

/* y = W x by the definition: entry (i, j) of a block is (-1)^(number of bits that i and j share) /
 * sqrt(B). */
static void hadamard(double *y, const double *x, size_t n) {
    size_t B = 1;
    while (n % (2 * B) == 0) B *= 2;
    for (size_t i = 0; i < n; i++) {
        y[i] = 0;
        for (size_t j = i / B * B; j < (i / B + 1) * B; j++) {
            size_t shared = (i & j) % B, ones = 0;
            for (; shared; shared /= 2) ones += shared % 2;
            y[i] += (ones % 2 ? -x[j] : x[j]) / sqrt((double)B);
        }
    }
}

static void hadamard_is_its_definition(void) {
    EACH (size_t, D, dims) {
        float x[MAX_D], again[MAX_D];
        double wide[MAX_D], expected[MAX_D], worst = 0;
        fill_normal(x, *D, 1, *D);
        for (size_t i = 0; i < *D; i++) wide[i] = again[i] = x[i];
        hadamard(expected, wide, *D);
        rotate_hadamard(x, *D);
        for (size_t i = 0; i < *D; i++) worst = fmax(worst, fabs(expected[i] - x[i]));
        CHECK(worst < 2e-6, "%zu: off by %g", *D, worst);
        rotate_hadamard(x, *D);
        worst = 0;
        for (size_t i = 0; i < *D; i++) worst = fmax(worst, fabs((double)x[i] - again[i]));
        CHECK(worst < 2e-6, "%zu: twice is off the identity by %g", *D, worst);
    }
    float signs[2000];
    size_t negative = 0, changes = 0;
    rotate_signs(signs, COUNT(signs));
    for (size_t i = 0; i < COUNT(signs); i++) {
        CHECK(fabsf(signs[i]) == 1, "sign %zu is %g", i, (double)signs[i]);
        negative += signs[i] < 0;
        changes += i > 0 && signs[i] != signs[i - 1];
    }
    CHECK(negative > 900 && negative < 1100 && changes > 900 && changes < 1100,
          "%zu of 2000 negative, %zu changes", negative, changes);
}

/* ---- rows by hand ---- */

static void rows_by_hand(void) {
    const struct {
        const char *spec;
        float x[4];
        uint8_t row[6];
        float decoded[4];
    } all[] = {
        {"int8",
         {63.5f, -10.1f, 0.26f, -0.24f},
         {0x00, 0x38, 0xff, 0x6c, 0x81, 0x80},
         {63.5f, -10, 0.5f, 0}},
        {"int4", {-4, 3.9f, 0.3f, -1.26f}, {0x00, 0x38, 0xf0, 0x59}, {-4, 3.5f, 0.5f, -1.5f}},
        {"int4", {0, 4, -4, 1}, {0x00, 0xb8, 0x08, 0x6f}, {0, 4, -3.5f, 1}},
        {"int4:rotate",
         {4, 0, 0, 0},
         {0x00, 0xb4, 0x00, 0x00},
         {4, 0, 0, 0}}, /* W x = (2, 2, 2, 2) */
        {"int8:center",
         {64.5f, -9.1f, 1.26f, 0.76f},
         {0x00, 0x38, 0xff, 0x6c, 0x81, 0x80},
         {63.5f, -10, 0.5f, 0}},
    };
    const float center[4] = {1, 1, 1, 1};
    for (size_t i = 0; i < COUNT(all); i++) {
        struct one o;
        struct err e;
        bool open = one_open(&o, all[i].spec, 4, center, &e);
        CHECK(open, "%s", e.msg);
        if (!open) continue;
        _Alignas(64) uint8_t row[KV_BLOCK_MAX * 8];
        float x[4];
        o.key.codec->ops->store(&o.key, row, 0, all[i].x, 4, 1);
        o.key.codec->ops->decode(&o.key, x, row, 0, 1);
        CHECK(memcmp(row, all[i].row, o.row) == 0, "row %zu: %s: other bytes: %02x %02x %02x %02x",
              i, all[i].spec, row[0], row[1], row[2], row[3]);
        for (size_t j = 0; j < 4; j++)
            CHECK(x[j] == all[i].decoded[j], "row %zu: %s: number %zu is %g", i, all[i].spec, j,
                  (double)x[j]);
        attn_free(&o.a);
    }
}

/* ---- turbo ---- */

static double tail(double x) { return erfc(x / sqrt(2)) / 2; } /* P(normal > x) */
static double density(double x) { return exp(-x * x / 2) / sqrt(2 * acos(-1)); }

/* Max's condition and Lloyd's iteration in float64: boundaries half-way, levels at the mean of
 * their cell. Returns the mean squared error. */
static double lloyd_max(double *level, size_t n) {
    double error = 0;
    for (size_t i = 0; i < n; i++) level[i] = 6 * ((double)i + 0.5) / (double)n - 3;
    for (int iteration = 0; iteration < 3000; iteration++) {
        double mean[16];
        error = 1;
        for (size_t i = 0; i < n; i++) {
            double a = i ? (level[i - 1] + level[i]) / 2 : -40,
                   b = i + 1 < n ? (level[i] + level[i + 1]) / 2 : 40;
            double p = tail(a) - tail(b);
            mean[i] = (density(a) - density(b)) / p;
            error -= p * mean[i] * mean[i];
        }
        memcpy(level, mean, n * sizeof *level);
    }
    return error;
}

static void levels_are_lloyd_max(void) {
    const double published[] = {0.1175, 0.03454, 0.009497}; /* Max 1960, table I */
    for (size_t bits = 2; bits <= 4; bits++) {
        double level[16], error = lloyd_max(level, (size_t)1 << bits);
        CHECK(fabs(error - published[bits - 2]) < 1e-4, "%zu bits: error %.6f", bits, error);
        for (size_t i = 0; i < (size_t)1 << bits; i++)
            CHECK(fabs(level[i] - turbo_levels(bits)[i]) < 1e-6,
                  "%zu bits: level %zu is %.9f, expected %.9f", bits, i,
                  (double)turbo_levels(bits)[i], level[i]);
    }
}

/* Code i of row 0. */
static size_t turbo_code(const struct one *o, const uint8_t *timeline, size_t bits, size_t i) {
    uint8_t codes[32 * MAX_D];
    struct tiles t = {.bits = (unsigned)bits,
                      .n = (unsigned)(o->key.head_dim / 32),
                      .per_scale = (unsigned)(o->key.head_dim / 32),
                      .keys = true};
    size_t code = 0;
    if (tiled(o)) return tiles_codes(&t, codes, timeline), codes[i];
    for (size_t b = 0; b < bits; b++)
        code |= (size_t)(timeline[2 + (bits * i + b) / 8] >> (bits * i + b) % 8 & 1) << b;
    return code;
}

/* Codes and scale of a row by the definition, in float64. */
static void turbo_by_definition(void) {
    for (size_t bits = 2; bits <= 4; bits++) {
        EACH (size_t, D, dims) {
            char spec[16];
            struct one o;
            struct err e;
            snprintf(spec, sizeof spec, "turbo:bits=%zu", bits);
            if (!one_open(&o, spec, *D, NULL, &e)) continue;
            const float *level = turbo_levels(bits);
            float x[MAX_D], signs[MAX_D];
            _Alignas(64) uint8_t row[KV_BLOCK_MAX * (2 + MAX_D)];
            double flipped[MAX_D], y[MAX_D], squares = 0, length = 0;
            fill_normal(x, *D, 3, *D);
            rotate_signs(signs, *D);
            o.key.codec->ops->store(&o.key, row, 0, x, *D, 1);
            for (size_t i = 0; i < *D; i++)
                flipped[i] = (double)signs[i] * x[i], squares += (double)x[i] * x[i];
            hadamard(y, flipped, *D);
            for (size_t i = 0; i < *D; i++) {
                double v = y[i] * sqrt((double)*D / squares), nearest = INFINITY, stored;
                size_t code = turbo_code(&o, row, bits, i);
                for (size_t c = 0; c < (size_t)1 << bits; c++)
                    nearest = fmin(nearest, fabs(v - level[c]));
                stored = fabs(v - level[code]);
                CHECK(stored <= nearest + 1e-5,
                      "%s, D %zu: number %zu is %g from its level, the next one %g", spec, *D, i,
                      stored, nearest);
                length += (double)level[code] * level[code];
            }
            double d = scale_of(&o, row, 0, 0), expected = sqrt(squares / length);
            CHECK(fabs(d - expected) <= expected * 0x1p-11 * 1.001,
                  "%s, D %zu: scale %g, expected %g", spec, *D, d, expected);
            attn_free(&o.a);
        }
    }
}

static double dot(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)a[i] * b[i];
    return sum;
}

/* Normal rows: what is left of x beside the direction of its decoded row is the quantiser's error
 * e, and with the length kept, 2 (1 - sqrt(1 - e)). D is large because a unit vector's coordinates
 * have thinner tails than normal numbers: at D 128 the error of 4 bits is 4 % less. */
static void turbo_error_is_the_theory(void) {
    const double theory[] = {0.11748, 0.034548, 0.009501};
    enum { D = 1024, N = 250 };
    for (size_t bits = 2; bits <= 4; bits++) {
        char spec[16];
        struct one o;
        struct err e;
        snprintf(spec, sizeof spec, "turbo:bits=%zu", bits);
        CHECK(one_open(&o, spec, D, NULL, &e), "%s", e.msg);
        double left = 0, error = 0, norm = 0;
        for (size_t n = 0; n < N; n++) {
            float x[D], y[D];
            _Alignas(64) uint8_t row[KV_BLOCK_MAX * (2 + D)];
            fill_normal(x, D, 1, n);
            o.key.codec->ops->store(&o.key, row, 0, x, D, 1);
            o.key.codec->ops->decode(&o.key, y, row, 0, 1);
            double xx = dot(x, x, D), xy = dot(x, y, D), yy = dot(y, y, D);
            left += (1 - xy * xy / (xx * yy)) / N;
            error += (xx - 2 * xy + yy) / xx / N;
            norm = fmax(norm, fabs(sqrt(yy / xx) - 1));
        }
        double t = theory[bits - 2], kept = 2 * (1 - sqrt(1 - t));
        CHECK(fabs(left / t - 1) < 0.01, "%s: error %.6f without the length, in theory %.6f", spec,
              left, t);
        CHECK(fabs(error / kept - 1) < 0.01, "%s: error %.6f, in theory %.6f", spec, error, kept);
        CHECK(norm < 0x1p-11 * 1.01, "%s: a length changes by %g", spec, norm);
        attn_free(&o.a);
    }
}

/* ---- all of them ---- */

/* |error| <= |d| / 2 a number, |d| (1 + 2^-8) for an int4 of the other sign, in the space that is
 * stored. */
static void integer_errors_are_bounded(void) {
    EACH (const char *, spec, specs) {
        if (bits_of(*spec) != 8 && strncmp(*spec, "int4", 4) != 0) continue;
        EACH (size_t, D, dims) {
            struct one o;
            struct err e;
            float center[MAX_D], x[ROWS * MAX_D], y[ROWS * MAX_D];
            _Alignas(64) uint8_t rows[KV_BLOCK_MAX * 2 * MAX_D];
            fill_normal(center, *D, 2, 5);
            if (!one_open(&o, *spec, *D, center, &e)) continue;
            const struct codec_options *opt = &o.key.codec->o;
            fill_normal(x, ROWS * *D, 1, *D);
            o.key.codec->ops->store(&o.key, rows, 0, x, *D, ROWS);
            o.key.codec->ops->decode(&o.key, y, rows, 0, ROWS);
            for (size_t r = 0; r < ROWS; r++) {
                double want[MAX_D], got[MAX_D], a[MAX_D], b[MAX_D];
                for (size_t i = 0; i < *D; i++)
                    a[i] = want[i] =
                        opt->center ? (double)x[r * *D + i] - center[i] : x[r * *D + i];
                for (size_t i = 0; i < *D; i++) b[i] = got[i] = y[r * *D + i];
                if (opt->rotate) hadamard(want, a, *D), hadamard(got, b, *D);
                for (size_t i = 0; i < *D; i++) {
                    double d = scale_of(&o, rows, r, i), error = fabs(want[i] - got[i]);
                    bool other = bits_of(*spec) == 4 && want[i] / d > 7;
                    CHECK(error <= fabs(d) * (other ? 1 + 0x1p-8 : 0.5) + 4e-6,
                          "%s, D %zu: %g becomes %g, scale %g", *spec, *D, want[i], got[i], d);
                }
            }
            attn_free(&o.a);
        }
    }
}

/* Scores are q . decoded row, a mix is the sum of decoded rows, to 1e-5 of the sum of magnitudes,
 * and where queries become 16-bit numbers, to sqrt(32) / 65278 |q| |row| more (a tile's 32 numbers,
 * each off by 1 in 65,278 of the largest); bytes are the closed form and no other is written or
 * counted. */
static void used_as_decoded(void) {
    size_t served = 0;
    EACH (const char *, spec, specs)
        EACH (size_t, at, dims) {
            struct one o;
            struct err e;
            size_t D = *at;
            float center[MAX_D], x[ROWS * MAX_D], y[ROWS * MAX_D], q[MAX_D],
                p[KV_BLOCK_MAX] = {0}, scores[KV_BLOCK_MAX], out[MAX_D];
            float *work = aligned_alloc(64, 4096);
            _Alignas(64) uint8_t rows[KV_BLOCK_MAX * 2 * MAX_D + GUARD];
            fill_normal(center, D, 1, 5);
            fill_normal(x, ROWS * D, 2, D);
            fill_normal(q, D, 1, D + 1);
            fill_normal(p, ROWS, 1, D + 2);
            if (one_open(&o, *spec, D, center, &e)) {
                const struct kv_codec *ops = o.key.codec->ops;
                size_t group = o.key.codec->o.group, scales = group ? 2 * D / group : 2,
                       packed = D * bits_of(*spec) / 8;
                struct attn_counters c = {0}, closed = {0};
                served++;
                CHECK(o.row == scales + packed && ops->scale_bytes(o.key.codec, D, 0) == scales,
                      "%s, D %zu: a row is %zu bytes", *spec, D, o.row);
                CHECK(ops->work_floats(o.key.codec, D, 0) * sizeof(float) <= 4096, "%s, D %zu",
                      *spec, D);
                memset(rows, 0xa5, sizeof rows);
                size_t whole = codec_timeline_bytes(o.key.codec, D, 0, ROWS);
                for (size_t r = 0; r < ROWS; r += 4)
                    ops->store(&o.key, rows, r, x + r * D, D, ROWS - r < 4 ? ROWS - r : 4);
                for (size_t i = 0; i < GUARD; i++)
                    CHECK(rows[whole + i] == 0xa5, "%s, D %zu: a byte past the rows is written",
                          *spec, D);
                ops->decode(&o.key, y, rows, 0, ROWS);
                for (size_t r = 0; r < ROWS; r++) {
                    ops->decode(&o.key, out, rows, r, 1);
                    CHECK(memcmp(out, y + r * D, D * sizeof *out) == 0,
                          "%s, D %zu: row %zu alone is another", *spec, D, r);
                }
                ops->prepare(&o.key, work, q, &c);
                ops->score(&o.key, work, scores, rows, ROWS, &c);
                for (size_t r = 0; r < ROWS; r++) {
                    double size = 0, exact = dot(q, y + r * D, D);
                    for (size_t i = 0; i < D; i++) size += fabs((double)q[i] * y[r * D + i]);
                    double rounded =
                        tiled(&o)
                            ? sqrt(32) / 65278 * sqrt(dot(q, q, D) * dot(y + r * D, y + r * D, D))
                            : 0;
                    CHECK(fabs(exact - scores[r]) <= 1e-5 * size + rounded,
                          "%s, D %zu: score %g, expected %g", *spec, D, (double)scores[r], exact);
                }
                ops->reads(o.key.codec, D, 0, ROWS, false, &closed);
                CHECK(memcmp(&c, &closed, sizeof c) == 0 && c.keys == ROWS * packed &&
                          c.scales == ROWS * scales && !c.values,
                      "%s, D %zu: keys read", *spec, D);
                if (o.values) {
                    memset(&c, 0, sizeof c);
                    memset(&closed, 0, sizeof closed);
                    memset(out, 0, sizeof out);
                    ops->store(&o.value, rows, 0, x, D, ROWS);
                    ops->decode(&o.value, y, rows, 0, ROWS);
                    ops->mix(&o.value, work, out, rows, p, ROWS, &c);
                    ops->finish(&o.value, work, out, &c);
                    double size = 0; /* of any number: a rotation spreads a row's error */
                    for (size_t r = 0; r < ROWS; r++)
                        size += fabs(p[r]) * sqrt(dot(y + r * D, y + r * D, D));
                    for (size_t i = 0; i < D; i++) {
                        double sum = 0;
                        for (size_t r = 0; r < ROWS; r++) sum += (double)p[r] * y[r * D + i];
                        CHECK(fabs(sum - out[i]) <= 1e-5 * size, "%s, D %zu: mix %g, expected %g",
                              *spec, D, (double)out[i], sum);
                    }
                    ops->reads(o.value.codec, D, 0, ROWS, true, &closed);
                    CHECK(memcmp(&c, &closed, sizeof c) == 0 && c.values == ROWS * packed &&
                              c.scales == ROWS * scales && !c.keys,
                          "%s, D %zu: values read", *spec, D);
                }
                attn_free(&o.a);
            }
            free(work);
        }
    /* group=6 and 3 bits are the ones that some of the sizes do not divide by */
    CHECK(served == COUNT(specs) * COUNT(dims) - 5 - 3, "%zu served", served);
}

static void refused(void) {
    const struct {
        const char *spec;
        size_t D;
        bool values;
        const char *expect;
    } all[] = {
        {"int4:group=6", 64, false, "int4: group=6 does not divide a head of 64 dimensions"},
        {"int8:group=128", 64, false, "int8: group=128 does not divide"},
        {"int4:group=3", 12, false, "group=3; two numbers share a byte"},
        {"int4:rotate", 15, false, "two numbers share a byte"},
        {"int8:rotate", 15, false, "rotate needs heads of an even number"},
        {"int4:center", 64, true, "int4: center is for keys"},
        {"int8:center,rotate", 64, true, "int8: center is for keys"},
        {"turbo3", 20, false, "20 codes of 3 bits do not fill whole bytes"},
        {"turbo2", 6, true, "bits=2 needs a multiple of 4"},
        {"turbo", 15, false, "bits=4 needs a multiple of 2"},
        {"turbo:bits=1", 64, false, "bits=1; known: 2, 3, 4"},
        {"turbo:bits=8", 64, false, "bits=8; known: 2, 3, 4"},
        {"turbo:rotate", 64, false, "turbo has no option 'rotate'"},
        {"int8", 2048, false, "heads of 2048 dimensions; it takes up to 1024"},
        {"turbo", 2048, true, "heads of 2048 dimensions; it takes up to 1024"},
    };
    for (size_t i = 0; i < COUNT(all); i++) {
        struct codec c;
        struct err e;
        int rc = codec_parse(&c, all[i].spec, all[i].D, all[i].values, &e);
        CHECK(rc == ERR_USAGE && strstr(e.msg, all[i].expect), "%s for %zu: %s", all[i].spec,
              all[i].D, rc ? e.msg : "taken");
    }
}

/* Numbers far out: what is finite stays finite, what is no number shows, and (under the sanitizer)
 * nothing is converted that does not fit. */
static void extremes(void) {
    enum { D = 64 };
    EACH (const char *, spec, specs) {
        struct one o;
        struct err e;
        if (!one_open(&o, *spec, D, NULL, &e)) continue;
        const float values[] = {0,      -0.0f, 1,     -3,      65504,       1e6f,
                                -1e30f, 1e-6f, 1e-9f, -1e-30f, FLT_TRUE_MIN};
        const struct kv_codec *ops = o.key.codec->ops;
        float x[D], y[D];
        _Alignas(64) uint8_t row[KV_BLOCK_MAX * 2 * D];
        EACH (float, v, values) {
            for (size_t alternate = 0; alternate < 3; alternate++) {
                for (size_t i = 0; i < D; i++)
                    x[i] = alternate == 0   ? *v
                           : alternate == 1 ? (i % 2 ? -*v : *v)
                           : i == 9         ? *v
                                            : 0;
                ops->store(&o.key, row, 0, x, D, 1);
                ops->decode(&o.key, y, row, 0, 1);
                bool finite = true;
                double squares = 0, size = 0, most = 0;
                for (size_t i = 0; i < D; i++) {
                    finite = finite && isfinite(y[i]);
                    squares += ((double)x[i] - y[i]) * ((double)x[i] - y[i]);
                    size += (double)x[i] * x[i];
                    most = fmax(most, fabs(y[i]));
                }
                CHECK(finite, "%s of %g is not finite", *spec, (double)*v);
                if (*v == 0) CHECK(most == 0, "%s: zeros become %g", *spec, most);
                if (fabsf(*v) < 1e-6f)
                    CHECK(most <= 1e-6, "%s: %g becomes %g", *spec, (double)*v, most);
                bool in_range =
                    fabsf(*v) >= 1 && fabsf(*v) <= 65504; /* of the scale, for every codec */
                if (in_range)
                    CHECK(squares <= 0.15 * size, "%s: %g is off by %g of it", *spec, (double)*v,
                          sqrt(squares / size));
            }
        }
        const float wild[] = {NAN, INFINITY, -INFINITY, FLT_MAX};
        EACH (float, v, wild) {
            for (size_t where = 0; where < D; where += 21) {
                bool shows = false;
                fill_normal(x, D, 1, 1);
                x[where] = *v;
                ops->store(&o.key, row, 0, x, D, 1);
                ops->decode(&o.key, y, row, 0, 1);
                for (size_t i = 0; i < D; i++) shows = shows || y[i] != y[i];
                CHECK(shows || *v == *v, "%s: NaN at %zu is lost", *spec, where);
            }
        }
        attn_free(&o.a);
    }
}

/* A finite row is stored finite whatever its size, and store says how many rows f16 was too small
 * for: fp16's numbers, int8's scales of 1/127, int4's of 1/8 of the largest, turbo's root mean
 * square. */
static void rows_cut_short(void) {
    enum { D = 64 };
    static const struct {
        const char *spec;
        double most; /* of a row whose numbers all have this magnitude */
    } all[] = {{"fp32", (double)FLT_MAX},        {"fp16", 65504},       {"int8", 127 * 65504.0},
               {"int8:group=16", 127 * 65504.0}, {"int4", 8 * 65504.0}, {"turbo:bits=4", 65504}};
    static float x[5 * D], y[5 * D];
    for (size_t s = 0; s < sizeof all / sizeof *all; s++) {
        struct one o;
        struct err e;
        bool opened = one_open(&o, all[s].spec, D, NULL, &e);
        CHECK(opened, "%s", e.msg);
        if (!opened) continue;
        const struct kv_codec *ops = o.key.codec->ops;
        static _Alignas(64) uint8_t row[1 << 16];
        bool limited = all[s].most < (double)FLT_MAX;
        for (size_t r = 0; r < 5;
             r++) /* rows 1 and 3 are too large, one in all numbers, one in a single one */
            for (size_t i = 0; i < D; i++) {
                double size = r == 1              ? 1.3 * all[s].most
                              : r == 3 && i == 50 ? (s == 5 ? 1e9 : 1.3 * all[s].most)
                              : r == 2            ? 0.7 * all[s].most
                                                  : 1;
                x[r * D + i] = (float)((i % 3 ? 1 : -1) * fmin(size, (double)FLT_MAX));
            }
        size_t cut = ops->store(&o.key, row, 0, x, D, 5);
        CHECK(cut == (limited ? 2 : 0), "%s: %zu rows cut short", all[s].spec, cut);
        ops->decode(&o.key, y, row, 0, 5);
        for (size_t i = 0; i < 5 * D; i++)
            CHECK(isfinite(y[i]), "%s: number %zu, %g, becomes %g", all[s].spec, i, (double)x[i],
                  (double)y[i]);
        if (s == 1)
            for (size_t i = 0; i < D; i++)
                CHECK(y[D + i] == (i % 3 ? 65504.0f : -65504.0f) &&
                          y[3 * D + i] == (i == 50 ? 65504.0f : x[3 * D + i]),
                      "fp16: %g", (double)y[D + i]);
        x[7] = INFINITY, x[D + 7] = NAN;
        for (size_t i = 0; i < D; i++)
            if (i != 7) x[D + i] = 1;
        if (s == 1) {
            CHECK(ops->store(&o.key, row, 0, x, D, 2) == 0, "what is no number is not cut short");
            ops->decode(&o.key, y, row, 0, 2);
            CHECK(isinf(y[7]) && isnan(y[D + 7]), "%g and %g", (double)y[7], (double)y[D + 7]);
        }
        attn_free(&o.a);
    }
}

/* Whoever stores, rows of several tokens or one, keys, values and the exact keys: counted once a
 * layer and head. */
static void rows_cut_short_are_counted(void) {
    enum { L = 2, H = 3, D = 32, C = H * D, N = 7 };
    static float k[N * C], v[N * C], q[N * C], out[N * C];
    static const struct {
        const char *spec;
        uint64_t each; /* rows of a head that a large key and a large value make */
    } all[] = {{"fp16", 2},
               {"fp32", 0},
               {"fp32/fp16", 1},
               {"int8/fp32", 1},
               {"int8", 2},
               {"turbo:bits=4/int4", 2},
               {"constant/fp16", 1},
               {"constant:window=2/fp32", 1},
               {"int8:window=3/fp32", 2}};
    for (size_t s = 0; s < sizeof all / sizeof *all; s++)
        for (size_t rows = 1; rows <= N; rows += N - 1) {
            struct attn_shape shape = {L, H, D, 32};
            struct attn a;
            struct err e;
            struct attn_counters counters = {0};
            CHECK(attn_init(&a, &shape, all[s].spec, NULL, kernels_at(0), &e) == OK, "%s", e.msg);
            float *center = attn_wants_center(&a) ? calloc(L * C, sizeof *center) : NULL;
            a.center = center;
            void *state = aligned_alloc(64, attn_state_bytes(&a)),
                 *scratch = aligned_alloc(64, attn_scratch_bytes(&a, threads_count()));
            attn_clear(&a, state);
            for (size_t i = 0; i < N * C; i++) k[i] = v[i] = q[i] = 1;
            size_t last = (N - 1) * C;
            k[last + D + 3] = 1e8f;      /* head 1 of the last token */
            v[last + 2 * D + 9] = -1e8f; /* head 2 */
            for (size_t at = 0; at < N; at += rows) {
                struct attn_query item = {.state = state,
                                          .pos = at,
                                          .n = rows,
                                          .k = k + at * C,
                                          .v = v + at * C,
                                          .q = q + at * C,
                                          .out = out + at * C,
                                          .kv_stride = C,
                                          .q_stride = C,
                                          .out_stride = C};
                attn_attend(&a, 1, &item, 1, scratch, &counters, NULL);
            }
            CHECK(attn_take_cut(&a, 0) == 0, "%s: a layer without rows", all[s].spec);
            uint64_t cut = attn_take_cut(&a, 1);
            CHECK(cut == all[s].each, "%s, %zu at a time: %llu, expected %llu", all[s].spec, rows,
                  (unsigned long long)cut, (unsigned long long)all[s].each);
            CHECK(attn_take_cut(&a, 1) == 0, "%s: taken", all[s].spec);
            attn_append(&a, state, 0, 0, N, k, v, C);
            cut = attn_take_cut(&a, 0);
            CHECK(cut == all[s].each, "%s, appended: %llu", all[s].spec, (unsigned long long)cut);
            free(state), free(scratch), free(center);
            attn_free(&a);
        }
}

/* ---- under softmax ---- */

/* out[D] of one query over all ROWS keys in float64 */
static void exact_attention(double *out, const float *q, const float *k, const float *v, size_t D) {
    double s[ROWS], best = -INFINITY, z = 0;
    for (size_t i = 0; i < ROWS; i++)
        best = fmax(best, s[i] = dot(q, k + i * D, D) / sqrt((double)D));
    for (size_t i = 0; i < ROWS; i++) z += s[i] = exp(s[i] - best);
    for (size_t d = 0; d < D; d++) {
        out[d] = 0;
        for (size_t i = 0; i < ROWS; i++) out[d] += s[i] / z * v[i * D + d];
    }
}

/* The worst difference from that of an attention with the spec's keys, for the last position. */
static double attention_error(const char *spec, size_t D, const float *center, const float *q,
                              const float *k, const float *v) {
    struct attn_shape shape = {1, 1, D, ROWS};
    struct attn a;
    struct err e;
    int rc = attn_init(&a, &shape, spec, NULL, kernels_at(0), &e);
    CHECK(rc == OK, "%s", e.msg);
    if (rc) return NAN;
    a.center = center;
    float out[MAX_D];
    double exact[MAX_D], worst = 0;
    void *state = malloc(attn_state_bytes(&a)),
         *scratch = aligned_alloc(64, (attn_scratch_bytes(&a, 64) + 63) / 64 * 64);
    struct attn_counters c = {0};
    struct attn_query item = {.state = state,
                              .pos = ROWS - 1,
                              .n = 1,
                              .q = q,
                              .out = out,
                              .q_stride = D,
                              .out_stride = D};
    attn_clear(&a, state);
    attn_append(&a, state, 0, 0, ROWS, k, v, D);
    attn_attend(&a, 0, &item, 1, scratch, &c, NULL);
    exact_attention(exact, q, k, v, D);
    for (size_t d = 0; d < D; d++) worst = fmax(worst, fabs(exact[d] - out[d]));
    free(state);
    free(scratch);
    attn_free(&a);
    return worst;
}

/* Every score is off by at most delta, so every probability by a factor of at most e^(2 delta), and
 * the output by (e^(2 delta) - 1) max |v|. */
static void eight_bits_are_nearly_exact(void) {
    const char *const keys[] = {"int8/fp32", "int8:rotate/fp32", "int8:center/fp32",
                                "int8:center,rotate/fp32"};
    EACH (size_t, at, dims) {
        size_t D = *at;
        float q[MAX_D], k[ROWS * MAX_D], v[ROWS * MAX_D], center[MAX_D], bare[ROWS * MAX_D];
        fill_normal(q, D, 0.5, 1);
        fill_normal(k, ROWS * D, 1, 2);
        fill_normal(v, ROWS * D, 1, 3);
        fill_normal(center, D, 1, 4);
        for (size_t i = 0; i < ROWS * D; i++) bare[i] = k[i] - center[i % D];
        EACH (const char *, spec, keys) {
            const float *stored = strstr(*spec, "center") ? bare : k;
            double longest = 0, most = 0;
            for (size_t r = 0; r < ROWS; r++)
                longest = fmax(longest, sqrt(dot(stored + r * D, stored + r * D, D)));
            for (size_t i = 0; i < ROWS * D; i++) most = fmax(most, fabs(v[i]));
            /* |q . error| <= |q| sqrt(D) d / 2 with d <= longest / 127, and scores are divided by
             * sqrt(D) */
            double delta = sqrt(dot(q, q, D)) * longest / 254 * (1 + 0x1p-10),
                   worst = attention_error(*spec, D, center, q, k, v);
            CHECK(worst <= (exp(2 * delta) - 1) * most && worst < 0.03,
                  "%s, D %zu: output off by %g", *spec, D, worst);
        }
    }
}

/* Keys that are a large constant and whole multiples of a scale: nothing is lost where the constant
 * is subtracted, much where it is not. */
static void center_is_exact(void) {
    enum { D = 32 };
    struct rng r;
    float q[D], k[ROWS * D], v[ROWS * D], center[D];
    rng_seed(&r, 3, 0);
    fill_normal(q, D, 1, 1);
    fill_normal(v, ROWS * D, 1, 2);
    for (size_t i = 0; i < D; i++) center[i] = (float)rng_below(&r, 64) - 32;
    for (size_t i = 0; i < ROWS * D; i++)
        k[i] = center[i % D] + (float)(i % D == 5 ? 127 : (int)rng_below(&r, 255) - 127) / 64;
    double with = attention_error("int8:center/fp32", D, center, q, k, v),
           without = attention_error("int8/fp32", D, center, q, k, v),
           unknown = attention_error("int8:center/fp32", D, NULL, q, k, v);
    CHECK(with < 1e-4, "off by %g", with); /* keys are exact, the query is rounded to 16 bits */
    CHECK(without > 100 * with, "off by %g without", without);
    CHECK(unknown == without, "off by %g where no constant is known, %g without", unknown, without);
}

int main(void) {
    RUN(hadamard_is_its_definition);
    RUN(rows_by_hand);
    RUN(levels_are_lloyd_max);
    RUN(turbo_by_definition);
    RUN(turbo_error_is_the_theory);
    RUN(integer_errors_are_bounded);
    RUN(used_as_decoded);
    RUN(refused);
    RUN(extremes);
    RUN(rows_cut_short);
    RUN(rows_cut_short_are_counted);
    RUN(eight_bits_are_nearly_exact);
    RUN(center_is_exact);
    return TEST_RESULT;
}
