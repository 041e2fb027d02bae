#!/bin/sh
# Runs every test program and script, or those that ONLY names: a line for each with what passed and
# how long it took, what did not pass, and the counts at the end. On a terminal the name stands there
# while the test runs. RUN is put in front of each program (valgrind, qemu).
BUILD=${BUILD:-.build/default} BIN=${BIN:-lookat}
case $BIN in /*) ;; *) BIN=$PWD/$BIN ;; esac
export BUILD BIN
log=$BUILD/tests/log
mkdir -p "$BUILD/tests"
: > "$log"
run_one() { # NAME COMMAND...
    name=$1
    shift
    case " ${ONLY:-$name} " in *" $name "*) ;; *) return ;; esac
    begin=$(date +%s)
    [ ! -t 1 ] || printf '%s ...\r' "$name"
    "$@" > "$log.one" 2>&1
    status=$?
    seconds=$(($(date +%s) - begin))
    sed -E "s/^(ok|FAIL|skip) /\1 $name: /" "$log.one" | tee -a "$log" | grep -v '^ok '
    if [ $status -ne 0 ] && ! grep -q '^FAIL ' "$log.one"; then
        echo "FAIL $name: exit status $status" | tee -a "$log"
    elif [ $status -eq 0 ] && ! grep -Eq '^(ok|skip) ' "$log.one"; then
        echo "FAIL $name: ran no test" | tee -a "$log"
    fi
    printf '%-18s %3s passed, %s s\n' "$name" "$(grep -c '^ok ' "$log.one")" "$seconds"
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
