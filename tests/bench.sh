#!/bin/sh
# make bench: the standard set, on random weights of GPT-2's shape, which are made on first use (460 MB). Two to three minutes on two cores.
# Further arguments, such as -t 1,2, are options of lookat bench.
BIN=${BIN:-$PWD/lookat}
folder=${BENCH_MODELS:-.build/bench}
mkdir -p "$folder" || exit 1
models=
for type in f16 q8_0 q4_0; do
    model=$folder/gpt2-$type.gguf
    [ -e "$model" ] || "$BIN" convert --random gpt2 --type $type -o "$model" || exit
    models="$models -m $model"
done
echo "Prompts:"
echo
"$BIN" bench $models -p 64,512,1024 -n 0 -r 3 --roofline "$@" || exit
echo
echo "Generation:"
echo
"$BIN" bench $models -p 0 -n 32 -d 0,960 -r 7 --attn fp16,lookat4/int8 --roofline "$@"
