#!/bin/sh
# Runs every test program and script, shows what did not pass, and ends with the counts. RUN is put in front of each program (valgrind, qemu).
BUILD=${BUILD:-.build/default} BIN=${BIN:-lookat}
case $BIN in /*) ;; *) BIN=$PWD/$BIN ;; esac
export BUILD BIN
log=$BUILD/tests/log
mkdir -p "$BUILD/tests"
: > "$log"
run_one() { # NAME COMMAND...
    name=$1
    shift
    begin=$(date +%s)
    "$@" > "$log.one" 2>&1
    status=$?
    seconds=$(($(date +%s) - begin))
    sed -E "s/^(ok|FAIL|skip) /\1 $name: /" "$log.one" | tee -a "$log" | grep -v '^ok '
    if [ $status -ne 0 ] && ! grep -q '^FAIL ' "$log.one"; then
        echo "FAIL $name: exit status $status" | tee -a "$log"
    elif [ $status -eq 0 ] && ! grep -Eq '^(ok|skip) ' "$log.one"; then
        echo "FAIL $name: ran no test" | tee -a "$log"
    fi
    [ $seconds -le 5 ] || echo "  $name took $seconds s"
}
for c in tests/test_*.c; do
    [ -e "$c" ] || continue
    t=$(basename "$c" .c)
    run_one "${t#test_}" $RUN "$BUILD/tests/$t"
done
for s in tests/test_*.sh; do
    [ -e "$s" ] || continue
    t=$(basename "$s" .sh)
    run_one "${t#test_}" sh "$s"
done
passed=$(grep -c '^ok ' "$log") failed=$(grep -c '^FAIL ' "$log") skipped=$(grep -c '^skip ' "$log")
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
