#!/bin/sh
# Every broken file through the program: exit status 3 and one line on standard error that names the file, whatever it is asked to do with it.
BIN=${BIN:-$PWD/lookat}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
unset LOOKAT_MODEL
mkdir "$tmp/bad"
n=$("${BUILD:-.build/default}/tests/bad_files" "$tmp/bad") || exit 1

# refused PATH COMMAND...
refused() {
    path=$1
    shift
    "$@" < /dev/null > "$tmp/out" 2> "$tmp/err"
    got=$?
    { IFS= read -r line; read -r second; } < "$tmp/err"
    why=
    [ $got -eq 3 ] || why="exit status $got"
    [ ! -s "$tmp/out" ] || why="something on standard output"
    [ -z "$second" ] || why="more than one line"
    case $line in "lookat: "*"$path"*) ;; *) why="the file is not named" ;; esac
    [ -z "$why" ] || { echo "  $*: $why: $line"; failed=$((failed + 1)); }
    runs=$((runs + 1))
}
result() { # NAME MINIMUM
    if [ $failed -eq 0 ] && [ $runs -ge "$2" ]; then echo "ok $1"; else echo "FAIL $1: $failed of $runs wrong, expected $2 or more"; fi
}

runs=0 failed=0
while read -r use path; do
    [ "$use" = model ] || continue
    refused "$path" "$BIN" info "$path"
    refused "$path" "$BIN" generate -m "$path" -n 1 -p x
done < "$tmp/bad/list"
result models 500

runs=0 failed=0
while read -r use path; do
    [ "$use" = vocab ] || continue
    refused "$path" "$BIN" tokenize -z "$path" -p x
done < "$tmp/bad/list"
result tokenizers 60
