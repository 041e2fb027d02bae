/* What the compiler and its options must give, or there is no program: the Makefile includes this
 * file in front of every source. Each rule here is one whose breach would compile, and then write
 * another text without a word. */
#ifndef LOOKAT_BASE_REQUIRE_H
#define LOOKAT_BASE_REQUIRE_H

#if !defined(__STDC_VERSION__) || __STDC_VERSION__ < 201112L
#error "lookat is written in C11: leave -std= out of CFLAGS, or give c11 or a later one"
#endif

/* Weights, codebooks and golden files are little-endian, and weights are used where the file is
 * mapped. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "lookat needs a little-endian machine: model files are used as they lie on disk"
#endif

/* Sums run in a stated order, and NaN and infinity are looked for. */
#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__)
#error "lookat refuses -ffast-math, -Ofast, -funsafe-math-optimizations: they change its results"
#endif
#if defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__
#error "lookat refuses -ffinite-math-only: it could no longer tell when a number is not finite"
#endif

/* A float expression has the precision of float: 0, or 16 where the machine computes with _Float16
 * too. The x87 unit has not. */
#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0 && __FLT_EVAL_METHOD__ != 16
#error \
    "lookat needs float arithmetic in float's own precision; on 32-bit x86 give -msse2 -mfpmath=sse"
#endif

#endif
