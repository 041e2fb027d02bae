#!/bin/sh
# Options of a compiler and machines that would change the results are refused with a sentence, and
# others are not.
cc=${CC:-cc}
command -v "${cc%% *}" > /dev/null 2>&1 || { echo "skip builds: no compiler"; exit 0; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0
unset MAKEFLAGS MFLAGS # of the make that runs the tests
begin() { test_name=$1 errors=0; }
fail() { echo "  $test_name: $*"; errors=$((errors + 1)); }
end() {
    if [ $errors -eq 0 ]; then
        echo "ok $test_name"
    else
        echo "FAIL $test_name: $errors checks"
        failed=1
    fi
}

# one source through the Makefile's own rule: what make says of it
compile() { # MAKE-ARGUMENT...
    rm -rf "$tmp/b"
    ${MAKE:-make} -s -j1 BUILD="$tmp/b" CC="$cc" "$@" "$tmp/b/src/base/arena.o" > "$tmp/out" 2>&1
}
refused() { # SENTENCE MAKE-ARGUMENT...
    sentence=$1
    shift
    if compile "$@"; then fail "$* is accepted"; fi
    grep -qF "$sentence" "$tmp/out" || fail "$*: '$(head -n 3 "$tmp/out")' does not say '$sentence'"
}
works() { compile "$@" || fail "$*: $(head -n 3 "$tmp/out")"; }

begin refused_options
refused "lookat is written in C11" CFLAGS=-std=c99
refused "lookat is written in C11" CFLAGS=-ansi
refused "refuses -ffast-math, -Ofast," CFLAGS=-Ofast
refused "refuses -ffast-math, -Ofast," CFLAGS="-O2 -ffast-math"
refused "refuses -ffast-math, -Ofast," CC="$cc -ffast-math"
refused "refuses -ffinite-math-only" CFLAGS=-ffinite-math-only
refused "refuses -funsafe-math-optimizations" CFLAGS=-funsafe-math-optimizations
big=__ORDER_BIG_ENDIAN__
refused "needs a little-endian machine" CFLAGS="-U__BYTE_ORDER__ -D__BYTE_ORDER__=$big"
refused "in float's own precision" CFLAGS="-U__FLT_EVAL_METHOD__ -D__FLT_EVAL_METHOD__=2"
refused "THREADS is 1 (a pool of threads), openmp or 0" THREADS=2
end

begin accepted_options
works CFLAGS=-O0
works CFLAGS="-O2 -std=gnu11"
works CFLAGS="-O1 -std=gnu2x"
works CFLAGS="-O2 -flto"
works THREADS=0
works THREADS=openmp
works CFLAGS="-O2 -ffp-contract=fast" # the Makefile's own comes after it
grep -q -- '-ffp-contract=fast.*-ffp-contract=off' "$tmp/b/flags" ||
    fail "contraction: $(cat "$tmp/b/flags")"
end
exit $failed
