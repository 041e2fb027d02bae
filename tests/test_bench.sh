#!/bin/sh
# lookat bench from outside: the rows of a cross product in every form, bytes and operations by their closed forms, mistakes. No speed is asserted.
. tests/lib.sh
export LOOKAT_MODEL="$PWD/weights/stories6M.gguf"

bench() { "$BIN" bench -q "$@" > "$tmp/out" 2> "$tmp/err" || fail "bench $*: status $?: $(cat "$tmp/err")"; [ ! -s "$tmp/err" ] || fail "bench -q $*: $(cat "$tmp/err")"; }
# rows: a line for each row of the JSON; field NAME of such a line
rows() { sed 's/.*"rows":\[//; s/},{/}\n{/g' "$tmp/out"; }
field() { sed "s/.*\"$1\":\"*\([^\",}]*\).*/\1/"; }
# near A B: the same but for the last digits
near() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a != "" && b != "" && (a - b) <= 1e-9 * b && (b - a) <= 1e-9 * b) }'; }

begin every_combination_once
bench -r 2 -p 8,20 -n 2 -d 0,5 -b 1,3 -t 1,2 --attn fp16,int4:rotate,center,lookat4 -o json
grep -q '^{"schema":"lookat.bench/1","model":{"file":".*"models":\[{.*"repetitions":2,"limits":null,"rows":\[' "$tmp/out" || fail "$(head -c 300 "$tmp/out")"
[ "$(rows | wc -l)" -eq 36 ] || fail "$(rows | wc -l) rows, expected 3 backends x 2 threads x (2 prompts + 2 x 2)"
[ "$(rows | sed 's/"tokens_per_s".*//' | sort -u | wc -l)" -eq 36 ] || fail "rows are not all different"
rows | grep -q '"test":"prefill","n":20,"depth":0,"attn":"int4:rotate,center","effective_attn":"int4:group=32,rotate,center/fp16","threads":2,"batch":1,' ||
    fail "no prefill of 20 with int4: $(rows | head -n 2)"
rows | grep -q '"test":"decode","n":2,"depth":5,"attn":"lookat4","effective_attn":"lookat:bytes=4,k=256,table=16/fp16","threads":1,"batch":3,' || fail "no decode with lookat4"
rows | grep -q '"all":\[[0-9.e+]*,[0-9.e+]*\],"bytes_per_token":[0-9.e+]*,.*"gb_per_s":[0-9.e+]*,"gflop_per_s":[0-9.e+]*,"limit":null,"share":null' || fail "$(rows | head -n 1)"
if command -v node > /dev/null; then
    node -e 'const b = JSON.parse(require("fs").readFileSync(0)), m = a => { a = [...a].sort((x, y) => x - y); return (a[0] + a[1]) / 2 };
        for (const r of b.rows) if (Math.abs(r.tokens_per_s - m(r.all)) > 1e-9 * r.tokens_per_s || Math.abs(r.gb_per_s * 1e9 - r.streamed_bytes_per_token * r.tokens_per_s) > 1) throw r' \
        < "$tmp/out" 2> "$tmp/err" || fail "$(head -c 300 "$tmp/err")"
fi
end

# closed TEST N DEPTH BATCH KEYS: bytes and operations of a token. The default model has f16 matrices, f32 norms, biases and positions; KEYS is the number of keys
# that one query of one layer reads on average, and those of fp16 with its values are 512 bytes for a head's 64 dimensions twice
closed() {
    awk -v test="$1" -v n="$2" -v d="$3" -v b="$4" 'BEGIN {
        L = 6; C = 256; F = 1024; V = 4096; H = 4
        layers = L * (2 * (4 * C * C + 2 * C * F) + 4 * (9 * C + F)); head = 2 * V * C + 8 * C; row = 2 * C + 4 * C
        keys = d + (n + 1) / 2
        if (test == "decode") { bytes = (layers + head) / b + row + L * H * 256 * keys; logits = 1 }
        else { bytes = (layers + head) / n + row + L * H * 256; logits = 1 / n } # one tile of queries: each row is read once
        printf "%.6f %.6f\n", bytes, L * 2 * (4 * C * C + 2 * C * F) + logits * 2 * V * C + L * 4 * C * keys
    }'
}
begin bytes_and_operations
bench -r 1 -p 40 -n 3 -d 0,17 -b 1,4 -t 1 -o json
rows > "$tmp/rows"
while read -r row; do
    set -- $(for f in test n depth batch bytes_per_token flops_per_token; do echo "$row" | field $f; done)
    want=$(closed "$1" "$2" "$3" "$4")
    near "$5" "${want% *}" && near "$6" "${want#* }" || fail "$1 of $2 at $3, $4 sequences: $5 bytes and $6 operations, expected $want"
done < "$tmp/rows"
[ "$(wc -l < "$tmp/rows")" -eq 5 ] || fail "$(wc -l < "$tmp/rows") rows"
end

begin other_backends_by_the_cache
# a decoded token of int8/int8 reads 2 x (64 + 4) bytes for a key, its value and their scales, where fp16 reads 256; nothing else differs
bench -r 1 -p 0 -n 1 -d 30 -t 1 --attn fp16 --attn int8/int8 -o csv
a=$(sed -n 2p "$tmp/out" | cut -d, -f15) b=$(sed -n 3p "$tmp/out" | cut -d, -f15)
[ "$(awk -v a="$a" -v b="$b" 'BEGIN { print (a - b) / 31 / 24 }')" = "$(awk 'BEGIN { print 256 - 2 * 68 }')" ] || fail "fp16 $a, int8/int8 $b"
end

begin forms
bench -r 2 -p 4 -n 1 -d 0,2 -t 1
[ "$(wc -l < "$tmp/out")" -eq 5 ] || fail "Markdown: $(cat "$tmp/out")"
sed -n 1p "$tmp/out" | grep -q '^| model | size | params | kernels | threads | attn | test | t/s | min | max | MB/t | streamed | at hand | GB/s | GFLOP/s |$' || fail "$(sed -n 1p "$tmp/out")"
[ "$(awk -F'|' '{ print NF }' "$tmp/out" | sort -u)" = 17 ] || fail "columns: $(cat "$tmp/out")"
grep -q '^| stories6M f16 | .* | 6.05 M | .* | 1 | fp16 | tg1 @ d2 | ' "$tmp/out" || fail "$(cat "$tmp/out")"
bench -r 2 -p 4 -n 1 -d 0,2 -t 1 -o csv
[ "$(wc -l < "$tmp/out")" -eq 4 ] && [ "$(awk -F, '{ print NF }' "$tmp/out" | sort -u)" = 22 ] || fail "CSV: $(cat "$tmp/out")"
bench -r 2 -p 4 -n 1 -b 2 -t 1 -o jsonl
[ "$(wc -l < "$tmp/out")" -eq 3 ] && [ "$(grep -c '^{"schema":"lookat.bench/1",' "$tmp/out")" -eq 3 ] || fail "JSON lines: $(cat "$tmp/out")"
[ "$(sed -n 2p "$tmp/out" | field batch)" = 2 ] && [ "$(sed -n 3p "$tmp/out" | field repetitions)" = 2 ] || fail "JSON lines: $(cat "$tmp/out")"
bench -r 1 -p 4 -n 0 -t 1 -o text
sed -n 1p "$tmp/out" | grep -q '^model stories6M f16, size [0-9.]* MB, params 6.05 M, kernels [a-z0-9]*, threads 1, attn fp16$' || fail "text: $(cat "$tmp/out")"
sed -n 3p "$tmp/out" | grep -q '^pp4  *[0-9.]* ' || fail "text: $(cat "$tmp/out")"
bench -r 1 -p 4 -n 1 -t 1 --attn fp16,int4 -o text
awk 'length > 80 { exit 1 }' "$tmp/out" || fail "wider than 80 columns: $(cat "$tmp/out")"
grep -q '^int4  tg1  *[0-9.]* ' "$tmp/out" || fail "what differs stays: $(cat "$tmp/out")"
if "${BUILD:-.build/default}/tests/terminal" true > /dev/null 2>&1; then
    "${BUILD:-.build/default}/tests/terminal" "$BIN" bench -q -p 4 -n 0 -r 1 -t 1 > "$tmp/hex" || fail "on a terminal: $?"
    tr -d '\n' < "$tmp/hex" | grep -q '^6D6F64656C2073746F72696573364D' || fail "no text on a terminal: $(head -c 200 "$tmp/hex")"
fi
end

begin kernel_sets_and_several_models
"$BIN" convert --random 1,2,8,16,50 -o "$tmp/tiny.gguf" --type f32 -q || fail "convert"
"$BIN" convert --random 1,1,16,32,90 -o "$tmp/more.gguf" --type f32 -q || fail "convert"
bench -m "$tmp/tiny.gguf" -m "$tmp/more.gguf" -r 1 -p 16 -n 2 -t 1 --kernels all --attn lookat:m=2,k=16,fp32 -o csv
sets=$("$BIN" bench --kernels nonsense 2>&1 | sed 's/.*there are //; s/ (.*//; s/, /\n/g' | wc -l)
n=$(($(wc -l < "$tmp/out") - 1))
[ $n -ge 8 ] && [ $n -le $((8 * sets)) ] && [ $((n % 8)) -eq 0 ] || fail "$n rows of 2 models, 2 backends, 2 tests and up to $sets sets"
[ "$(grep -c ',scalar,' "$tmp/out")" -eq 8 ] || fail "$(cat "$tmp/out")"
[ "$(grep -c '"lookat:m=2,k=16"' "$tmp/out")" -eq $((n / 2)) ] || fail "$(cat "$tmp/out")"
"$BIN" bench -m "$tmp/tiny.gguf" -r 1 -p 2 -n 0 --attn lookat2 > /dev/null 2> "$tmp/err" || fail "lookat2"
grep -q 'tiny.gguf: made 1 codebook ' "$tmp/err" || fail "nothing about made codebooks: $(cat "$tmp/err")"
end

begin roofline
bench -m "$tmp/tiny.gguf" -r 1 -p 4 -n 2 -t 1 --roofline -o json
grep -q '"limits":{"read_gb_per_s":[0-9.e+]*,"fma_gflop_per_s":[0-9.e+]*,"measured":\[{"kernels":"[a-z0-9]*","threads":1,"before":{' "$tmp/out" || fail "$(cat "$tmp/out")"
[ "$(rows | grep -c '"limit":"\(read\|fma\)","share":[0-9.e-]*}')" -eq 2 ] || fail "$(rows)"
if command -v node > /dev/null; then
    node -e 'const b = JSON.parse(require("fs").readFileSync(0)), l = b.limits, m = l.measured[0];
        if (l.read_gb_per_s != Math.max(m.before.read_gb_per_s, m.after.read_gb_per_s)) throw l;
        for (const r of b.rows) {
            const read = r.gb_per_s / l.read_gb_per_s, fma = r.gflop_per_s / l.fma_gflop_per_s, most = Math.max(read, fma);
            if (Math.abs(r.share - most) > 1e-9 * most || r.limit != (read > fma ? "read" : "fma")) throw r
        }' < "$tmp/out" 2> "$tmp/err" || fail "$(head -c 300 "$tmp/err")"
fi
end

begin attention_alone
bench -m "$tmp/tiny.gguf" -r 2 --attention -d 9,1,16 --attn fp16,lookat:m=2,k=16/int8,fp32 -o csv
[ "$(wc -l < "$tmp/out")" -eq 10 ] && [ "$(awk -F, '{ print NF }' "$tmp/out" | sort -u | tr '\n' ' ')" = "16 20 " ] || fail "CSV: $(cat "$tmp/out")"
[ "$(grep ',"fp16",' "$tmp/out" | cut -d, -f5 | tr '\n' ' ')" = "1 9 16 " ] || fail "depths of fp16: $(cat "$tmp/out")"
sed '1d; s/"lookat:m=2,k=16/"lookat/' "$tmp/out" | awk -F, '{ s = $6 + $7 + $8 + $9; if (!(s > 0) || s - $10 > 1e-6 * s || $10 - s > 1e-6 * s) exit 1 }' || fail "the stages are not all: $(cat "$tmp/out")"
bench -m "$tmp/tiny.gguf" -r 1 --attention --attn fp16,lookat:m=2,k=16,fp32 -o json
grep -q '"rows":\[\],"attention":\[{"model":0,"kernels":"[a-z0-9]*","attn":"fp16","effective_attn":"fp16/fp16","depth":1,"ns_per_key":{"tables":[0-9.e-]*,"scores":' "$tmp/out" || fail "$(cat "$tmp/out")"
[ "$(grep -o '"depth":[0-9]*' "$tmp/out" | sort | uniq -c | awk '{ print $1 $2 }' | tr '\n' ' ')" = '3"depth":1 3"depth":16 3"depth":2 3"depth":4 3"depth":8 ' ] || fail "depths: $(cat "$tmp/out")"
grep -q '"crossovers":\[{"model":0,"kernels":"[a-z0-9]*","attn":"lookat:m=2,k=16","effective_attn":"lookat:m=2,k=16,table=16,plain/fp16","keys":null,"verdict":"not told"},{.*"attn":"fp32".*,"keys":null,"verdict":"no tables"}\]}$' "$tmp/out" ||
    fail "$(cat "$tmp/out")"
bench -m "$tmp/tiny.gguf" -r 1 --attention -d 4 --attn fp16,fp32,lookat:m=2,k=16
[ "$(grep -c '^| random | [a-z0-9]* | fp[136]*2*6* | 4 | ' "$tmp/out")" -eq 4 ] || fail "not in both tables: $(cat "$tmp/out")"
grep -q 'tables and scores of fp32' "$tmp/out" && fail "fp32 has no tables: $(cat "$tmp/out")"
grep -q 'tables and scores of lookat:m=2,k=16 (plain) take some time; .* 5 repetitions would tell' "$tmp/out" || fail "one repetition: $(cat "$tmp/out")"
bench -m "$tmp/tiny.gguf" -r 5 --attention -d 4,16 --attn fp16,lookat:m=2,k=16 -o json
grep -q '"verdict":"\(not told\|longer\|less\|from\|at the latest\)"}\]}$' "$tmp/out" || fail "five repetitions: $(cat "$tmp/out")"
end

begin streamed_and_at_hand
# both are the whole; weights and rows are streamed, and tables are at hand
bench -r 1 -p 4 -n 2 -d 9 -t 1 --attn fp16,lookat4 -o json
rows | while read -r row; do
    set -- $(for f in bytes_per_token streamed_bytes_per_token at_hand_bytes_per_token; do echo "$row" | field $f; done)
    near "$1" "$(awk -v a="$2" -v b="$3" 'BEGIN { printf "%.9f", a + b }')" || echo "$1 is not $2 and $3"
done > "$tmp/wrong"
[ ! -s "$tmp/wrong" ] || fail "$(cat "$tmp/wrong")"
[ "$(rows | grep -c '"attn":"fp16".*"at_hand_bytes_per_token":0,')" -eq 2 ] || fail "fp16 has bytes at hand: $(rows)"
[ "$(rows | grep '"attn":"lookat4"' | grep -c '"decode".*"at_hand_bytes_per_token":[1-9]')" -eq 1 ] || fail "lookat4 has none: $(rows)"
end

begin growth
# the bytes of 1 layer and 2 heads of 4 dimensions: of fp16/fp16 2 x 2 x 8 a key. A codebook of k=16 is 2 x 4 x 16 for each head; a key is 1 byte of two codes, and a
# lookup reads 2 x 2 bytes of tables; a value of int8 is 4 bytes and 2 of scale
bench -m "$tmp/tiny.gguf" -r 2 --attention -d 4,16 --attn fp16/fp16,lookat:m=2,k=16/int8:group=4 -o json
for t in '"streamed_bytes_per_token":128,"at_hand_bytes_per_token":0,"growth_per_key":null' \
    '"streamed_bytes_per_token":512,"at_hand_bytes_per_token":0,"growth_per_key":{"ns":[0-9.e-]*,"streamed_bytes":16,"at_hand_bytes":0}' \
    '"streamed_bytes_per_token":56,"at_hand_bytes_per_token":288,"growth_per_key":null' \
    '"streamed_bytes_per_token":224,"at_hand_bytes_per_token":384,"growth_per_key":{"ns":[0-9.e-]*,"streamed_bytes":7,"at_hand_bytes":4}'; do
    grep -q "$t" "$tmp/out" || fail "no $t: $(cat "$tmp/out")"
done
bench -m "$tmp/tiny.gguf" -r 1 --attention -d 4,16 --attn fp16/fp16,lookat:m=2,k=16/int8:group=4 -o csv
grep -q ',512,0,[0-9.e-]*,16,0$' "$tmp/out" && grep -q ',56,288,,,$' "$tmp/out" || fail "$(cat "$tmp/out")"
bench -m "$tmp/tiny.gguf" -r 1 --attention -d 4,16 --attn fp16/fp16,lookat:m=2,k=16/int8:group=4 -o md
grep -q '^| random | [a-z0-9]* | fp16/fp16 | 16 | 512 | 0 | 1.00x | [0-9.-]* | 16.0 |$' "$tmp/out" && grep -q ' | 4 | 56 | 288 | 2.29x | - | - |$' "$tmp/out" || fail "$(cat "$tmp/out")"
end

begin drafts
bench -r 2 --draft 0,50,100 -n 24 -d 8,40 -t 1 -o json
drafts() { sed 's/.*"drafts":\[//; s/},{/}\n{/g' "$tmp/out"; }
grep -q '"rows":\[\],"drafts":\[{"model":0,"type":"f16","kernels":"[a-z0-9]*","attn":"fp16","effective_attn":"fp16/fp16","threads":1,"n":24,"depth":8,"right":0,"tokens_per_s_without":' "$tmp/out" ||
    fail "$(head -c 900 "$tmp/out" | tail -c 400)"
[ "$(drafts | wc -l)" -eq 6 ] || fail "$(drafts | wc -l) scripts, expected 3 shares x 2 depths"
# every step brings a token, and every kept proposal another
drafts | while read -r row; do
    set -- $(for f in n right steps proposed kept; do echo "$row" | field $f; done)
    [ $(($3 + $5)) -eq "$1" ] || echo "$3 steps and $5 kept proposals make no $1 tokens"
    case $2 in
    0) [ "$5" -eq 0 ] || echo "$5 of the wrong proposals were kept" ;;
    1) [ "$5" -eq "$4" ] || echo "$5 of $4 right proposals were kept" ;;
    esac
done > "$tmp/wrong"
[ ! -s "$tmp/wrong" ] || fail "$(cat "$tmp/wrong")"
bench -m "$tmp/tiny.gguf" -r 1 --draft 0,100 -n 8 -d 4 -o csv --attn fp32,int8
[ "$(wc -l < "$tmp/out")" -eq 5 ] && [ "$(awk -F, '{ print NF }' "$tmp/out" | sort -u | tr '\n' ' ')" = "17 " ] || fail "CSV: $(cat "$tmp/out")"
bench -m "$tmp/tiny.gguf" -r 1 --draft 25 -n 8 -d 4
grep -q '^| random f32 | [a-z0-9]* | [0-9]* | fp16 | tg8 @ d4 | 25 % | ' "$tmp/out" || fail "Markdown: $(cat "$tmp/out")"
bench -m "$tmp/tiny.gguf" -r 1 --draft 0,100 -n 8 -d 4 -o jsonl
[ "$(grep -c '^{"schema":"lookat.bench/1","model":0,"file":".*"kept":[0-9]*}$' "$tmp/out")" -eq 2 ] || fail "jsonl: $(cat "$tmp/out")"
end

# refused TEXT ARGUMENT...
refused() {
    text=$1
    shift
    "$BIN" bench "$@" > "$tmp/out" 2> "$tmp/err" < /dev/null
    got=$?
    [ $got -eq 2 ] || fail "bench $* exits $got, expected 2"
    grep -qF -e "$text" "$tmp/err" || fail "bench $*: expected '$text', got '$(cat "$tmp/err")'"
    [ ! -s "$tmp/out" ] || fail "bench $*: something on standard output"
}
begin mistakes
refused "-d 1000: 64 tokens after it end beyond the context of 1024 tokens" -n 64 -d 0,1000
refused "-d 60: 8 tokens after it end beyond the context of 64 tokens" -c 64 -p 4 -n 8 -d 60
refused "-p 2000: longer than the context of 1024 tokens" -p 2000
refused "-c 2000: the context of" -c 2000
refused "-p: expected whole numbers from 0 to 1048576, separated by commas, got '5x'" -p 5x
refused "-p: something is missing at a comma in '5,'" -p 5,
refused "-b: expected whole numbers from 1 to 256, separated by commas, got '0'" -b 0
refused "-t: expected whole numbers" -t -1
refused "nothing to measure" -p 0 -n 0
refused "-d is for generation" -n 0 -d 5
refused "--attention measures one query at a time on one thread; leave out -b" --attention -b 1,2
refused "-d: expected whole numbers from 1 to" --attention -d 0
refused "--draft measures one text with drafts and without; leave out --attention" --draft 5 --attention
refused "--draft: expected whole numbers from 0 to 100" --draft 101
refused "-d: expected whole numbers from 2 to" --draft 50 -d 1
refused "-d 1025: beyond the context of 1024 tokens" --attention -d 1025
refused "no kernels are called" --kernels scalar,nonsense
refused "'nonsense' is not a codec for keys" --attn nonsense
refused "'nonsense' is not a codec for keys" --attn fp16,nonsense
refused "int4 has no option 'nonsense'" --attn fp16,int4:rotate,nonsense,fp16
refused "expected md|csv|json|jsonl|text" -o xml
refused "unexpected argument" weights
end
