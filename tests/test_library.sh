#!/bin/sh
# The library from outside: installed below a prefix, what its archive lets see, and the example
# tests/embed.c built with it, as C and as C++.
. tests/lib.sh
m=$PWD/weights/stories6M.gguf here=$PWD
unset MAKEFLAGS MFLAGS # of the make that runs the tests
LIBRARY=$BUILD/lib/liblookat.a
[ -e "$LIBRARY" ] || { echo "skip library: make lib has not made $LIBRARY"; exit 0; }

# the library as it was built (-o: never built again)
begin installed
${MAKE:-make} -s -o "$BIN" -o "$LIBRARY" BUILD="$BUILD" BIN="$BIN" PREFIX="$tmp/prefix" install > "$tmp/make" 2>&1 ||
    fail "make install: $(cat "$tmp/make")"
for f in lib/liblookat.a lib/pkgconfig/lookat.pc include/lookat.h; do
    cmp -s "$tmp/prefix/$f" "$BUILD/$f" || fail "no $f"
done
cmp -s "$tmp/prefix/include/lookat.h" src/embed/lookat.h || fail "another header"
! grep -n '#include "' src/embed/lookat.h || fail "lookat.h includes a header of the program"
end

# The functions of the header, and nothing else, where the tools can hide the rest.
begin names
sed -n 's/^[a-z].*[ *]\(lookat_[a-z_]*\)(.*/\1/p' src/embed/lookat.h | sort > "$tmp/want"
[ "$(wc -l < "$tmp/want")" -ge 20 ] || fail "$(wc -l < "$tmp/want") functions in lookat.h"
if command -v nm > /dev/null && [ "$(uname)" = Linux ] && nm -g "$LIBRARY" > "$tmp/names" 2> /dev/null; then
    awk 'NF == 3 { print $3 }' "$tmp/names" | sort > "$tmp/found"
    diff "$tmp/want" "$tmp/found" > "$tmp/diff" || fail "$(head -n 5 "$tmp/diff")"
    # what would act on the whole host program
    if grep -wE 'U (exit|_Exit|quick_exit|printf|puts|putchar|setlocale|stdout|stderr|atexit)' "$tmp/names" > "$tmp/bad"; then
        fail "the library calls $(head -n 1 "$tmp/bad")"
    fi
fi
end

flags=$(PKG_CONFIG_PATH=$tmp/prefix/lib/pkgconfig pkg-config --cflags --libs lookat 2> /dev/null) ||
    flags="-I$tmp/prefix/include -L$tmp/prefix/lib $(sed -n 's/^Libs: [^ ]* //p' "$tmp/prefix/lib/pkgconfig/lookat.pc")"
strict="-Wall -Wextra -Wpedantic -Wshadow -Werror"

# same NAME SPEC SEED N PROMPT: the example writes what the command writes
same() {
    # shellcheck disable=SC2086
    (cd "$tmp/elsewhere" && $RUN "$tmp/$1" "$m" "$2" "$3" "$4" "$5") > "$tmp/out" 2> "$tmp/err" < /dev/null ||
        fail "$1 $2 exits $?: $(cat "$tmp/err")"
    # shellcheck disable=SC2086
    $RUN "$BIN" -m "$m" -a "$2" -s "$3" -n "$4" -p "$5" -q > "$tmp/want" 2> /dev/null < /dev/null
    [ -s "$tmp/want" ] && cmp -s "$tmp/want" "$tmp/out" || fail "$1 $2 writes '$(cat "$tmp/out")', expected '$(cat "$tmp/want")'"
}
mkdir "$tmp/elsewhere"

begin example_as_c
# shellcheck disable=SC2086
if ${CC:-cc} ${CFLAGS:-} -std=c11 $strict tests/embed.c $flags -o "$tmp/embed" > "$tmp/said" 2>&1; then
    same embed fp16 7 60 "Once upon a time"
    same embed int4:sink=1,window=32/int4 8 60 "The dog and the cat"
    same embed fp16+lookat4@2- 9 40 "One day"
    same embed int8/int8 1 20 "$(head -c 1300 tests/texts/prose.txt)"
    "$BIN" tokenize -m "$m" -p "One day" < /dev/null | grep -q . || fail "no tokens"
    grep -Eq '^int8.*: [0-9]+ tokens, [1-9][0-9]* bytes stored, [1-9][0-9]* streamed' "$tmp/err" || fail "says '$(cat "$tmp/err")'"
    LOOKAT_MODEL=$m exits 0 "$tmp/embed" - fp16 1 5 "Once"
    exits 1 "$tmp/embed" "$tmp/none.gguf" fp16 1 5 "Once"
    has "$tmp/err" "none.gguf: cannot open"
    exits 1 "$tmp/embed" "$m" fp17 1 5 "Once"
    has "$tmp/err" "fp17"
    [ ! -s "$tmp/out" ] || fail "an error writes to standard output"
    (cd "$tmp/elsewhere" && exits 1 "$tmp/embed" - fp16 1 5 "Once" && has "$tmp/err" "no model is named"; [ -z "$why" ]) || fail "without a model: $(cat "$tmp/err")"
else
    fail "$(head -n 5 "$tmp/said")"
fi
end

# a program that is German: a comma in its numbers
begin another_locale
if [ -x "$tmp/embed" ] && command -v localedef > /dev/null && localedef -i de_DE -f UTF-8 "$tmp/de_DE.UTF-8" > /dev/null 2>&1; then
    export LOCPATH="$tmp" LC_ALL=de_DE.UTF-8
    same embed int8/int8:skip=0.001 3 30 "Once upon a time"
    grep -q 'skip=0.001: ' "$tmp/err" || fail "says '$(cat "$tmp/err")'"
    unset LOCPATH LC_ALL
    end
else
    echo "skip another_locale: no localedef with de_DE"
fi

# what a sanitizer adds is that of one compiler
case ${CC:-cc}:${CFLAGS:-} in
*clang*:*-fsanitize*) some=clang++ ;;
*:*-fsanitize*) some=g++ ;;
*) some="g++ clang++" ;;
esac
cxx=
for c in $some; do
    # shellcheck disable=SC2086
    if command -v $c > /dev/null && echo 'int main() { return 0; }' | $c ${CFLAGS:-} -x c++ -o "$tmp/one" - > /dev/null 2>&1; then cxx="$cxx $c"; fi
done
if [ -n "$cxx" ] && [ -z "$RUN" ]; then
    begin example_as_cxx
    for c in $cxx; do
        # shellcheck disable=SC2086
        $c ${CFLAGS:-} $strict -x c++ tests/embed.c -x none $flags -o "$tmp/embed++" > "$tmp/said" 2>&1 || fail "$c: $(head -n 5 "$tmp/said")"
        same embed++ fp16 7 20 "Once upon a time"
    done
    end
else
    echo "skip example_as_cxx: no compiler for C++"
fi
cd "$here" || exit 1
