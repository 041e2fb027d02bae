# What the test scripts share; each of them begins with ". tests/lib.sh". It sets the program (BIN),
# the folder of its build (BUILD) and a temporary folder (tmp) that goes away in the end, and it
# takes away the default model. A test stands between `begin NAME` and `end`; what goes wrong in it
# is told to `fail`, of which the first sentence is shown.
BIN=${BIN:-$PWD/lookat} BUILD=${BUILD:-.build/default}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
unset LOOKAT_MODEL LOOKAT_THREADS
name= why=

begin() { name=$1 why=; }
fail() { [ -n "$why" ] || why=$*; }
end() { if [ -n "$why" ]; then echo "FAIL $name: $why"; else echo "ok $name"; fi; }

# exits STATUS COMMAND...: runs it without input; its outputs are then $tmp/out and $tmp/err
exits() {
    want=$1
    shift
    "$@" > "$tmp/out" 2> "$tmp/err" < /dev/null
    got=$?
    [ $got -eq "$want" ] || fail "$* exits $got, expected $want: $(cat "$tmp/err")"
}

# expect STATUS TEXT COMMAND...: the exit status, and TEXT on standard error, or nothing at all
# there where TEXT is empty. A script that sets one_line expects nothing beside TEXT's line.
one_line=
expect() {
    want=$1 text=$2
    shift 2
    exits "$want" "$@"
    if [ -z "$text" ]; then
        [ ! -s "$tmp/err" ] || fail "$*: '$(cat "$tmp/err")' on standard error"
        return
    fi
    grep -qF -e "$text" "$tmp/err" || fail "$*: expected '$text', got '$(cat "$tmp/err")'"
    [ -z "$one_line" ] || [ "$(wc -l < "$tmp/err")" -eq 1 ] ||
        fail "$*: more than one line on standard error"
}

# has FILE TEXT; output TEXT and matches PATTERN are about the standard output of what ran last
has() {
    grep -qF -e "$2" "$1" || fail "expected '$2' in ${1##*/}, got '$(head -c 300 "$1")'"
}
output() { has "$tmp/out" "$1"; }
matches() {
    grep -qE -e "$1" "$tmp/out" ||
        fail "expected '$1' on standard output, got '$(head -c 300 "$tmp/out")'"
}
