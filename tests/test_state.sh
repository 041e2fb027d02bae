#!/bin/sh
# generate --save-state and --load-state: a prompt that was kept goes on as if it had just been read.
. tests/lib.sh
m=$PWD/weights/stories6M.gguf
prompt="Once upon a time there was a little girl named Lily. She liked to play in the park, and she liked to play in the"
g() { "$BIN" generate -q -m "$m" -n 30 "$@" 2> "$tmp/err" < /dev/null; }

# to the byte, for kinds of caches, with and without drafts and with other threads
begin same_text
for a in fp16 int4:sink=1,window=32,exact=8/int4 lookat lookat:small turbo3/turbo4; do
    g -a $a -s 7 -p "$prompt" > "$tmp/want" || fail "$a: $(cat "$tmp/err")"
    g -a $a -s 7 -p "$prompt" --save-state "$tmp/state" > "$tmp/out" || fail "$a: $(cat "$tmp/err")"
    cmp -s "$tmp/want" "$tmp/out" || fail "$a: another text when it is kept"
    for how in "" "--draft 0 -t 1"; do
        # shellcheck disable=SC2086
        g -a $a -s 7 --load-state "$tmp/state" $how > "$tmp/out" || fail "$a $how: $(cat "$tmp/err")"
        cmp -s "$tmp/want" "$tmp/out" || fail "$a $how: '$(cat "$tmp/out")', expected '$(cat "$tmp/want")'"
    done
done
g -s 8 --num-samples 3 -p "$prompt" -o json > "$tmp/want"
g -p "$prompt" --save-state "$tmp/state" -n 0 > "$tmp/out"
[ "$(cat "$tmp/out")" = "$prompt" ] || fail "-n 0 writes '$(cat "$tmp/out")'"
g -s 8 --num-samples 3 -o json --load-state "$tmp/state" > "$tmp/out"
for f in want out; do sed 's/,"stats":.*//; s/.*"samples"/"samples"/' "$tmp/$f" > "$tmp/$f.samples"; done
grep -q '"samples"' "$tmp/want.samples" && cmp -s "$tmp/want.samples" "$tmp/out.samples" || fail "samples: $(head -c 300 "$tmp/out")"
output '"prefill_tokens":0'
end

# a text goes behind what was kept; --invariant makes it the same bits wherever the prompt is cut
begin text_behind
first="Once upon a time there was a little" second=" dog. It liked to run and"
for a in fp16 int4:sink=1,window=8/int4; do
    g --invariant -a $a -s 3 -p "$first$second" -o json --logprobs 1 > "$tmp/want"
    g --invariant -a $a -p "$first" --save-state "$tmp/state" -n 0 > "$tmp/out"
    g --invariant -a $a -s 3 --load-state "$tmp/state" -p "$second" -o json --logprobs 1 > "$tmp/out" || fail "$(cat "$tmp/err")"
    for f in want out; do sed 's/,"stats":.*//' "$tmp/$f" > "$tmp/$f.text"; done
    cmp -s "$tmp/want.text" "$tmp/out.text" || fail "$a: $(cat "$tmp/out.text")"
done
g --load-state "$tmp/state" -a $a --ids 575,510 -n 2 -o json > "$tmp/out"
output ',575,510]'
printf '%s' "$second" > "$tmp/text"
g --load-state "$tmp/state" -a $a -f "$tmp/text" --save-state "$tmp/longer" -n 0 > "$tmp/out"
[ "$(cat "$tmp/out")" = "$first$second" ] || fail "a file behind it: '$(cat "$tmp/out")'"
g --load-state "$tmp/longer" -a $a -n 0 > "$tmp/out"
[ "$(cat "$tmp/out")" = "$first$second" ] || fail "kept once more: '$(cat "$tmp/out")'"
end

begin state_refusals
cp "$tmp/state" "$tmp/before"
expect 3 "state: was kept with --attn int4" "$BIN" -q -m "$m" --load-state "$tmp/state" -n 1
expect 3 "was kept in a context of 1024 tokens (-c 1024), expected 512" "$BIN" -q -m "$m" -a $a -c 512 --load-state "$tmp/state" -n 1
"$BIN" convert -q "$m" --type q8_0 -o "$tmp/q8.gguf" 2> "$tmp/err" || fail "$(cat "$tmp/err")"
expect 3 "state: is the state of a model with other weights" "$BIN" -q -m "$tmp/q8.gguf" -a $a --load-state "$tmp/state" -n 1
"$BIN" convert -q --random 6,4,256,1024,4096 -o "$tmp/random.gguf" 2> "$tmp/err" || fail "$(cat "$tmp/err")"
expect 3 "state: is the state of another model: its fingerprint is" "$BIN" -q -m "$tmp/random.gguf" -a $a --load-state "$tmp/state" -n 1
expect 3 "gguf: is no state of a prompt" "$BIN" -q -m "$m" --load-state "$m" -n 1
expect 1 "none: cannot open" "$BIN" -q -m "$m" --load-state "$tmp/none" -n 1
expect 2 "is a file that this command reads" "$BIN" -q -m "$m" -a $a --load-state "$tmp/state" --save-state "$tmp/state" -n 1
expect 2 "is a file that this command reads" "$BIN" -q -m "$m" --save-state "$m" -p x -n 1
expect 2 "is a folder" "$BIN" -q -m "$m" --save-state "$tmp" -p x -n 1
expect 2 "does not go with --prompts" "$BIN" -q -m "$m" --load-state "$tmp/state" --prompts "$tmp/text"
expect 2 "--fidelity sees the keys of the whole prompt" "$BIN" -q -m "$m" -a $a --load-state "$tmp/state" --fidelity
expect 2 "expected two files, got one" "$BIN" -q -m "$m" -p x --save-state "$tmp/one" --log "$tmp/one" --counters
long=$(awk 'BEGIN { for (i = 0; i < 1100; i++) printf " dog" }')
expect 2 "which leaves no room in the context of 1024" "$BIN" -q -m "$m" -a $a --load-state "$tmp/state" -p "$long"
head -c 5000 "$tmp/state" > "$tmp/short"
expect 3 "short: has 5000 bytes, expected the" "$BIN" -q -m "$m" -a $a --load-state "$tmp/short" -n 1
cmp -s "$tmp/state" "$tmp/before" || fail "the file was changed"
[ ! -e "$tmp/one" ] || fail "a file of a command that was refused"
end

# a full disk leaves what was there
begin state_of_a_full_disk
if [ -c /dev/full ]; then
    expect 1 "/dev/full: cannot write" "$BIN" -q -m "$m" -p x -n 1 --save-state /dev/full
    end
else
    echo "skip state_of_a_full_disk: no /dev/full"
fi
