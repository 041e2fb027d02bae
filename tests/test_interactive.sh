#!/bin/sh
# lookat -i: lines from a pipe, which is how programs use it and what most tests here do, and from a
# terminal that tests/screen.py or tmux plays.
. tests/lib.sh
export LOOKAT_MODEL="$PWD/weights/stories6M.gguf"
once="Once upon a time"

# lines LINE...: what talk types next
lines() { printf '%s\n' "$@" > "$tmp/in"; }
# talk FILE OPTION...: types them; the answers go to FILE, messages to $tmp/err
talk() {
    to=$tmp/$1
    shift
    "$BIN" -i "$@" < "$tmp/in" > "$to" 2> "$tmp/err" || fail "$* exits $?: $(cat "$tmp/err")"
}
# alone FILE TEXT OPTION...: what a run of its own writes behind the text, as a line
alone() {
    to=$tmp/$1 text=$2
    shift 2
    { "$BIN" -q -p "$text" --no-display-prompt "$@" && echo; } > "$to" 2> "$tmp/err" || fail "$* exits $?"
}
same() { cmp -s "$tmp/$1" "$tmp/$2" || fail "$1 and $2 differ: '$(head -c 200 "$tmp/$1")' and '$(head -c 200 "$tmp/$2")'"; }
# nth N FILE: its Nth line, as the file nth.N
nth() { sed -n "${1}p" "$tmp/$2" > "$tmp/nth.$1"; }

begin answers
alone want "$once" -n 10 -s 1
lines "$once"; talk got -q -n 10 -s 1 && same want got
[ ! -s "$tmp/err" ] || fail "-q: '$(cat "$tmp/err")' on standard error"
printf '%s' "$once" > "$tmp/in" # the last line has no end
talk got -n 10 -s 1 && same want got
: > "$tmp/in"
talk got -p "$once" -n 10 -s 1 && same want got
talk got -f "$tmp/want" -n 3 -s 1 # a file to begin with; its newline is no text
alone other "$(cat "$tmp/want")" -n 3 -s 1 && same other got
talk got -n 10 -s 1 && [ ! -s "$tmp/got" ] || fail "no line: '$(cat "$tmp/got")'"
lines ""; talk got -n 10 -s 1
alone want "" -n 10 -s 1 && same want got # an empty line starts a text
# the lines of a text, and those of one line
lines "$once\\" Tom; talk got -n 8 -s 1
alone want "$once
Tom" -n 8 -s 1 && same want got
lines " /attn"; talk got -n 4 -s 1
alone want " /attn" -n 4 -s 1 && same want got
end

# Each answer goes on behind all that came before, and only what is new runs.
begin context
lines "$once" " Then" "" /stats; talk got -n 10 -s 1 --temp 0
has "$tmp/err" "context: 35 of 1024 tokens, 3 lines"
has "$tmp/err" "prefill 1 token at"
has "$tmp/err" "behind 24 held"
nth 1 got
alone want "$once" -n 10 --temp 0 && same want nth.1
tr -d '\n' < "$tmp/nth.1" > "$tmp/first"
nth 2 got
alone want "$once$(cat "$tmp/first") Then" -n 10 --temp 0 && same want nth.2
tr -d '\n' < "$tmp/nth.2" > "$tmp/second"
nth 3 got
alone want "$once$(cat "$tmp/first") Then$(cat "$tmp/second")" -n 10 --temp 0 && same want nth.3
lines "$once"; talk got -n 30 -s 1 -r named
alone want "$once" -n 30 -s 1 -r named && same want got
end

# The A/B by hand: the last answer from the same point and the same draws, by another backend.
begin other_backends
for more in "--draft 0" "--draft 8"; do
    lines "$once" "/attn lookat4" "  /nothing" /undo "/attn   fp16  "
    # shellcheck disable=SC2086
    talk got -n 12 -s 8 $more
    has "$tmp/err" "lookat: attention lookat:bytes=4"
    alone want "$once" -n 12 -s 8 -a fp16
    alone other "$once" -n 12 -s 8 -a lookat4
    nth 1 got && same want nth.1
    nth 2 got && same other nth.2
    nth 4 got && same want nth.4
done
cmp -s "$tmp/want" "$tmp/other" && fail "the two backends write the same"
# a later line too: to the bit, where a prompt may be cut in any way
for attn in fp16 lookat "int4:sink=1,window=8/int8"; do
    lines "$once" " Then" "/attn $attn"; talk got -n 12 -s 8 -a $attn --invariant
    nth 2 got && nth 3 got && same nth.2 nth.3
done
lines "/attn int8" "$once" "/attn"; talk got -n 12 -s 8
has "$tmp/err" "lookat: attention int8"
alone want "$once" -n 12 -s 8 -a int8 && same want got
# one that cannot be had changes nothing
lines "$once" "/attn fp99" "/attn fp16,int8" " Then"; talk got -n 5 -s 8
has "$tmp/err" "lookat: --attn fp99: 'fp99' is not a codec"
has "$tmp/err" "lookat: /attn fp16,int8: one backend at a time"
lines "$once" " Then"; talk want -n 5 -s 8 && same want got
end

begin undo_and_seed
for attn in fp16 "int4:sink=1,window=8/int8"; do
    lines "$once" " Then" /undo " Then" /undo /undo "$once"; talk got -n 6 -s 3 -a $attn --invariant
    nth 1 got && nth 2 got && nth 3 got && nth 4 got
    [ "$(wc -l < "$tmp/got")" -eq 4 ] || fail "$(wc -l < "$tmp/got") lines"
    same nth.2 nth.3 && same nth.1 nth.4
done
has "$tmp/err" "lookat: the text is empty"
has "$tmp/err" "lookat: the text ends with: "
lines "$once" /undo /undo; talk got -n 3 -s 3
has "$tmp/err" "lookat: /undo: there is nothing to take back"
lines "$once" "/seed 5" /undo "$once" "/seed" "/seed x"; talk got -n 12 -s 3
has "$tmp/err" "lookat: seed 5"
has "$tmp/err" "lookat: /seed: expected a whole number of up to 19 digits, got 'x'"
nth 1 got && nth 2 got
alone want "$once" -n 12 -s 3 && same want nth.1
alone want "$once" -n 12 -s 5 && same want nth.2
# the answer of a line has the seed that the line had
lines "$once" "/seed 5" "/attn fp32"; talk got -n 12 -s 3 -a fp32 && nth 1 got && nth 2 got
same nth.1 nth.2
end

# A text that was kept is where the lines go on.
begin loaded
"$BIN" -q -p "$once" -n 0 --save-state "$tmp/state" > "$tmp/out" || fail "no state"
alone want "$once, Tom" -n 6 -s 3 --invariant
lines /stats /undo
talk got -p ", Tom" -n 6 -s 3 --invariant --load-state "$tmp/state" && same want got
has "$tmp/err" "prefill 2 tokens at"
has "$tmp/err" "behind 4 held"
has "$tmp/err" "the text is empty"
alone want "$once" -n 6 -s 3 --invariant
: > "$tmp/in"
talk got -n 6 -s 3 --invariant --load-state "$tmp/state" && same want got
expect 2 "--save-state is of one prompt: it does not go with -i" "$BIN" -i --save-state "$tmp/state"
end

begin commands
lines /help "/sttas" /nothing /quit "$once"; talk got -n 3 -s 1
[ ! -s "$tmp/got" ] || fail "behind /quit: $(cat "$tmp/got")"
for c in attn undo seed stats help quit; do has "$tmp/err" "  /$c"; done
has "$tmp/err" "lookat: there is no command /sttas; did you mean /stats?"
has "$tmp/err" "lookat: there is no command /nothing; /help lists them"
expect 2 "--num-samples does not go with -i" "$BIN" -i --num-samples 2
expect 2 "--prompts does not go with -i" "$BIN" -i --prompts "$tmp/want"
expect 2 "--fidelity does not go with -i" "$BIN" -i --fidelity
expect 2 "-i writes text: leave -o out, got -o json" "$BIN" -i -o json
expect 2 "cannot come from there" "$BIN" -i -
expect 2 "cannot come from there" "$BIN" -i -f -
"$BIN" convert -q --random 1,1,8,32,300 -o "$tmp/bare.gguf" || fail "convert exits $?"
expect 2 "-i: the model has no tokenizer" "$BIN" -i -m "$tmp/bare.gguf"
end

begin full_context
lines "$once" "" " Then" /undo "The cat"; talk got -c 12 -s 1
[ "$(grep -c "the context of 12 tokens is full; /undo takes back" "$tmp/err")" -eq 4 ] || fail "messages: $(cat "$tmp/err")"
nth 2 got
alone want "The cat" -c 12 -s 1 && same want nth.2
lines "$once" "$once $once $once" ""; talk got -c 12 -n 3 -s 1
has "$tmp/err" "lookat: the line has 14 tokens, and the context of 12 has room for 5; /undo"
[ "$(wc -l < "$tmp/got")" -eq 2 ] || fail "$(wc -l < "$tmp/got") answers"
{ yes 0123456789abcdef 2> /dev/null | head -c 400000 | tr -d '\n'; echo; echo "$once"; } > "$tmp/in"
talk got -n 10 -s 1
has "$tmp/err" "lookat: the prompt has more than 1024 tokens"
alone want "$once" -n 10 -s 1 && same want got
end

# A model that takes long over its context, so that Ctrl-C comes in the middle of an answer.
begin ctrl_c
"$BIN" convert -q --random 2,4,256,4096,4096 -z tokenizer -o "$tmp/slow.gguf" || fail "convert exits $?"
slow="-i -m $tmp/slow.gguf -s 1 --ignore-eos -t 1"
mkfifo "$tmp/fifo"
: > "$tmp/got"
# shellcheck disable=SC2086
"$BUILD/tests/default_signals" "$BIN" $slow < "$tmp/fifo" > "$tmp/got" 2> "$tmp/err" &
pid=$!
exec 9> "$tmp/fifo"
printf '%s\n' "$once" >&9
until [ -s "$tmp/got" ]; do kill -0 $pid 2> /dev/null || break; sleep 0.05; done
kill -INT $pid
printf '%s\n' /stats /undo /stats /quit >&9
exec 9>&-
wait $pid
got=$?
[ $got -eq 0 ] || fail "exits $got: $(cat "$tmp/err")"
n=$(sed -n 's/.*context: \([0-9]*\) of 4096 tokens, 1 line$/\1/p' "$tmp/err")
[ "${n:-0}" -gt 4 ] && [ "$n" -lt 4000 ] || fail "$n tokens: $(cat "$tmp/err")"
has "$tmp/err" "context: 0 of 4096 tokens, 0 lines"
end

begin terminal
if ! python3 -c 'import pty, fcntl, termios' 2> "$tmp/err"; then
    echo "skip terminal: no python3 with terminals"
else
    type_in() { python3 tests/screen.py --talk 80 24 "$BIN" "$@" > "$tmp/screen" 2>&1; }
    printf '%s\n' "$once" " Then" "/attn int8" "wait > " "^D" | type_in -i -s 1 -n 8 || fail "exits $?: $(cat "$tmp/screen")"
    alone want "$once" -s 1 -n 8
    grep -qxF -e "$(cat "$tmp/want")" "$tmp/screen" || fail "no answer: $(cat "$tmp/screen")"
    has "$tmp/screen" "> $once"
    has "$tmp/screen" "/help explains, Ctrl-D ends"
    # Ctrl-C stops an answer, and the next one at the prompt ends it
    # shellcheck disable=SC2086
    printf '%s\n' "$once" "wait time" "more 20" "^C" "/stats" "wait context: " "wait > " "^C" | type_in $slow
    got=$?
    [ $got -eq 130 ] || fail "Ctrl-C at the prompt exits $got: $(cat "$tmp/screen")"
    end
fi

if ! command -v tmux > /dev/null; then
    echo "skip tmux: it is not installed"
    exit 0
fi
begin tmux
t="tmux -S $tmp/socket -f /dev/null"
cat > "$tmp/session" <<S
export LOOKAT_MODEL='$LOOKAT_MODEL'
'$BIN' -i -s 1 -n 8 -q
echo "status \$?"
sleep 20
S
# shown TEXT: waits until the screen has it
shown() {
    i=0
    until $t capture-pane -p | grep -qF -e "$1"; do
        i=$((i + 1))
        [ $i -lt 300 ] || { fail "'$1' does not come: $($t capture-pane -p | head -c 300)"; return; }
        sleep 0.1
    done
}
$t new-session -d -x 80 -y 24 "sh $tmp/session" 2> "$tmp/err" || fail "no session: $(cat "$tmp/err")"
shown ">"
$t send-keys -l "Once upon a tine" && $t send-keys BSpace BSpace && $t send-keys -l "me" && $t send-keys Enter # the terminal's own editing
alone want "$once" -s 1 -n 8
shown "$(cat "$tmp/want")"
$t send-keys -l "/attn int8" && $t send-keys Enter
alone want "$once" -s 1 -n 8 -a int8
shown "$(cat "$tmp/want")"
$t send-keys -l "/quit" && $t send-keys Enter
shown "status 0"
$t kill-server
end
