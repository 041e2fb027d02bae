#!/bin/sh
# Vocabularies that are not as long as the embedding, and rules of theirs, from outside: what is
# chosen, what is refused, what a conversion keeps.
. tests/lib.sh

# random SHAPE FILE [OPTION]...: a model of random weights with the tokenizer of tokenizer/
random() {
    shape=$1 file=$2
    shift 2
    "$BIN" convert --random "$shape" -z tokenizer -o "$tmp/$file" --type f32 "$@" \
        2> "$tmp/err" || fail "$shape: $(cat "$tmp/err")"
}
# ids: those of the one sample in out, one a line
ids() { sed 's/.*"samples":\[{//; s/^[^[]*"ids":\[\([0-9,]*\)\].*/\1/' "$tmp/out" | tr , '\n'; }
# tops: the ids that "top" lists
tops() { grep -o '"top":\[[^]]*\(\],\[[^]]*\)*\]\]' "$tmp/out" | grep -o '\[[0-9]*,' | tr -d '[,'; }
hot="--temp 30 --top-k 0 --top-p 1 --min-p 0 -n 200 -s 1 -o json --logprobs 40"

begin more_rows_than_tokens
random 1,2,8,256,4600 wide.gguf
grep -qF "tokenizer has 4096 tokens and the model 4600 rows: rows from 4096 on are never chosen" \
    "$tmp/err" || fail "$(cat "$tmp/err")"
expect 0 "" "$BIN" generate -m "$tmp/wide.gguf" -p Once $hot -q
[ "$(ids | wc -l)" -eq 200 ] || fail "$(ids | wc -l) tokens"
[ "$(tops | wc -l)" -eq 8000 ] || fail "$(tops | wc -l) tops"
{ ids; tops; } | awk '$1 > 4095 { exit 1 }' ||
    fail "a row of padding was chosen, or is among the likely ones"
ids > "$tmp/ids"
expect 0 "" "$BIN" convert "$tmp/wide.gguf" -o "$tmp/again.gguf" --type f32 -q
expect 0 "" "$BIN" generate -m "$tmp/again.gguf" -p Once $hot -q
ids | cmp -s - "$tmp/ids" || fail "a conversion changes the text"
expect 0 "" "$BIN" generate -m "$tmp/wide.gguf" --ids 4599,0 -n 3 --temp 0 -q
end

# Every row takes part in the model's own probabilities, those of padding too: as with the same
# weights under no tokenizer at all.
begin log_probabilities
"$BIN" convert --random 1,2,8,256,4600 -o "$tmp/bare.gguf" --type f32 -q 2> /dev/null ||
    fail "convert"
expect 0 "" "$BIN" generate -m "$tmp/wide.gguf" --ids 1,2,3,4 -n 0 --echo --logprobs 1 -o json -q
grep -o '"logprob":[^,]*' "$tmp/out" > "$tmp/with"
expect 0 "" "$BIN" generate -m "$tmp/bare.gguf" --ids 1,2,3,4 -n 0 --echo --logprobs 1 -o json -q
grep -o '"logprob":[^,]*' "$tmp/out" | cmp -s - "$tmp/with" || fail "$(cat "$tmp/with")"
[ "$(wc -l < "$tmp/with")" -eq 3 ] || fail "$(wc -l < "$tmp/with") log-probabilities"
end

# Two tokens were added, and the embedding was not made longer: the model runs, and a text with one
# of them is refused.
begin fewer_rows_than_tokens
mkdir "$tmp/more"
cp tokenizer/vocab.json tokenizer/merges.txt "$tmp/more"
echo '{"<pad>": 4096, "resto": 4097}' > "$tmp/more/added_tokens.json"
"$BIN" convert --random 1,2,8,64,4096 -o "$tmp/small.gguf" --type f32 -q 2> /dev/null ||
    fail "convert"
small="-m $tmp/small.gguf -z $tmp/more -n 5 --temp 0"
expect 0 "tokenizer has 4098 tokens and the model 4096 rows: tokens from 4096 on cannot be used" \
    "$BIN" generate $small -p " a"
expect 0 "" "$BIN" generate $small -p " a" --ignore-eos -q
expect 3 'prompt: has token 4097 ("resto"), for which the model has no row: its rows go to 4095' \
    "$BIN" generate $small -p " a resto" -q
printf ' a a resto' > "$tmp/text"
expect 3 "text: has token 4097" "$BIN" eval -m "$tmp/small.gguf" -z "$tmp/more" -f "$tmp/text" -q
expect 0 "tokens from 4096 on cannot be used" \
    "$BIN" convert --random 1,2,8,64,4096 -z "$tmp/more" -o "$tmp/cut.gguf"
expect 0 "" "$BIN" generate -m "$tmp/cut.gguf" -p " a resto" -n 5 --temp 0 -q
expect 3 "4096 tokens and the model 300 rows: expected a row for each token of plain text" \
    "$BIN" convert --random 1,2,8,64,300 -z tokenizer -o "$tmp/never.gguf"
[ ! -e "$tmp/never.gguf" ] || fail "a model with another's tokenizer was written"
end

# bos in front of every text, as the file asks, in every command that reads one.
begin bos_in_front
mkdir "$tmp/tok"
cp tokenizer/vocab.json tokenizer/merges.txt "$tmp/tok"
echo '{"add_bos_token": true, "bos_token": "<|endoftext|>"}' > "$tmp/tok/tokenizer_config.json"
expect 0 "" "$BIN" tokenize -z "$tmp/tok" "Once upon"
[ "$(cat "$tmp/out")" = "4095 575 510" ] || fail "tokenize: $(cat "$tmp/out")"
"$BIN" convert --random 1,2,8,64,4096 -z "$tmp/tok" -o "$tmp/bos.gguf" -q 2> /dev/null ||
    fail "convert"
expect 0 "" "$BIN" tokenize -m "$tmp/bos.gguf" "Once upon"
[ "$(cat "$tmp/out")" = "4095 575 510" ] || fail "GGUF: $(cat "$tmp/out")"
expect 0 "" "$BIN" generate -m "$tmp/bos.gguf" -p "Once upon" -n 1 -o json -q
grep -qF '"prompt":{"text":"Once upon","ids":[4095,575,510]}' "$tmp/out" ||
    fail "generate: $(head -c 600 "$tmp/out")"
expect 0 "" "$BIN" generate -m "$tmp/bos.gguf" -p "" -n 1 -o json -q
grep -qF '"ids":[4095]}' "$tmp/out" || fail "an empty prompt: $(head -c 600 "$tmp/out")"
# of the lines of a conversation and of a file: in front of a text, and never within it
printf 'Once upon\n a\n/stats\n' > "$tmp/text"
"$BIN" -i -m "$tmp/bos.gguf" -n 1 --ignore-eos -s 1 < "$tmp/text" > "$tmp/out" 2> "$tmp/err" ||
    fail "-i: $(cat "$tmp/err")"
grep -qF 'context: 6 of 64 tokens, 2 lines' "$tmp/err" || fail "-i: $(cat "$tmp/err")"
expect 0 "" "$BIN" --prompts "$tmp/text" -m "$tmp/bos.gguf" -n 1 -q
[ "$(grep -c '"ids":\[4095,' "$tmp/out")" -eq 3 ] || fail "--prompts: $(head -c 600 "$tmp/out")"
printf 'Once upon a' > "$tmp/text"
expect 0 "" "$BIN" eval -m "$tmp/bos.gguf" -f "$tmp/text" -c 4 -o json -q
grep -qF '"tokens":4' "$tmp/out" || fail "eval: $(head -c 600 "$tmp/out")"
expect 0 "" "$BIN" info "$tmp/bos.gguf"
grep -q "texts begin with 4095" "$tmp/out" || fail "info: $(grep tokenizer "$tmp/out")"
end

begin not_a_tokenizer
printf 'root:x:0:0\n' > "$tmp/passwd"
expect 3 "expected a tokenizer: tokenizer.json, vocab.json with merges.txt, an llm.c" \
    "$BIN" tokenize -z "$tmp/passwd" x
printf '\001\002\003\004\005' > "$tmp/bytes"
expect 3 "starts with bytes 01 02 03 04, expected a tokenizer: tokenizer.json" \
    "$BIN" tokenize -z "$tmp/bytes" x
expect 3 "expected a GGUF file, a .safetensors file, a PyTorch file or an llm.c .bin" \
    "$BIN" generate -m "$tmp/passwd" -p x
end

# What only this program reads from a GGUF file is said when it is written.
begin own_keys
printf '{"model":{"type":"BPE","ignore_merges":true,"vocab":' > "$tmp/tokenizer.json"
cat tokenizer/vocab.json >> "$tmp/tokenizer.json"
printf ',"merges":[]}}' >> "$tmp/tokenizer.json"
expect 0 "" "$BIN" tokenize -z "$tmp/tokenizer.json" "Once upona"
[ "$(cat "$tmp/out")" = "575 220 84 79 78 77 64" ] || fail "tokenize: $(cat "$tmp/out")"
"$BIN" convert --random 1,2,8,64,4096 -z "$tmp/tokenizer.json" -o "$tmp/own.gguf" 2> "$tmp/err" ||
    fail "$(cat "$tmp/err")"
grep -qF "other programs would give other token ids" "$tmp/err" || fail "convert: $(cat "$tmp/err")"
expect 0 "" "$BIN" tokenize -m "$tmp/own.gguf" "Once upona"
[ "$(cat "$tmp/out")" = "575 220 84 79 78 77 64" ] || fail "GGUF: $(cat "$tmp/out")"
end
