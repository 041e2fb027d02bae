#!/bin/sh
# make peer: the same files in llama.cpp and in lookat. First whether both read them alike (token
# ids, perplexity), then how fast both are: in turn, a row measured once by each in every round.
#
#   LLAMA_CPP   folder of a native build (its llama-bench, llama-perplexity and llama-tokenize, or
#               bin/ or build/bin/ with them); without it they are looked for on the PATH. Where no
#               native build is, peer_node.sh compares with a prebuilt library, without speed.
#   ROUNDS=5    rounds of the speed table, an odd number
#   THREADS=2   threads of both programs
#   TYPES       of GPT-2's shape: "f16 q8_0 q4_0" without it
#   KERNELS     --kernels of lookat: auto without it; avx2 beside a llama.cpp built without AVX-512
#   PEER_ARGS   more arguments for llama-bench, such as "-fa 1"
# Ends with status 1 where the two differ by more than stated; speed is only reported.
BIN=${BIN:-$PWD/lookat}
ROUNDS=${ROUNDS:-5} THREADS=${THREADS:-2} TYPES=${TYPES:-f16 q8_0 q4_0} KERNELS=${KERNELS:-auto}
here=$(dirname "$0") failed=0
folder=${BENCH_MODELS:-.build/bench}
small=weights/stories6M.gguf
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

tool() { # NAME: the path of llama.cpp's program, or nothing
    for at in "$LLAMA_CPP" "$LLAMA_CPP/bin" "$LLAMA_CPP/build/bin"; do
        if [ -n "$LLAMA_CPP" ] && [ -x "$at/$1" ]; then echo "$at/$1"; return; fi
    done
    [ -n "$LLAMA_CPP" ] || command -v "$1"
}
check() { # NAME STATUS WHY
    if [ "$2" -eq 0 ]; then echo "ok $1"; else echo "FAIL $1: $3"; failed=1; fi
}

bench=$(tool llama-bench)
if [ -z "$bench" ]; then
    [ -z "$LLAMA_CPP" ] || { echo "peer: no llama-bench in $LLAMA_CPP, its bin or build/bin" >&2; exit 1; }
    echo "No native llama.cpp (LLAMA_CPP=folder, or llama-bench on the PATH): a prebuilt one, not for speed."
    exec sh "$here/peer_node.sh"
fi

# ---- agreement ----
for type in f16 q8_0; do
    "$BIN" convert -q "$small" --type $type -o "$tmp/$type.gguf" || exit 1
done
tokenize=$(tool llama-tokenize)
if [ -n "$tokenize" ]; then
    for text in tests/texts/*.txt; do
        "$tokenize" -m "$tmp/f16.gguf" -f "$text" --ids --no-escape --log-disable 2> /dev/null |
            tr -d '[] ' | tr ',' '\n' | grep . > "$tmp/theirs"
        "$BIN" tokenize -m "$tmp/f16.gguf" -f "$text" | tr ' ' '\n' | grep . > "$tmp/ours"
        cmp -s "$tmp/ours" "$tmp/theirs"
        check "tokens of $text: $(wc -l < "$tmp/ours")" $? "ids differ, of llama-tokenize's $(wc -l < "$tmp/theirs")"
    done
fi
perplexity=$(tool llama-perplexity)
if [ -n "$perplexity" ]; then
    for type in f16 q8_0; do
        # the mean up to each window is printed as [16]51.1448, so the last one is the whole's
        theirs=$("$perplexity" -m "$tmp/$type.gguf" -f tests/texts/prose.txt -c 512 -t "$THREADS" 2>&1 |
            grep -o '\[[0-9]*\][0-9.]*' | tail -n 1 | sed 's/.*]//')
        ours=$("$BIN" eval -m "$tmp/$type.gguf" -f tests/texts/prose.txt -c 512 -q -o json |
            sed -n 's/.*"perplexity":\[*\([0-9.]*\).*/\1/p')
        # llama.cpp rounds activations to f16 or to 8 bits before it multiplies them
        awk -v a="$ours" -v b="$theirs" 'BEGIN { d = a / (b + 0 ? b : 1) - 1; exit !(b > 0 && d < 0.01 && d > -0.01) }'
        check "perplexity of $type: $ours, llama-perplexity's $theirs" $? "more than 1 % apart"
    done
fi

# ---- speed ----
case $(uname -m) in x86_64) cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1) ;; *) cpu=$(uname -m) ;; esac
echo
echo "$cpu, $THREADS threads; $ROUNDS rounds; $("$BIN" --version | sed -n 1p), kernels $KERNELS"
built=$LLAMA_CPP/CMakeCache.txt
[ -e "$built" ] || built=$LLAMA_CPP/build/CMakeCache.txt
echo "llama.cpp: $("${perplexity:-$bench}" --version 2>&1 | sed -n 's/^version: //p') $PEER_ARGS," \
    "$(sed -n -E 's/^(CMAKE_BUILD_TYPE|GGML_(NATIVE|AVX[0-9A-Z_]*|FMA|BLAS|OPENMP)):[A-Z]*=(.+)$/\1=\3/p' "$built" 2> /dev/null | grep -v '=OFF$' | tr '\n' ' ')"
mkdir -p "$folder" || exit 1
# llama.cpp wants a tokenizer inside
vocabulary=
for at in weights/gpt2 ../shared/gpt2-tokenizer; do [ ! -e "$at/vocab.json" ] || vocabulary=$at; done
[ -n "$vocabulary" ] || { echo "GPT-2's tokenizer is missing (./run.sh gpt2): only the default model is timed"; TYPES=; }
for type in $TYPES; do
    model=$folder/gpt2-$type.gguf
    [ -e "$model" ] || "$BIN" convert -q --random gpt2 -z "$vocabulary" --type "$type" -o "$model" || exit 1
done

# Both print CSV; of each row a line "round side model test tokens depth tokens/s" is left.
ours() { # LABEL FILE THREADS ARGUMENTS...
    label=$1 file=$2 threads=$3
    shift 3
    "$BIN" bench -m "$file" -t "$threads" -r 1 -q -o csv --kernels "$KERNELS" -a fp16 "$@" |
        awk -F, -v row="$round ours $label" '
            NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
            { print row, ($at["test"] == "prefill" ? "prompt" : "generation"), $at["n"],
                    $at["depth"], $at["tokens_per_s"] }' >> "$tmp/all"
}
theirs() { # likewise
    label=$1 file=$2 threads=$3
    shift 3
    # shellcheck disable=SC2086
    "$bench" -m "$file" -t "$threads" -r 1 -o csv $PEER_ARGS "$@" 2> "$tmp/err" | tr -d '"' |
        awk -F, -v row="$round theirs $label" '
            NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
            { p = $at["n_prompt"]; g = $at["n_gen"]
              print row, (p > 0 ? "prompt" : "generation"), (p > 0 ? p : g), $at["n_depth"],
                    $at["avg_ts"] }' >> "$tmp/all"
}
both() { # the one first in odd rounds, the other in even ones
    if [ $((round % 2)) -eq 1 ]; then ours "$@"; theirs "$@"; else theirs "$@"; ours "$@"; fi
}
round=0
while [ "$round" -lt "$ROUNDS" ]; do
    round=$((round + 1))
    [ ! -t 2 ] || printf '\rround %s of %s ' "$round" "$ROUNDS" >&2
    for type in $TYPES; do
        both "$type" "$folder/gpt2-$type.gguf" "$THREADS" -p 16,64,512 -n 0
        both "$type" "$folder/gpt2-$type.gguf" "$THREADS" -p 0 -n 32 -d 0,960
    done
    for threads in 1 2; do both "stories6M,-$threads-thread$([ $threads = 1 ] || echo s)" "$small" $threads -p 0 -n 128; done
done
[ ! -t 2 ] || printf '\r                  \r' >&2

# Medians of the rounds, and of the ratios of each round, with the least and the most of them.
echo
echo "| model | test | lookat, tokens/s | llama.cpp, tokens/s | ratio | least to most |"
echo "|---|---|---|---|---|---|"
awk '
    function sort(x, n,    i, j, t) {
        for (i = 2; i <= n; i++)
            for (j = i; j > 1 && x[j - 1] > x[j]; j--) { t = x[j]; x[j] = x[j - 1]; x[j - 1] = t }
    }
    {
        key = $3 SUBSEP $4 SUBSEP $5 SUBSEP $6
        if (!(key in seen)) { seen[key] = 1; order[++rows] = key }
        speed[$2, key, $1] = $7
        if ($1 > rounds) rounds = $1
    }
    END {
        for (k = 1; k <= rows; k++) {
            key = order[k]; n = 0
            for (r = 1; r <= rounds; r++)
                if (("ours", key, r) in speed && speed["theirs", key, r] > 0) {
                    n++; a[n] = speed["ours", key, r]; b[n] = speed["theirs", key, r]; c[n] = a[n] / b[n]
                }
            split(key, name, SUBSEP); gsub("-", " ", name[1])
            test = name[2] " of " name[3] (name[4] > 0 ? ", " name[4] " in the cache" : "")
            if (!n) { printf "| %s | %s | - | - | - | - |\n", name[1], test; continue }
            sort(a, n); sort(b, n); sort(c, n); h = int((n + 1) / 2)
            printf "| %s | %s | %.0f | %.0f | %.2f | %.2f to %.2f |\n", name[1], test, a[h], b[h], c[h], c[1], c[n]
        }
    }' "$tmp/all"
exit $failed
