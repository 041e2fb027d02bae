#!/bin/sh
# Every fuzz target over its corpus: the inputs that reach far, and those that once broke something.
: "${BUILD:=.build/default}"
failed=0
out=$(mktemp)
trap 'rm -f "$out"' EXIT
for source in tests/fuzz/*.c; do
    t=$(basename "$source" .c)
    [ "$t" != replay ] || continue
    if [ ! -d "tests/fuzz/corpus/$t" ]; then
        echo "FAIL $t: no corpus"
        failed=1
    elif $RUN "$BUILD/tests/fuzz/$t" tests/fuzz/corpus/"$t"/* > "$out" 2>&1; then
        echo "ok $t"
    else
        tail -n 20 "$out"
        echo "FAIL $t: not over its corpus"
        failed=1
    fi
done
exit $failed
