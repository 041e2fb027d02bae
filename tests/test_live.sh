#!/bin/sh
# The lines of generate --fidelity on a terminal: they stand under the text while it grows, never in
# it, and are gone at the end. tests/screen.py plays the terminal; the last test asks tmux.
. tests/lib.sh
export LOOKAT_MODEL="$PWD/weights/stories6M.gguf"
unset NO_COLOR COLUMNS LINES
TERM=xterm
export TERM
python3 -c 'import pty, fcntl, termios' 2> "$tmp/err" || { echo "skip live: no python3 with terminals"; exit 0; }
text="Once upon a time"
more="-n 60 -s 1 -a lookat4 --fidelity --log $tmp/log"
with=TERM=xterm # the environment

# screen COLUMNS ROWS OPTION...: the last screen is $tmp/out, those before it $tmp/frames
screen() {
    columns=$1 rows=$2
    shift 2
    # shellcheck disable=SC2086
    env "$with" python3 tests/screen.py "$columns" "$rows" "$tmp/frames" "$BIN" -p "$text" $more "$@" \
        > "$tmp/out" 2> "$tmp/err"
    got=$?
    [ $got -eq 0 ] || fail "$*: exits $got: $(cat "$tmp/err")"
}
# folded COLUMNS OPTION...: the text through a pipe, cut into the lines of a terminal
folded() {
    columns=$1
    shift
    # shellcheck disable=SC2086
    "$BIN" -p "$text" $more "$@" 2> "$tmp/err" > "$tmp/pipe" || fail "$*: $(cat "$tmp/err")"
    grep -q "$(printf '\033')" "$tmp/pipe" "$tmp/err" && fail "$*: sequences in a pipe"
    { cat "$tmp/pipe"; echo; } | fold -w "$columns" | sed 's/ *$//' > "$tmp/folded"
}
# under LINES PATTERN: each frame is a beginning of the text, ends at the cursor, and has LINES lines
# behind it, which match PATTERN
under() {
    awk -v lines="$1" -v pattern="$2" '
        function check(    i, t, last) {
            if (!n) return
            frames++
            last = n - lines
            for (i = last + 1; i <= n; i++) if (frame[i] !~ pattern) { print "frame " frames ": " frame[i]; exit 1 }
            for (i = 1; i < last; i++) if (frame[i] != want[i]) { print "frame " frames ", line " i ": " frame[i]; exit 1 }
            if (substr(want[last], 1, length(frame[last])) != frame[last] || y != last - 1 || length(frame[last]) > x) {
                print "frame " frames ": ends with " frame[last] " and the cursor at " x " " y; exit 1
            }
        }
        FNR == NR { want[FNR] = $0; next }
        /^-- / { check(); n = 0; x = $2; y = $3; next }
        { frame[++n] = $0 }
        END { check(); if (frames < 40) print frames + 0 " frames" }' "$tmp/folded" "$tmp/frames" > "$tmp/wrong"
    [ ! -s "$tmp/wrong" ] || fail "$(head -n 1 "$tmp/wrong")"
}

begin every_layer
folded 70 -q
# a screen that is high enough, and one on which text and lines scroll
for rows in 40 9; do
    screen 70 $rows --ignore-eos
    folded 70 --ignore-eos
    under 6 '^layer [0-5]   cosine [01]\.[0-9]+  kl [0-9.]+  spearman [-01.0-9]+  top5 [01.0-9]+$'
    n=$(wc -l < "$tmp/folded")
    head -n "$n" "$tmp/out" | cmp -s - "$tmp/folded" || fail "$rows rows: the last screen has '$(head -c 300 "$tmp/out")'"
    tail -n "+$n" "$tmp/out" | grep -q "^layer" && fail "$rows rows: lines are left"
    grep -q "^attention lookat" "$tmp/out" || fail "$rows rows: no figures at the end"
done
end

begin worst_layer
# with -q, and where there is no room for six; the lines end before the last column
for rows in 30 7; do
    screen 40 $rows -q
    folded 40 -q
    under 1 '^worst: layer [0-9]   cosine [01]\.[0-9]+  kl 0'
    cmp -s "$tmp/out" "$tmp/folded" || fail "the last screen has '$(head -c 300 "$tmp/out")'"
    awk '/^worst/ && length($0) > 39 { exit 1 }' "$tmp/frames" || fail "a line reaches the last column"
done
screen 70 6 --ignore-eos
folded 70 --ignore-eos
under 1 '^worst: layer 0   cosine 0\.[0-9]+  kl 0\.[0-9]+  spearman [01]\.[0-9]+  top5 [01]\.[0-9]+$'
end

# Where nothing is to be drawn nothing is, and no line is brighter without colours.
begin respected
with=TERM=dumb
screen 70 30 -q
[ ! -s "$tmp/frames" ] || fail "TERM=dumb: $(head -n 3 "$tmp/frames")"
with=TERM=
screen 70 30 -q
[ ! -s "$tmp/frames" ] || fail "no TERM: $(head -n 3 "$tmp/frames")"
with=TERM=xterm
screen 70 30 -q -o jsonl
[ ! -s "$tmp/frames" ] || fail "jsonl: $(head -n 3 "$tmp/frames")"
raw() { # OPTION...: what the terminal is sent
    # shellcheck disable=SC2086
    env "$with" python3 tests/screen.py --talk 70 30 "$BIN" -p "$text" $more "$@" < /dev/null > "$tmp/raw" 2>&1 || fail "$*: $?"
}
dim=$(printf '\033[2m')
raw
grep -qF "$dim" "$tmp/raw" || fail "all lines are as bright as the worst"
with=NO_COLOR=1
raw
grep -qF "$dim" "$tmp/raw" && fail "NO_COLOR"
raw --color
grep -qF "$dim" "$tmp/raw" || fail "--color is stronger than NO_COLOR"
with=TERM=xterm
raw --color off
grep -qF "$dim" "$tmp/raw" && fail "--color off"
grep -qF "$(printf '\0338')" "$tmp/raw" || fail "--color off: no lines"
# without --fidelity, and with the text on the terminal alone, nothing is added
more="-n 20 -s 1"
screen 70 30 -q
[ ! -s "$tmp/frames" ] || fail "no --fidelity: $(head -n 3 "$tmp/frames")"
more="-n 60 -s 1 -a lookat4 --fidelity --log $tmp/log"
end

begin tmux
if ! command -v tmux > /dev/null; then
    echo "skip tmux: it is not installed"
    exit 0
fi
t="tmux -S $tmp/socket -f /dev/null"
cat > "$tmp/session" <<S
export LOOKAT_MODEL='$LOOKAT_MODEL'
'$BIN' -p "$text" $more -q
echo \$? > '$tmp/status'
sleep 20
S
$t new-session -d -x 70 -y 9 "sh $tmp/session" 2> "$tmp/err" || fail "no session: $(cat "$tmp/err")"
i=0
while [ ! -s "$tmp/status" ] && [ $i -lt 300 ]; do sleep 0.1; i=$((i + 1)); done
[ "$(cat "$tmp/status")" = 0 ] || fail "status '$(cat "$tmp/status")'"
$t capture-pane -p -S - | sed 's/ *$//' | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}' > "$tmp/pane"
$t kill-server
folded 70 -q
cmp -s "$tmp/pane" "$tmp/folded" || fail "the screen has '$(head -c 300 "$tmp/pane")'"
end
