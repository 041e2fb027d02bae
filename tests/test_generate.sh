#!/bin/sh
# lookat generate from outside, with the default model: prompts, lengths, seeds, output formats, and what happens when something is in the way.
. tests/lib.sh
export LOOKAT_MODEL="$PWD/weights/stories6M.gguf"
full=/dev/full
once="Once upon a time"

# run FILE OPTION...: standard output to FILE; exit status 0 and silence on standard error
run() {
    to=$tmp/$1
    shift
    "$BIN" "$@" -q > "$to" 2> "$tmp/err" || fail "$* exits $?: $(cat "$tmp/err")"
    [ ! -s "$tmp/err" ] || fail "$*: '$(cat "$tmp/err")' on standard error"
}
same() { cmp -s "$tmp/$1" "$tmp/$2" || fail "$1 and $2 differ: '$(head -c 200 "$tmp/$1")' and '$(head -c 200 "$tmp/$2")'"; }
differ() { cmp -s "$tmp/$1" "$tmp/$2" && fail "$1 and $2 are the same: '$(head -c 200 "$tmp/$1")'"; }
# The part of a JSON file without figures that differ from run to run.
lasting() { sed 's/,"stats":.*//' "$tmp/$1" > "$tmp/$2"; }
# ids FILE: the tokens of the first sample of a JSON file
ids() { sed 's/.*"samples":\[{//; s/^[^[]*"ids":\[\([0-9,]*\)\].*/\1/' "$tmp/$1"; }

# refuse_check CHECK OPTION...: exit status 4 and a message that says NaN
refuse_check() {
    check=$1
    shift
    "$BIN" "$@" > "$tmp/out" 2> "$tmp/err"
    got=$?
    [ $got -eq 4 ] || fail "$check: exits $got, expected 4: $(cat "$tmp/err")"
    has "$tmp/err" "$check is NaN, not a number"
}
# refuse STATUS TEXT OPTION...: one line on standard error with TEXT, nothing on standard output
refuse() {
    want=$1 text=$2
    shift 2
    "$BIN" "$@" > "$tmp/out" 2> "$tmp/err" < /dev/null
    got=$?
    [ $got -eq "$want" ] || fail "$* exits $got, expected $want: $(cat "$tmp/err")"
    [ ! -s "$tmp/out" ] || fail "$*: wrote '$(head -c 100 "$tmp/out")'"
    has "$tmp/err" "$text"
    [ "$(wc -l < "$tmp/err")" -eq 1 ] || fail "$*: more than one line on standard error"
}

begin prompts
printf '%s' "$once" > "$tmp/file"
printf '%s\n' "$once" > "$tmp/line"
printf '%s\n\n' "$once" > "$tmp/lines"
run a generate -p "$once" -n 12 --temp 0
[ "$(cat "$tmp/a")" = "$once, there was a little girl named Lily. She loved to" ] || fail "text: $(cat "$tmp/a")"
run b -p "$once" -n 12 --temp 0 && same a b
run b generate "$once" -n 12 --temp 0 && same a b
run b -f "$tmp/file" -n 12 --temp 0 && same a b
run b -f "$tmp/line" -n 12 --temp 0 && same a b
run b -n 12 --temp 0 - < "$tmp/line" && same a b
run b -n 12 --temp 0 -f - < "$tmp/file" && same a b
run b --ids 575,510,258,437 -n 12 --temp 0 && same a b
run b -n 12 --temp 0 -f "$tmp/lines" -o json && has "$tmp/b" '"prompt":{"text":"Once upon a time\n","ids":[575,510,258,437,198]}'
run b -n 12 --temp 0 -p "$once
" -o json && has "$tmp/b" '"ids":[575,510,258,437,198]}'
run b -p "$once" -n 12 --temp 0 --no-display-prompt
printf '%s' "$once" | cat - "$tmp/b" > "$tmp/c"
same a c
run b -n 5 -p "" -s 1 -o json && has "$tmp/b" '"prompt":{"text":"","ids":[4095]}'
run b -n 5 -s 1 -o json < /dev/null && has "$tmp/b" '"prompt":{"text":"","ids":[4095]}'
run b -n 0 -p "$once" && same file b
"$BIN" < "$tmp/file" > "$tmp/b" 2> "$tmp/err" || fail "text through a pipe: exits $?"
has "$tmp/b" "$once"
end

# Text on standard input that nobody named is the prompt where there is none, and is not passed over in silence where there is one.
begin piped
run a -p "$once" -n 12 --temp 0 < /dev/null
run b -n 12 --temp 0 < "$tmp/file" && same a b
run b -n 12 --temp 0 < "$tmp/line" && same a b
run b generate -n 12 --temp 0 < "$tmp/file" && same a b
run b "$once" -n 12 --temp 0 < /dev/null && same a b
printf '%s' "$once" | "$BIN" -q -n 12 --temp 0 > "$tmp/b" 2> "$tmp/err" || fail "a pipe: exits $?"
same a b
{ sleep 1; printf '%s' "$once"; } | "$BIN" -q -n 12 --temp 0 > "$tmp/b" 2> "$tmp/err" || fail "a slow pipe: exits $?"
same a b
: | "$BIN" -q -n 5 -s 1 -o json > "$tmp/b" 2> "$tmp/err" || fail "a pipe that ends: exits $?"
has "$tmp/b" '"prompt":{"text":"","ids":[4095]}'
run c -n 5 -s 1 < /dev/null
run b -n 5 -s 1 <&- && same c b
mkfifo "$tmp/fifo"
exec 9<> "$tmp/fifo" # a pipe that never ends and has nothing
"$BIN" -n 5 -s 1 <&9 > "$tmp/b" 2> "$tmp/err" || fail "a silent pipe: exits $?"
same c b
has "$tmp/err" "standard input is a pipe that nothing came from"
"$BIN" -p "$once" -n 12 --temp 0 <&9 > "$tmp/b" 2> "$tmp/err" || fail "a silent pipe beside -p: exits $?"
same a b
grep -q "standard input" "$tmp/err" && fail "a pipe without text is spoken of: $(cat "$tmp/err")"
echo more >&9
"$BIN" -p "$once" -n 12 --temp 0 <&9 > "$tmp/b" 2> "$tmp/err" || fail "text beside -p: exits $?"
same a b
has "$tmp/err" "lookat: standard input was not read: there is a text already"
run b -p "$once" -n 12 --temp 0 <&9 && same a b
exec 9>&-
run b -p "$once" -n 12 --temp 0 < "$tmp/file" && same a b
end

begin llama_options
run a -p "$once" -n 12 --temp 0 < /dev/null
"$BIN" -p "$once" -ngl 99 --mlock -fa on --no-warmup -n 12 --temp 0 > "$tmp/b" 2> "$tmp/err" < /dev/null || fail "exits $?: $(cat "$tmp/err")"
same a b
has "$tmp/err" "lookat: no effect here: -ngl (no GPU is used), --mlock ("
[ "$(grep -c "no effect" "$tmp/err")" -eq 1 ] || fail "more than one line"
run b -p "$once" -ngl 99 --mlock -fa on -b 512 -n 12 --temp 0 < /dev/null && same a b
"$BIN" -p "$once" -n 3 -n 12 --temp 0 > "$tmp/b" 2> "$tmp/err" < /dev/null || fail "exits $?"
same a b
has "$tmp/err" "lookat: --predict: given more than once; the last one counts"
end

# What editors of Windows leave: CRLF at the end goes whole, a byte-order mark is no text, and that
# is said.
begin windows
run a -p "$once" -n 12 --temp 0 -s 5 -o json
lasting a want
printf '%s\r\n' "$once" > "$tmp/crlf"
printf '\357\273\277%s\r\n' "$once" > "$tmp/marked"
for f in crlf marked; do
    run b -f "$tmp/$f" -n 12 --temp 0 -s 5 -o json
    lasting b got
    same want got
    run b -n 12 --temp 0 -s 5 -o json - < "$tmp/$f"
    lasting b got
    same want got
done
"$BIN" -f "$tmp/marked" -n 2 --temp 0 > "$tmp/b" 2> "$tmp/err"
has "$tmp/err" "$tmp/marked: the byte-order mark at its beginning is no text, and left out"
printf '%s\r\n\r\n' "$once" > "$tmp/crlf"
run b -f "$tmp/crlf" -n 2 --temp 0 -o json && has "$tmp/b" \
    '"prompt":{"text":"Once upon a time\u000d\n","ids":'
printf '%s\r' "$once" > "$tmp/crlf"
run b -f "$tmp/crlf" -n 2 --temp 0 -o json && has "$tmp/b" \
    '"prompt":{"text":"Once upon a time\u000d","ids":'
run b -p "$(cat "$tmp/marked")" -n 2 --temp 0 -o json && has "$tmp/b" \
    "\"prompt\":{\"text\":\"$(cat "$tmp/marked" | tr -d '\r\n')"
"$BIN" tokenize -z tokenizer -f "$tmp/marked" > "$tmp/b" 2> "$tmp/err" || fail "tokenize exits $?"
has "$tmp/err" "byte-order mark"
"$BIN" tokenize -z tokenizer - < "$tmp/marked" 2> "$tmp/err" | cmp -s - "$tmp/b" ||
    fail "tokenize: another text from standard input"
tail -c +4 "$tmp/marked" > "$tmp/plain"
"$BIN" tokenize -z tokenizer -f "$tmp/plain" | cmp -s - "$tmp/b" || fail "tokenize: $(cat "$tmp/b")"
cp tests/texts/README.md "$tmp/text"
{ printf '\357\273\277'; cat "$tmp/text"; } > "$tmp/marked"
for f in text marked; do
    "$BIN" eval -q -f "$tmp/$f" -n 100 -c 32 -t 1 | grep -o '[0-9.]* ± [0-9.]*' > "$tmp/$f.eval" ||
        fail "eval: $f"
done
same text.eval marked.eval
end

# Nothing is read behind what the context can hold: the writer of this pipe has 400 MB to give.
begin long_prompt
{ yes 0123456789abcdef 2> "$tmp/yes" || :; } | head -c 400000000 | tr -d '\n' 2> "$tmp/tr" | {
    "$BIN" -n 3 -q - > "$tmp/a" 2> "$tmp/err"
    echo $? > "$tmp/status"
    wc -c > "$tmp/left" # what it did not read
}
[ "$(cat "$tmp/status")" -eq 2 ] || fail "exits $(cat "$tmp/status")"
has "$tmp/err" "the prompt has more than 1024 tokens, which leaves no room in the context of 1024"
[ "$(cat "$tmp/left")" -gt 370000000 ] || fail "only $(cat "$tmp/left") bytes are left in the pipe"
refuse 2 "the prompt has more than 40 tokens, which leaves no room in the context of 40" -f "$BIN" \
    -c 40
end

# Drafts change how many steps a text takes, and nothing that is written.
begin drafts
for i in 1 2 3 4 5 6; do echo "Tom has a red ball. The red ball is big, and Tom likes the red ball."; done > "$tmp/story"
for more in "--temp 0" "-s 3" "-s 4 --temp 1.5" "-s 5 --repeat-penalty 1.2" "--temp 0 --attn lookat" "-s 1 -c 220"; do
    # shellcheck disable=SC2086
    run a -f "$tmp/story" -n 60 $more --draft 0
    # shellcheck disable=SC2086
    run b -f "$tmp/story" -n 60 $more --draft 8 && same a b
    # shellcheck disable=SC2086
    run b -f "$tmp/story" -n 60 $more --draft -1 --draft-from tests/texts/prose.txt && same a b
done
run a -f "$tmp/story" -n 60 --temp 0 --draft 8 -o json
kept=$(sed -n 's/.*"draft_kept":\([0-9]*\).*/\1/p' "$tmp/a") steps=$(sed -n 's/.*"decode_steps":\([0-9]*\).*/\1/p' "$tmp/a")
[ "$kept" -gt 10 ] || fail "$kept proposals were kept"
[ $((kept + steps)) -eq 59 ] || fail "$steps steps and $kept kept proposals make no 59 tokens"
"$BIN" -f "$tmp/story" -n 60 --temp 0 --draft-max 8 > "$tmp/b" 2> "$tmp/err" || fail "--draft-max: exits $?"
has "$tmp/err" "drafts: $kept of"
for more in --counters --fidelity "--num-samples 2"; do
    # shellcheck disable=SC2086
    "$BIN" -f "$tmp/story" -n 9 $more --draft 4 > "$tmp/b" 2> "$tmp/err" || fail "$more: exits $?"
    has "$tmp/err" "--draft has no effect"
    grep -q "drafts:" "$tmp/err" && fail "$more: drafts"
done
refuse 1 "$tmp/none" -f "$tmp/story" -n 9 --draft 4 --draft-from "$tmp/none"
refuse 2 "--draft-from takes a file" -f "$tmp/story" -n 9 --draft 4 --draft-from -
refuse 2 "--draft" -f "$tmp/story" -n 9 --draft -2
refuse 2 "use --draft N" -f "$tmp/story" -n 9 --model-draft x.gguf
end

# A text ends with the token that completes a stop string, wherever in it the string begins and ends.
begin stop_strings
run want -p "$once" -n 7 --temp 0 # ", there was a little girl named"
for stop in " named" "irl na" "a little girl named" e\ girl\ n; do
    for more in "--draft 0" "--draft 8" "-a lookat"; do
        # shellcheck disable=SC2086
        run a -p "$once" -n 60 --temp 0 -r "$stop" $more && same want a
    done
done
run a -p "$once" -n 60 --temp 0 -r nothing --stop "girl n" --reverse-prompt "Lily" && same want a
run a -p "$once" -n 60 --temp 0 -s 1 -r " named" -o json && has "$tmp/a" \
    '"samples":[{"text":", there was a little girl named","ids":[11,410,294,258,404,566,578],"stop":"reverse-prompt"}]'
run b -p "$once" -n 60 --temp 0 -s 1 -r " named" -o jsonl
[ "$(wc -l < "$tmp/b")" -eq 8 ] || fail "$(wc -l < "$tmp/b") lines of jsonl"
tail -n 1 "$tmp/b" > "$tmp/last" && lasting a one && lasting last other && same one other
# the prompt is not searched, nor are the prompt's last bytes with what follows
run a -p "$once" -n 7 --temp 0 -r "time, there" -r upon && same want a
# drafts that are right behind the string change nothing
run a -f "$tmp/story" -n 60 --temp 0 -s 1 --draft 0 -r "likes the red" -o json
run b -f "$tmp/story" -n 60 --temp 0 -s 1 --draft 8 -r "likes the red" -o json
lasting a one && lasting b other && same one other
has "$tmp/a" '"stop":"reverse-prompt"'
# each of several samples ends for itself, and is the one that it is without the string up to there
run all -p "$once" -n 40 -s 3 --num-samples 4 --no-display-prompt
run some -p "$once" -n 40 -s 3 --num-samples 4 --no-display-prompt -r saw -r ful
run json -p "$once" -n 40 -s 3 --num-samples 4 -r saw -r ful -o json
for i in 1 2 3 4; do
    for f in all some; do
        awk -v i=$i '/^--- sample/ { at++; next } at == i' "$tmp/$f" | tr '\n' ' ' > "$tmp/$f.$i"
    done
    awk -v all="$(cat "$tmp/all.$i")" -v some="$(cat "$tmp/some.$i")" 'BEGIN {
        sub(/ *$/, "", some)
        at = match(all, /saw|ful/)
        exit !(index(all, some) == 1 && (at ? length(some) <= at + 6 && some ~ /(saw|ful)[a-z]*$/ : length(some) >= length(all) - 2))
    }' || fail "sample $i: '$(cat "$tmp/some.$i")' of '$(cat "$tmp/all.$i")'"
done
[ "$(grep -o '"stop":"reverse-prompt"' "$tmp/json" | wc -l)" -ge 2 ] || fail "stops: $(lasting json c; cat "$tmp/c")"
cmp -s "$tmp/all" "$tmp/some" && fail "no sample is shorter"
refuse 2 "--reverse-prompt: expected a text to stop at, got an empty one" -p x -r ""
end

# Tokens of this text are bytes of no character: what ends within one is found at its own byte.
begin stop_bytes
LC_ALL=C
export LC_ALL
random="-p x -n 60 -s 3 --temp 100 --top-k 0 --top-p 1 --min-p 0 --ignore-eos --no-display-prompt"
# shellcheck disable=SC2086
run all $random -o json
decode() { "$BIN" tokenize --decode -m "$LOOKAT_MODEL" -p "$1"; }
ids all > "$tmp/ids"
tried=0
for k in $(tr ',' '\n' < "$tmp/ids" | awk 'NR > 1 && NR < 58 && $1 >= 94 && $1 < 188 { print NR }' | head -n 3); do
    stop=$(decode "$(cut -d, -f "$k" "$tmp/ids")"; decode "$(cut -d, -f $((k + 1)) "$tmp/ids")" | head -c 1)
    # shellcheck disable=SC2086
    run a $random -o json -r "$stop"
    n=$(ids a | tr ',' '\n' | wc -l)
    [ "$(ids a)" = "$(cut -d, -f "1-$n" "$tmp/ids")" ] || fail "$k: other tokens: $(ids a)"
    [ "$n" -le $((k + 1)) ] && decode "$(ids a)" | grep -qaF -e "$stop" || fail "$k: $n tokens"
    decode "$(ids a | sed 's/,[0-9]*$//')" | grep -qaF -e "$stop" && fail "$k: $n tokens are too many"
    tried=$((tried + 1))
done
[ $tried -ge 2 ] || fail "only $tried tokens of one byte"
unset LC_ALL
end

# Each line of a file has the JSON that its text has alone: the state is cleared between them.
begin prompts_of_a_file
awk 'BEGIN { for (i = 0; i < 40; i++) printf "Tom has a red ball. "; print "" }' > "$tmp/long_line"
{
    printf '\357\273\277%s\n' "$once" # a byte-order mark
    printf 'The sea\r\n\n'
    cat "$tmp/long_line"
    printf ' \n%s, Tom' "$once" # no newline at the end
} > "$tmp/lines"
for more in "" "-a lookat --logprobs 2 --echo" "-a int4:sink=2,window=8/int8 --num-samples 2 -r ." "-c 260 --draft 4"; do
    # shellcheck disable=SC2086
    run many --prompts "$tmp/lines" -n 10 -s 3 $more
    [ "$(wc -l < "$tmp/many")" -eq 6 ] || fail "$more: $(wc -l < "$tmp/many") lines"
    i=0
    for p in "$once" "The sea" "" "$(cat "$tmp/long_line")" " " "$once, Tom"; do
        i=$((i + 1))
        # shellcheck disable=SC2086
        run alone -p "$p" -n 10 -s 3 -o json $more
        sed -n "${i}p" "$tmp/many" > "$tmp/of"
        lasting of one && lasting alone other && same one other
    done
done
run a --prompts - -n 10 -s 3 -o jsonl < "$tmp/lines"
run b --prompts "$tmp/lines" -n 10 -s 3
lasting a one && lasting b other && same one other
run a --prompts /dev/null && [ ! -s "$tmp/a" ] || fail "no lines: $(cat "$tmp/a")"
"$BIN" --prompts "$tmp/lines" -n 3 > "$tmp/a" 2> "$tmp/err" || fail "exits $?"
has "$tmp/err" "6 prompts: load"
has "$tmp/err" "decode 18 tokens at"
seed=$(sed -n 's/.* seed \([0-9]*\),.*/\1/p' "$tmp/err")
[ "$(grep -c "\"seed\":$seed," "$tmp/a")" -eq 6 ] || fail "not one seed $seed for all"
# a line that is wrong is named; those before it are written
printf 'Once\n' | cat - "$tmp/long_line" > "$tmp/lines"
"$BIN" -q --prompts "$tmp/lines" -n 3 -c 40 > "$tmp/a" 2> "$tmp/err"
[ $? -eq 2 ] || fail "a line that is too long"
has "$tmp/err" "$tmp/lines: line 2: the prompt has"
[ "$(wc -l < "$tmp/a")" -eq 1 ] || fail "$(wc -l < "$tmp/a") lines before the wrong one"
{ echo Once; yes 0123456789abcdef | head -c 400000 | tr -d '\n'; } | "$BIN" -q --prompts - -n 3 > "$tmp/a" 2> "$tmp/err"
has "$tmp/err" "standard input: line 2: the prompt has more than 1024 tokens"
refuse 1 "$tmp/none: cannot open" --prompts "$tmp/none"
refuse 3 "$tmp: is a folder" --prompts "$tmp"
refuse 2 "the prompts are the lines of its file" --prompts "$tmp/lines" -p x
refuse 2 "the prompts are the lines of its file" --prompts "$tmp/lines" -f "$tmp/lines"
for o in text json; do
    refuse 2 "--prompts writes one line of JSON for each prompt: -o jsonl, got -o $o" --prompts "$tmp/lines" -o $o
done
refuse 2 "--fidelity watches one text" --prompts "$tmp/lines" --fidelity
end

begin special
run a -n 1 -o json -p "<|endoftext|>" --special && has "$tmp/a" '"ids":[4095]}'
run a -n 1 -o json -p "<|endoftext|>" && has "$tmp/a" '"prompt":{"text":"<|endoftext|>","ids":['
grep -q '"prompt":[^}]*4095' "$tmp/a" && fail "the end of text as a token without --special"
run a --ids 4095,575 -n 0 && [ "$(cat "$tmp/a")" = "Once" ] || fail "the token shows without --special: $(cat "$tmp/a")"
run a --ids 4095,575 -n 0 --special && [ "$(cat "$tmp/a")" = "<|endoftext|>Once" ] || fail "--special shows no token: $(cat "$tmp/a")"
end

begin seeds
run a -p "$once" -n 30 -s 7
run b -p "$once" -n 30 -s 7 && same a b
run b -p "$once" -n 30 -s 8 && differ a b
"$BIN" -p "$once" -n 30 > "$tmp/a" 2> "$tmp/figures"
"$BIN" -p "$once" -n 30 > "$tmp/b" 2> /dev/null
differ a b
seed=$(sed -n 's/.* seed \([0-9]*\),.*/\1/p' "$tmp/figures")
run b -p "$once" -n 30 -s "$seed" && same a b
# 2^53: larger ones are not exact in programs that read JSON numbers as double
[ ${#seed} -le 15 ] || fail "the random seed $seed is too long for JSON"
run a -p "$once" -n 5 -o json -s 18446744073709551615 && has "$tmp/a" '"seed":18446744073709551615,'
end

begin threads
for n in 1 2 3; do
    run "text$n" -p "$once" -n 60 -s 3 -t $n
    run "long$n" -p "$once" -n 40 -s 3 -t $n -o json --logprobs 4 --echo
    lasting "long$n" "json$n"
    run "many$n" -p "$once" -n 20 -s 3 -t $n --num-samples 3
    same text1 "text$n"
    same json1 "json$n"
    same many1 "many$n"
done
end

# The continuation found by an independent implementation in float64.
begin greedy
sed 's/","min_margin.*//; s/.*"continuation":\[\([0-9,]*\)\],"text":.*/\1/' tests/golden/greedy.json | head -n 1 > "$tmp/ids"
sed -n '1s/","min_margin.*//; 1s/^.*"continuation":\[[0-9,]*\],"text":"//p' tests/golden/greedy.json > "$tmp/text"
n=$(tr ',' '\n' < "$tmp/ids" | grep -c .)
[ "$n" -ge 50 ] || fail "greedy.json was not read"
run a -p "$once" -n "$n" --temp 0 -o json
[ "$(ids a)" = "$(cat "$tmp/ids")" ] || fail "ids $(ids a)"
has "$tmp/a" "\"samples\":[{\"text\":\"$(cat "$tmp/text")\",\"ids\":["
end

begin lengths
# the context ends a text, whatever -n says, and that is said
run a -p "$once" -c 40 --ignore-eos -s 3 -o json && has "$tmp/a" '"stop":"context"'
for n in 37 100 2147483647 -2; do
    run b -p "$once" -n $n -c 40 --ignore-eos -s 3 -o json
    [ "$(ids a)" = "$(ids b)" ] || fail "-n $n: other tokens"
    has "$tmp/b" '"stop":"context"'
done
[ "$(ids a | tr -cd , | wc -c)" -eq 35 ] || fail "36 tokens were to come: $(ids a)"
run b -p "$once" -n 36 -c 40 --ignore-eos -s 3 -o json && has "$tmp/b" '"stop":"length"'
"$BIN" -p "$once" -n 37 -c 40 --ignore-eos > /dev/null 2> "$tmp/err" || fail "-n 37 -c 40: $?"
has "$tmp/err" "lookat: the context of 40 tokens is full: 36 of the 37 tokens asked for (-n) were written"
has "$tmp/err" "decode 36 tokens at"
"$BIN" -p "$once" -c 40 --ignore-eos --num-samples 2 > /dev/null 2> "$tmp/err" || fail "-c 40: $?"
has "$tmp/err" "lookat: the context of 40 tokens is full"
"$BIN" -p "$once" -n 36 -c 40 --ignore-eos > /dev/null 2> "$tmp/err" || fail "-n 36 -c 40: $?"
grep -q "is full" "$tmp/err" && fail "36 of 36 tokens: the context is said to be full"
for n in 0 1 -1; do run a -p "$once" -c 4 -n $n -o json && has "$tmp/a" '"samples":[{"text":"","ids":[],"stop":"'; done # a prompt that just fits
has "$tmp/a" '"stop":"context"'
refuse 2 "the prompt has 4 tokens, which leaves no room in the context of 3" -p "$once" -c 3
refuse 2 "the context of 3" -p "$once" -c 3 -n 1
refuse 2 "--ctx-size 1025: the model's context is 1024 tokens" -p "$once" -c 1025
refuse 2 "--ctx-size 2000: the model's context is 1024 tokens" -p "$once" -c 2000 -n 1
awk 'BEGIN { for (i = 0; i < 1100; i++) printf "a " }' > "$tmp/long"
refuse 2 "leaves no room in the context of 1024" -f "$tmp/long"
run a -p "$once" -c 40 -n -1 --temp 0 -o json && has "$tmp/a" '"stop":"context"'
[ "$(ids a | tr ',' '\n' | wc -l)" -eq 36 ] || fail "-n -1 -c 40 writes $(ids a)"
run b -p "$once" -n 36 --temp 0 -o json && has "$tmp/b" '"stop":"length"'
[ "$(ids a)" = "$(ids b)" ] || fail "a smaller context changes the text"
"$BIN" convert -q --random 1,1,8,1024,300 -o "$tmp/small.gguf"
run a -m "$tmp/small.gguf" --ids 1,2,3,4 -n 1020 -s 1 -o json && has "$tmp/a" '"stop":"length"'
[ "$(ids a | tr ',' '\n' | wc -l)" -eq 1020 ] || fail "the context cannot be filled"
run a -m "$tmp/small.gguf" --ids 1,2,3,4 -n 1021 --ignore-eos -o json && has "$tmp/a" '"stop":"context"'
end

begin end_of_text
run a -p "The end." -n 20 --temp 0 -o json && has "$tmp/a" '"stop":"eos"'
[ "$(ids a | tr ',' '\n' | grep -c .)" -lt 20 ] || fail "goes on behind the end"
run a -p "The end." -n 20 --temp 0 -o json --ignore-eos && has "$tmp/a" '"stop":"length"'
[ "$(ids a | tr ',' '\n' | grep -c .)" -eq 20 ] || fail "--ignore-eos writes $(ids a)"
ids a | tr ',' '\n' | grep -qx 4095 && fail "--ignore-eos writes the token"
end

begin samples
for options in "--temp 0" "-s 9" "-s 9 --repeat-penalty 1.3"; do
    run one -p "$once" -n 25 $options
    run all -p "$once" -n 25 --num-samples 3 $options
    sed -n '2,/^--- sample 2/p' "$tmp/all" | sed '$d' > "$tmp/first"
    { cat "$tmp/one"; printf '\n\n'; } > "$tmp/want"
    same want first
done
[ "$(grep -c '^--- sample [123] of 3 ---$' "$tmp/all")" -eq 3 ] || fail "headings: $(cat "$tmp/all")"
run a -p "$once" -n 25 --num-samples 3 -s 9 --no-display-prompt
grep -q "$once" "$tmp/a" && fail "--no-display-prompt shows the prompt: $(cat "$tmp/a")"
run a -p "$once" -n 25 --num-samples 3 -s 9 -o json
[ "$(grep -o '"stop":"length"' "$tmp/a" | wc -l)" -eq 3 ] || fail "JSON without three samples"
[ "$(grep -o '"ids":\[[0-9,]*\],"stop"' "$tmp/a" | sort -u | wc -l)" -eq 3 ] || fail "samples are the same"
run b -p "$once" -n 25 -s 9 -o json
[ "$(ids a)" = "$(ids b)" ] || fail "the first of three: $(ids a), alone: $(ids b)"
end

begin json
run a -p "$once" -n 6 --temp 0 -s 5 -o json -a fp32 --logprobs 3 --echo
[ "$(wc -l < "$tmp/a")" -eq 1 ] || fail "not one line"
grep -q '^{"schema":"lookat.generate/1","model":{"file":".*},"attn":"fp32[^"]*","seed":5,"prompt":{"text":' "$tmp/a" || fail "head: $(head -c 400 "$tmp/a")"
has "$tmp/a" '"layers":6,"heads":4,"head_dim":64,"width":256,"inner":1024,"vocab":4096,"context":1024'
has "$tmp/a" '"prompt":{"text":"Once upon a time","ids":[575,510,258,437],"steps":[{"id":575},{"id":510,"logprob":-'
has "$tmp/a" '"samples":[{"text":", there was a little girl","ids":[11,410,294,258,404,566],"stop":"length","steps":[{"id":11,"logprob":-'
grep -qE '"stats":\{"load_s":[0-9.e-]+,"prefill_tokens":4,"prefill_tokens_per_s":[0-9.e+]+,"decode_tokens_per_s":[0-9.e+]+,"peak_bytes":[0-9]+,"stored_bytes_per_token":12288[,}]' "$tmp/a" ||
    fail "stats: $(sed 's/.*"stats"/"stats"/' "$tmp/a")"
[ "$(grep -o '"top":\[\[[^]]*\],\[[^]]*\],\[[^]]*\]\]' "$tmp/a" | wc -l)" -eq 9 ] || fail "not nine steps with three candidates"
run b -p "$once" -n 6 --temp 0 -s 5 -o json && ! grep -q '"steps"' "$tmp/b" || fail "steps without --logprobs"
refuse 2 "--logprobs needs -o json" -p "$once" --logprobs 3
refuse 2 "--echo needs -o json" -p "$once" --echo
end

begin jsonl
run b -p "$once" -n 6 --temp 0 -s 5 -o jsonl -a fp32 --logprobs 3 --echo
[ "$(wc -l < "$tmp/b")" -eq 11 ] || fail "$(wc -l < "$tmp/b") lines for 4 + 6 steps and the closing object"
[ "$(grep -c '^{"schema":"lookat.step/1","prompt":true,"step":[0-3],"id":[0-9]*,"text":"' "$tmp/b")" -eq 4 ] || fail "the prompt's steps"
[ "$(grep -c '^{"schema":"lookat.step/1","sample":0,"step":[0-5],"id":[0-9]*,"text":"[^"]*","logprob":-[0-9.e-]*,"top":\[\[.*\]\]}$' "$tmp/b")" -eq 6 ] || fail "$(cat "$tmp/b")"
lasting a c
tail -n 1 "$tmp/b" > "$tmp/d"
lasting d e
same c e
run b -p "$once" -n 4 --num-samples 2 -s 5 -o jsonl
[ "$(grep -c '"sample":1,' "$tmp/b")" -eq 4 ] || fail "no step lines of the second sample"
end

# Another program's view of the same.
begin json_parses
run a -p "$once" -n 8 --num-samples 2 -s 5 -o jsonl --logprobs 2 --echo
run b --ids 127,0,200,13 -n 8 -s 5 -o json --logprobs 2
cat "$tmp/b" >> "$tmp/a"
if python3 -c 1 2> /dev/null; then
    python3 -c 'import json,sys
for line in sys.stdin: json.loads(line)' < "$tmp/a" 2> "$tmp/err" || fail "$(tail -n 1 "$tmp/err")"
    end
elif node -e 1 2> /dev/null; then
    node -e 'require("fs").readFileSync(0, "utf8").trim().split("\n").forEach(l => JSON.parse(l))' < "$tmp/a" 2> "$tmp/err" || fail "$(head -n 5 "$tmp/err")"
    end
else
    echo "skip json_parses: no python3 or node"
fi

# All 4096 log-probabilities of a step: a distribution, the most likely first, the chosen one with its own.
begin logprobs
for temp in 0 1.5; do
    run a -p "$once" -n 3 --temp $temp -s 2 -o jsonl --logprobs 4096
    sed '$d; s/"logprob"/\n&/; s/\],\[/\n/g; s/\[\[/\n/; s/\]\].*//' "$tmp/a" | tr ':,{"' '    ' | awk '
        /^ *schema/ { if (NR > 1) check(); id = $NF; for (i = 1; i < NF; i++) if ($i == "id") id = $(i + 1); n = 0; sum = 0; last = 1; own = ""; next }
        /^ *logprob/ { logprob = $2; next }
        NF == 2 { if ($2 > last) print "not sorted at " $1; last = $2; sum += exp($2); n++; if ($1 == id) own = $2 }
        END { check(); if (steps != 3) print steps " steps" }
        function check() {
            steps++
            if (n != 4096) print n " candidates"
            if (sum < 0.9999 || sum > 1.0001) print "probabilities sum to " sum
            if (own == "" || own - logprob > 1e-6 || logprob - own > 1e-6) print "token " id " has " logprob " and " own
        }' > "$tmp/wrong"
    [ ! -s "$tmp/wrong" ] || fail "--temp $temp: $(head -n 3 "$tmp/wrong")"
done
end

# Token 127 is the byte C3, 102 is A9: two halves of a letter.
begin bytes
run a --ids 127,102,127 -n 0
printf '\303\251\303' > "$tmp/want"
same want a
run a --ids 127,102,127 -n 0 -o json && has "$tmp/a" '"prompt":{"text":"é�","bytes":"w6nD","ids":[127,102,127]}'
run a --ids 127,102 -n 0 -o json && has "$tmp/a" '"prompt":{"text":"é","ids":[127,102]}'
run a -p "$once" -n 120 --temp 100 --top-k 0 --top-p 1 --min-p 0 --ignore-eos -s 4 --no-display-prompt # any token: many are no UTF-8
run b -p "$once" -n 120 --temp 100 --top-k 0 --top-p 1 --min-p 0 --ignore-eos -s 4 -o json
ids b > "$tmp/ids"
"$BIN" tokenize -z tokenizer --decode -f "$tmp/ids" > "$tmp/c"
same a c
sed -n 's/.*"samples":\[{.*"bytes":"\([^"]*\)".*/\1/p' "$tmp/b" > "$tmp/base64"
[ -s "$tmp/base64" ] || fail "no bytes beside text that is not UTF-8"
if command -v base64 > /dev/null; then base64 -d < "$tmp/base64" | cmp -s - "$tmp/a" || fail "base64 of other bytes"; fi
end

begin statistics
"$BIN" -p "$once" -n 6 -s 5 -t 1 -a fp16 > "$tmp/a" 2> "$tmp/b"
for x in "load [0-9.]+ s" "prefill 4 tokens at [0-9]+ tokens/s" "decode 6 tokens at [0-9.]+ tokens/s" "peak memory [0-9.]+ MB" "attention fp16" \
    "6,144 bytes of cache per token" "seed 5" "1 thread"; do
    grep -qE "(^|, )$x" "$tmp/b" || fail "expected '$x' in '$(cat "$tmp/b")'"
done
run b -p "$once" -n 6 -s 5 && same a b
end

# number KEY FILE: of a JSON file
number() { sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" "$tmp/$2"; }
# bounded OPTION...: a whole context takes the model, the cache, and 16 MB at most
bounded() {
    run a "$@" --ids "$ids" -n 24 --ignore-eos -t 2 -o json
    bound=$(($(number file_bytes a) + $(number stored_bytes_per_token a) * 1024 + 16000000))
    [ "$(number peak_bytes a)" -le "$bound" ] || fail "$*: peak memory $(number peak_bytes a), expected at most $bound"
}

begin memory
if grep -q __asan_init "$BIN"; then
    echo "skip $name: the sanitizer needs memory of its own"
else
    ids=$(awk 'BEGIN { for (i = 0; i < 1000; i++) printf "%s%d", i ? "," : "", i * 37 % 500 }')
    bounded
    bounded -a lookat4/int8
    "$BIN" convert -q --random 1,16,1600,1024,512 --type q4_0 -o "$tmp/wide.gguf" || fail "convert exits $?"
    bounded -m "$tmp/wide.gguf"
    bounded -m "$tmp/wide.gguf" -a int4
    end
fi

begin more_threads_than_processors
"$BIN" -p "$once" -n 6 -s 5 > "$tmp/a" 2> "$tmp/b"
grep -q "fewer are faster" "$tmp/b" && fail "a warning without -t: $(cat "$tmp/b")"
"$BIN" -p "$once" -n 6 -s 5 -t 1000 > "$tmp/b" 2> "$tmp/c"
grep -Eq "1000 threads on [0-9]+ processors?: fewer are faster|kernels [a-z0-9_]*, 1 thread(,|$)" "$tmp/c" || fail "no warning: $(cat "$tmp/c")"
same a b
"$BIN" -p "$once" -n 6 -s 5 -t 1000 -q > /dev/null 2> "$tmp/c"
[ ! -s "$tmp/c" ] || fail "-q: $(cat "$tmp/c")"
end

begin closed_pipe
for format in text json jsonl; do
    ("$BIN" -p "$once" -s 1 -q -o $format 2> "$tmp/err" || :) | head -c 10 > "$tmp/a"
    [ "$(wc -c < "$tmp/a")" -eq 10 ] || fail "$format: got '$(cat "$tmp/a")'"
    [ ! -s "$tmp/err" ] || fail "$format: $(cat "$tmp/err")"
done
end

begin full_disk
if [ -c $full ]; then
    for format in text json jsonl; do
        "$BIN" -p "$once" -n 3 -o $format > $full 2> "$tmp/err"
        [ $? -eq 1 ] || fail "$format: not exit status 1"
        [ "$(cat "$tmp/err")" = "lookat: cannot write to standard output: No space left on device" ] || fail "$format: $(cat "$tmp/err")"
    done
    end
else
    echo "skip full_disk: no $full"
fi

# interrupt FILE OPTION...: Ctrl-C as soon as something is written; what comes out is in FILE, figures in err
interrupt() {
    to=$tmp/$1
    shift
    : > "$to"
    "$BUILD/tests/default_signals" "$BIN" "$@" > "$to" 2> "$tmp/err" &
    pid=$!
    until [ -s "$to" ]; do kill -0 $pid 2> /dev/null || break; done
    kill -INT $pid 2> /dev/null
    wait $pid
    got=$?
    [ $got -eq 130 ] || fail "$* exits $got, expected 130: $(cat "$tmp/err")"
}
# A model that takes long over its context, so that the interrupt comes in the middle.
begin interrupted
"$BIN" convert -q --random 2,4,256,4096,4096 -z tokenizer -o "$tmp/slow.gguf"
interrupt a -m "$tmp/slow.gguf" -p "$once" -s 1 --ignore-eos --no-display-prompt -t 1
n=$(sed -n 's/.*decode \([0-9]*\) tokens*.*/\1/p' "$tmp/err")
[ "${n:-0}" -gt 0 ] && [ "$n" -lt 4000 ] || fail "figures: $(cat "$tmp/err")"
[ "$(grep -c . "$tmp/err")" -eq 2 ] || fail "standard error: $(cat "$tmp/err")"
run b -m "$tmp/slow.gguf" -p "$once" -s 1 --ignore-eos --no-display-prompt -t 1 -n "$n" && same a b
interrupt a -m "$tmp/slow.gguf" -p "$once" -s 1 --ignore-eos -o jsonl
tail -n 1 "$tmp/a" | grep -q '^{"schema":"lookat.generate/1".*"stop":null.*}$' || fail "jsonl ends with $(tail -n 1 "$tmp/a")"
end

begin refusals
printf 'just text\n' > "$tmp/text"
mkdir "$tmp/folder"
refuse 1 "$tmp/none: cannot open: No such file" -m "$tmp/none" -p x
refuse 1 "$tmp/none: cannot open: No such file" -f "$tmp/none"
refuse 3 "$tmp/folder" -m "$tmp/folder" -p x
refuse 3 "$tmp/folder: is a folder" -f "$tmp/folder"
refuse 3 "$tmp/text" -m "$tmp/text" -p x
refuse 3 "tokenizer/vocab.json" -m tokenizer/vocab.json -p x
refuse 3 "tests/golden/greedy.json" -m tests/golden/greedy.json -p x
refuse 3 "$tmp/text" -m "$tmp/slow.gguf" -z "$tmp/text" -p x
refuse 2 "there is no token 4096" --ids 4096
refuse 2 "one text, got 2" -p a --ids 1
refuse 2 "fp99" -p a -a fp99
refuse 2 "lookat help attn explains" -p a -a fp99
refuse 2 "-p: expected once, got 'a' and 'b'" -p a -p b
refuse 2 "generate runs one backend" -p a -a fp16 -a int8
refuse 1 "$tmp/none: cannot open: No such file" -p a -a fp16 --book "$tmp/none"
refuse 3 "$tmp/text" -p a -a fp16 --book "$tmp/text"
refuse 3 "the file has no codebooks" -p a -a fp16 --book "$tmp/slow.gguf"
"$BIN" -p "$once" -n 1 --repeat-last-n 5 --book "$LOOKAT_MODEL" > "$tmp/a" 2> "$tmp/err" < /dev/null || fail "exits $?"
has "$tmp/err" "lookat: --book has no effect: none of the backends uses codebooks"
has "$tmp/err" "lookat: --repeat-last-n has no effect"
end

begin no_tokenizer
"$BIN" convert -q --random 1,1,8,32,300 -o "$tmp/bare.gguf" || fail "convert exits $?"
run a -m "$tmp/bare.gguf" --ids 1,2,3 -n 5 -s 1
[ "$(wc -w < "$tmp/a")" -eq 8 ] && grep -q '^1 2 3 [0-9 ]*$' "$tmp/a" || fail "ids: $(cat "$tmp/a")"
run b -m "$tmp/bare.gguf" --ids 1,2,3 -n 5 -s 1 -o json && has "$tmp/b" '"prompt":{"text":null,"ids":[1,2,3]}'
[ "1 2 3 $(ids b | tr ',' ' ')" = "$(cat "$tmp/a")" ] || fail "JSON: $(ids b)"
refuse 2 "the model has no tokenizer for the prompt: add -z TOKENIZER, or give token ids with --ids" -m "$tmp/bare.gguf" -p x
refuse 2 "the prompt is empty" -m "$tmp/bare.gguf"
refuse 2 "--reverse-prompt: the model has no tokenizer" -m "$tmp/bare.gguf" --ids 1 -r x
printf '\nx\n' > "$tmp/lines"
refuse 2 "$tmp/lines: line 1: the prompt is empty" -m "$tmp/bare.gguf" --prompts "$tmp/lines"
refuse 2 "there is no token 300" -m "$tmp/bare.gguf" --ids 300
end

# On a terminal no write ends within a character; through a pipe each byte comes at once.
begin terminal
"$BUILD/tests/terminal" "$BIN" -q --ids 575,127 -n 2 --temp 0 > "$tmp/hex" 2> "$tmp/err"
got=$?
if [ $got -eq 77 ]; then
    echo "skip terminal: $(cat "$tmp/err")"
else
    [ $got -eq 0 ] || fail "exits $got"
    run a --ids 575,127 -n 2 --temp 0
    [ "$(tr -d '\n' < "$tmp/hex")" = "$(od -An -v -tx1 "$tmp/a" | tr -d ' \n' | tr a-f A-F)0A" ] || fail "other bytes: $(cat "$tmp/hex")"
    head -n 1 "$tmp/hex" | grep -q 'C3$' && fail "half a character is written: $(cat "$tmp/hex")"
    # a text that ends within a character: what was held back comes at the end
    for ids in 575,127 575,160 160,127,161; do
        "$BUILD/tests/terminal" "$BIN" -q --ids $ids -n 0 > "$tmp/hex" || fail "--ids $ids: $?"
        run a --ids $ids -n 0
        [ "$(tr -d '\n' < "$tmp/hex")" = "$(od -An -v -tx1 "$tmp/a" | tr -d ' \n' | tr a-f A-F)0A" ] || fail "--ids $ids: $(cat "$tmp/hex")"
    done
    grep -q 'E50A$' "$tmp/hex" || fail "the first byte of a character comes last: $(cat "$tmp/hex")"
    end
fi

# The closed form for fp16: over positions 5 to 14, ten tokens, each layer and head reads 2 D (sum of 5..14) / 10 bytes of keys a token.
# The bias of one dimension of layer 3's keys is 10^6: 16 bits hold 65504. Each token has one such key.
begin keys_beyond_f16
cp "$LOOKAT_MODEL" "$tmp/far.gguf"
at=$(($(wc -c < "$tmp/far.gguf") - 4364288)) # blk.3.attn_qkv.bias[256]: weights end the file
printf '\000\044\164\111' | dd of="$tmp/far.gguf" bs=1 seek=$at conv=notrunc 2> /dev/null
"$BIN" -m "$tmp/far.gguf" -p "$once" -n 3 --ignore-eos -s 1 > "$tmp/out" 2> "$tmp/err" || fail "$?"
has "$tmp/err" "warning: attention fp16/fp16: 6 rows of keys or values"
has "$tmp/err" "layers 3;"
run json -m "$tmp/far.gguf" -p "$once" -n 3 --ignore-eos -s 1 -o json
has "$tmp/json" '"rows_cut_short":6,"layers_cut_short":[3]'
run json -m "$tmp/far.gguf" -p "$once" -n 3 --ignore-eos -s 1 -o json --attn int8
has "$tmp/json" '"rows_cut_short":0,"layers_cut_short":[]'
cat src/README.md > "$tmp/text"
far="-m $tmp/far.gguf -f $tmp/text -n 128 -c 64 -t 1"
# shellcheck disable=SC2086
{
    run json eval $far -o json
    has "$tmp/json" '"rows_cut_short":128,"layers_cut_short":[3]'
    "$BIN" eval $far > "$tmp/out" 2> "$tmp/err" || fail "eval: $?"
    has "$tmp/err" "fp16/fp16: 128 rows of keys or values"
    for mode in forced shadow; do
        "$BIN" compare $far -a fp32 -a fp16 --mode $mode -o json > "$tmp/json" 2> "$tmp/err" || fail "compare $mode: $?"
        has "$tmp/err" "attention fp16: 128 rows of keys or values"
        has "$tmp/json" '"rows_cut_short":0,"layers_cut_short":[]'
        has "$tmp/json" '"rows_cut_short":128,"layers_cut_short":[3]'
    done
    "$BIN" compare $far -q -a fp32 -a fp16 --check '1.kld>=0' > "$tmp/out" 2> "$tmp/err"
    [ $? -eq 4 ] || fail "a check on keys that were cut short: exit status"
    has "$tmp/err" "check not met: 1.kld>=0: 128 rows of keys or values do not fit f16"
    "$BIN" compare $far -q -a fp32 -a fp16 --check '0.kld>=0' --check '1.stored_keys>0' > "$tmp/out" 2> "$tmp/err" || fail "other checks: $(cat "$tmp/err")"
}
end

# A NaN among the weights of the last layers: nothing is written for ever, and nothing is measured in silence.
begin nan_in_the_weights
cp "$LOOKAT_MODEL" "$tmp/nan.gguf"
printf '\000\176' | dd of="$tmp/nan.gguf" bs=1 seek=20000000 conv=notrunc 2> /dev/null # an f16 NaN
bad="-m $tmp/nan.gguf -q"
# shellcheck disable=SC2086
{
    for more in "" "--temp 0 --attn lookat4" "--num-samples 3 -o json" "-o json --logprobs 2 --echo"; do
        "$BIN" $bad -p "$once" -n 20 $more > "$tmp/out" 2> "$tmp/err"
        [ $? -eq 1 ] || fail "generate $more: exit status"
        has "$tmp/err" "are not finite"
        has "$tmp/err" "layer 4, at position 0 (token id 575)"
    done
    cat src/README.md > "$tmp/text"
    refuse 1 "layer 4, at position 0" eval $bad -f "$tmp/text" -n 300 -c 64
    refuse 1 "layer 4, at position 0" eval $bad -f "$tmp/text" -n 300 -c 64 -o json
    refuse 1 "layer 4, at position 0" calibrate $bad -f "$tmp/text" -n 300 -o "$tmp/book.gguf"
    [ ! -e "$tmp/book.gguf" ] || fail "codebooks were written"
    more="-f $tmp/text -n 128 -c 64 -t 1 -a fp16 -a int8"
    for check in "int8.kld<0.05" "int8.kld>=0" "int8.ratio<9" "int8.same_top1<=1" "int8.kl<9" "int8.top5>=0" "0.ppl>0"; do
        refuse_check "$check" compare $bad $more -o json --check "$check"
    done
    "$BIN" compare $bad $more > "$tmp/out" || fail "compare: $?"
    grep -q '^int8 .* NaN' "$tmp/out" || fail "no NaN in the table"
    "$BIN" compare -m "$tmp/nan.gguf" $more > "$tmp/out" 2> "$tmp/err"
    has "$tmp/err" "warning: attention int8: the model's numbers are not finite"
}
end

begin counters
"$BIN" -p "$once" -n 11 --temp 0 --ignore-eos -a fp16 --counters --fidelity --log "$tmp/log" > /dev/null 2> "$tmp/err" || fail "exits $?"
has "$tmp/log" '{"schema":"lookat.attention/1","attn":"fp16/fp16","layers":6,"decoded":10}'
has "$tmp/log" '{"layer":0,"loaded_bytes_per_token":{"keys":4864,"scales":0,"codebooks":0,"tables":0,"values":4864,"refined":0,"total":9728,"streamed":9728,"at_hand":0},"skipped_values":{"rows_per_token":0,"mean_mass":0},"cosine":[1,null],"kl":[0,null],"spearman":[1,null],"top5":[1,null]}'
[ "$(wc -l < "$tmp/log")" -eq 7 ] || fail "$(wc -l < "$tmp/log") lines"
"$BIN" -p "$once" -n 8 --temp 0 -a fp32 --num-samples 2 --fidelity > /dev/null 2> "$tmp/err" || fail "exits $?"
has "$tmp/err" "fidelity of attention fp32/fp32 to fp16"
# the first token comes from the prompt's own logits: with -n 1 none is decoded
for n in 0 1; do
    "$BIN" -p "$once" -n $n --counters --fidelity > /dev/null 2> "$tmp/err" || fail "-n $n: exits $?"
    has "$tmp/err" "no token was decoded"
    grep -q "^layer" "$tmp/err" && fail "-n $n: a table of nothing"
    "$BIN" -p "$once" -n $n --counters --fidelity --log "$tmp/log" > /dev/null 2>&1 || fail "-n $n --log: exits $?"
    has "$tmp/log" '"decoded":0}'
    has "$tmp/log" '{"layer":0,"loaded_bytes_per_token":{"keys":null,"scales":null,"codebooks":null,"tables":null,"values":null,"refined":null,"total":null,"streamed":null,"at_hand":null},"skipped_values":{"rows_per_token":null,"mean_mass":null},"cosine":[null,null]'
done
refuse 2 "--log needs --counters or --fidelity" -p x -n 1 --log "$tmp/log"
end
