#!/bin/sh
# run.sh SECONDS [TARGET...]: lets libFuzzer look for inputs of each target for some seconds, from its corpus and what it has found before
# (.build/fuzz/found). A crash, a leak or a broken assertion leaves its input in
# .build/fuzz/crashes; exit status 1 then.
seconds=${1:-60}
[ $# -eq 0 ] || shift
here=tests/fuzz out=.build/fuzz failed=0
[ $# -gt 0 ] || set -- $(cd $here && ls -- *.c | sed 's/\.c$//' | grep -v '^replay$')
TMPDIR=${TMPDIR:-/tmp}
[ ! -d /dev/shm ] || TMPDIR=/dev/shm # the targets' files need no disk
export TMPDIR
mkdir -p $out/crashes
for t in "$@"; do
    mkdir -p "$out/found/$t" "$here/corpus/$t"
    if "$out/tests/fuzz/$t" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=1024 \
        -max_len=16384 -artifact_prefix="$out/crashes/$t-" "$out/found/$t" "$here/corpus/$t" > "$out/$t.log" 2>&1; then
        runs=$(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$out/$t.log")
        echo "ok $t: $runs runs, $(find "$out/found/$t" -type f | wc -l) inputs"
    else
        failed=1
        echo "FAIL $t:"
        grep -E -A12 'ERROR|expected|SUMMARY|runtime error' "$out/$t.log" | head -n 40
    fi
done
exit $failed
