# Our GGUF files in llama.cpp: they load, tokenize and predict the same. `make peer`; takes half a minute, and a folder with node-llama-cpp in its
# node_modules (see tests/README.md).
peer=${LOOKAT_PEER:-$HOME/peer}
shared=${LOOKAT_SHARED:-../shared}
if ! command -v node > /dev/null 2>&1 || [ ! -d "$peer/node_modules" ]; then
    echo "skip peer: no llama.cpp in $peer (LOOKAT_PEER)"
    exit 0
fi
if [ ! -e "$shared/stories6M/model.safetensors" ]; then
    echo "skip peer: no stories6M in $shared"
    exit 0
fi
shared=$(cd "$shared" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export TMP_DIR="$tmp" SHARED="$shared" BIN PEER="$peer"

"$BIN" convert "$shared/stories6M" -o "$tmp/f32.gguf" --type f32 -q
"$BIN" convert "$shared/stories6M" -o "$tmp/f16.gguf" --type f16 -q
"$BIN" convert "$shared/stories6M" -o "$tmp/q8_0.gguf" --type q8_0 -q
"$BIN" convert --random 1,1,64,1024,50257 --seed 1 -z "$shared/gpt2-tokenizer" -o "$tmp/gpt2-tokenizer.gguf" --type f16 -q
node tests/peer.mjs
