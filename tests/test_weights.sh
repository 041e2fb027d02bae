#!/bin/sh
# What convert and info do with weights that are not finite or beyond a number type's range, and with a config.json of other names.
. tests/lib.sh

# One layer, width 8, context 64, 4096 tokens, MLP 32, all float32. Its data begins with wte and wpe and ends with ln_f.bias.
make_model() {
    mkdir "$1" && "$BUILD/tests/tiny_model" "$1" && cp tokenizer/vocab.json tokenizer/merges.txt "$1" || fail "no model"
    start=$((8 + $(od -An -tu4 -N4 "$1/model.safetensors")))
    size=$(wc -c < "$1/model.safetensors")
}
# poke FOLDER OFFSET BYTES: into the weights
poke() { printf "$3" | dd of="$1/model.safetensors" bs=1 seek="$2" conv=notrunc 2> "$tmp/dd" || fail "$(cat "$tmp/dd")"; }
nan='\000\000\300\177' inf='\000\000\200\177' large='\000\120\303\107' # large: 100000
qkv=$((4 * (4096 * 8 + 64 * 8 + 8 + 8))) # where h.0.attn.c_attn.weight [8,24] begins

begin finite
make_model "$tmp/m"
expect 0 "" "$BIN" info --check-weights "$tmp/m"
output "All 34,168 weights are finite."
expect 0 "" "$BIN" info --check-weights -o json "$tmp/m"
output '"not_finite":{"count":0,"tensors":[]}'
expect 0 "" "$BIN" info -o json "$tmp/m"
if grep -q not_finite "$tmp/out"; then fail "not_finite without --check-weights"; fi
end

begin not_finite
make_model "$tmp/bad"
poke "$tmp/bad" $((start + qkv + 4 * (5 * 24 + 2))) "$nan"
poke "$tmp/bad" $((start + qkv + 4 * (6 * 24 + 2))) "$inf"
poke "$tmp/bad" $((size - 4)) "$inf"
expect 1 "$tmp/bad: 3 weights are not finite" "$BIN" info --check-weights "$tmp/bad"
output "3 of 34,168 weights are not finite:"
output "h.0.attn.c_attn.weight: 2 numbers are not finite, the first nan at [5,2]"
output "ln_f.bias: 1 number is not finite, inf at [7]"
expect 1 "3 weights are not finite" "$BIN" info --check-weights -o json "$tmp/bad"
output '"not_finite":{"count":3,"tensors":[{"tensor":"h.0.attn.c_attn.weight","count":2,"text":"h.0'
for type in f32 f16 bf16 q8_0 q4_0; do
    expect 3 "$tmp/bad: tensor h.0.attn.c_attn.weight: 2 numbers are not finite, the first nan at [5,2]" \
        "$BIN" convert "$tmp/bad" -o "$tmp/new.gguf" --type $type
    [ -z "$(find "$tmp" -name 'new*')" ] || fail "convert to $type left $(find "$tmp" -name 'new*')"
done
end

begin beyond_f16
make_model "$tmp/large"
poke "$tmp/large" $((start + qkv + 4 * 30)) "$large"
expect 0 "1 matrix holds numbers beyond the range of f16 (up to 100000) and is kept as f32: h.0.attn.c_attn.weight" \
    "$BIN" convert "$tmp/large" -o "$tmp/f16.gguf"
expect 0 "" "$BIN" info --check-weights "$tmp/f16.gguf"
output "All 34,168 weights are finite."
grep -q '^attn_qkv .* f32 ' "$tmp/out" || fail "attn_qkv is $(grep '^attn_qkv' "$tmp/out")"
grep -q '^ffn_up .* f16 ' "$tmp/out" || fail "ffn_up is $(grep '^ffn_up' "$tmp/out")"
expect 0 "" "$BIN" convert -q "$tmp/large" -o "$tmp/f16.gguf" --force
expect 0 "wrote " "$BIN" convert "$tmp/large" -o "$tmp/bf16.gguf" --type bf16
if grep -q range "$tmp/err"; then fail "bf16 reaches as far as f32: $(cat "$tmp/err")"; fi
end

# Two heads of 4 under either name, and none: width 8 does not tell.
begin heads
make_model "$tmp/heads"
sed 's/"n_head"/"num_attention_heads"/' "$tmp/m/config.json" > "$tmp/heads/config.json"
expect 0 "" "$BIN" convert -q "$tmp/heads" -o "$tmp/heads.gguf"
expect 0 "" "$BIN" info -o json "$tmp/heads.gguf"
output '"heads":2,"head_dim":4,'
sed 's/"n_head"/"number_of_heads"/' "$tmp/m/config.json" > "$tmp/heads/config.json"
expect 3 "$tmp/heads/config.json: does not give the number of heads" "$BIN" info "$tmp/heads"
rm "$tmp/heads/config.json"
expect 3 "put the model's config.json beside it" "$BIN" convert "$tmp/heads" -o "$tmp/none.gguf"
[ ! -e "$tmp/none.gguf" ] || fail "a file was written"
end
