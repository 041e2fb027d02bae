#!/bin/sh
# lookat compare from outside: shares that add up, the forms of its report, checks, warnings, mistakes.
. tests/lib.sh
export LOOKAT_MODEL="$PWD/weights/stories6M.gguf"

# two texts, of the tests' own files
cat src/README.md README.md > "$tmp/one.txt"
cat src/main.c src/cli/generate.c > "$tmp/two.txt"
texts="-f $tmp/one.txt -f $tmp/two.txt -n 110 -c 24 -t 1 -q"
specs="-a fp32 -a fp16 -a int4"
c() { "$BIN" compare $texts "$@"; }

# the only thing that two runs need not share is time
no_time_json() { sed 's/"attention_ms_per_token":[^,]*,"attention_ms":[^]]*\],//g' "$1"; }
no_time_csv() { sed 's/"[^"]*"/x/g' "$1" | cut -d, -f1-24,26-41,44-; }
no_time_shares() { sed 's/"attention_s":[^,]*,//; s/"attention_range_s":[^]]*\],//; s/"share":[0-9]*,"of":[0-9]*,"lines":[0-9]*,//' "$1"; }

begin shares_add_up
c $specs --mode all -o jsonl > "$tmp/whole.jsonl" || fail "the whole: $?"
for i in 0 1 2; do c $specs --mode all -o jsonl --chunks $i/3 > "$tmp/$i.jsonl" || fail "share $i: $?"; done
[ "$(wc -l < "$tmp/whole.jsonl")" -eq 31 ] || fail "$(wc -l < "$tmp/whole.jsonl") lines, expected 1 + 8 windows x 3 backends + 2 texts x 3"
expect 0 "" "$BIN" compare --merge "$tmp/2.jsonl" "$tmp/0.jsonl" "$tmp/1.jsonl" -o jsonl
no_time_shares "$tmp/whole.jsonl" > "$tmp/a"
no_time_shares "$tmp/out" > "$tmp/b"
cmp -s "$tmp/a" "$tmp/b" || fail "the raw sums differ"
c $specs --mode all -o json > "$tmp/whole.json" || fail "json: $?"
expect 0 "" "$BIN" compare --merge "$tmp/2.jsonl" "$tmp/0.jsonl" "$tmp/1.jsonl" -o json
no_time_json "$tmp/whole.json" > "$tmp/a"
no_time_json "$tmp/out" > "$tmp/b"
cmp -s "$tmp/a" "$tmp/b" || fail "the JSON differs"
c $specs --mode all --heads -o csv > "$tmp/whole.csv" || fail "csv: $?"
expect 0 "" "$BIN" compare --merge "$tmp/0.jsonl" "$tmp/1.jsonl" "$tmp/2.jsonl" --heads -o csv
no_time_csv "$tmp/whole.csv" > "$tmp/a"
no_time_csv "$tmp/out" > "$tmp/b"
cmp -s "$tmp/a" "$tmp/b" || fail "the CSV differs"
expect 0 "" "$BIN" compare --merge "$tmp/whole.jsonl" -o jsonl
cmp -s "$tmp/whole.jsonl" "$tmp/out" || fail "one share of everything is not itself again"
end

begin threads_do_not_matter
"$BIN" compare $texts -t 2 $specs -o jsonl > "$tmp/t2.jsonl" || fail "$?"
"$BIN" compare $texts -t 1 $specs -o jsonl > "$tmp/t1.jsonl" || fail "$?"
no_time_shares "$tmp/t1.jsonl" > "$tmp/a"
no_time_shares "$tmp/t2.jsonl" > "$tmp/b"
cmp -s "$tmp/a" "$tmp/b" || fail "one thread and two differ"
end

begin merge_refuses
expect 3 "1 of 3" "$BIN" compare --merge "$tmp/0.jsonl" "$tmp/2.jsonl"
has "$tmp/err" "share 1 of 3"
has "$tmp/err" "chunk 1 of $tmp/one.txt"
expect 3 "comes twice" "$BIN" compare --merge "$tmp/0.jsonl" "$tmp/1.jsonl" "$tmp/2.jsonl" "$tmp/1.jsonl"
head -n 5 "$tmp/2.jsonl" > "$tmp/cut.jsonl"
expect 3 "it was cut off" "$BIN" compare --merge "$tmp/0.jsonl" "$tmp/1.jsonl" "$tmp/cut.jsonl"
head -c 2000 "$tmp/2.jsonl" > "$tmp/cut.jsonl"
expect 3 "line 2" "$BIN" compare --merge "$tmp/0.jsonl" "$tmp/1.jsonl" "$tmp/cut.jsonl"
c -a fp32 -a fp16 -o jsonl --chunks 1/3 --mode all > "$tmp/other.jsonl"
expect 3 'another "runs"' "$BIN" compare --merge "$tmp/0.jsonl" "$tmp/other.jsonl" "$tmp/2.jsonl"
c $specs -o jsonl --chunks 1/3 --mode all -c 20 > "$tmp/other.jsonl"
expect 3 'another "window"' "$BIN" compare --merge "$tmp/0.jsonl" "$tmp/other.jsonl" "$tmp/2.jsonl"
c $specs -o jsonl --chunks 1/3 --mode all -s 2 > "$tmp/other.jsonl"
expect 3 'another "free"' "$BIN" compare --merge "$tmp/0.jsonl" "$tmp/other.jsonl" "$tmp/2.jsonl"
sed 's/"model":"..../"model":"0000/' "$tmp/1.jsonl" > "$tmp/other.jsonl"
expect 3 'another "model"' "$BIN" compare --merge "$tmp/0.jsonl" "$tmp/other.jsonl" "$tmp/2.jsonl"
sed 's/"nll":\[[^,]*,/"nll":[/' "$tmp/1.jsonl" > "$tmp/other.jsonl"
expect 3 "fewer numbers than expected" "$BIN" compare --merge "$tmp/0.jsonl" "$tmp/other.jsonl" "$tmp/2.jsonl"
sed 's/"window":24/"window":24000000000000000000000/' "$tmp/0.jsonl" > "$tmp/other.jsonl"
expect 3 "a number above 2^64 - 1" "$BIN" compare --merge "$tmp/other.jsonl"
sed 's/"shape":\[6,4/"shape":[6,4000/' "$tmp/0.jsonl" > "$tmp/other.jsonl"
expect 3 "cannot be" "$BIN" compare --merge "$tmp/other.jsonl"
: > "$tmp/empty"
expect 3 "the file is empty" "$BIN" compare --merge "$tmp/empty"
expect 3 "what lookat compare -o jsonl writes" "$BIN" compare --merge "$tmp/one.txt"
expect 1 "absent" "$BIN" compare --merge "$tmp/absent"
expect 2 "expected the files" "$BIN" compare --merge
expect 2 "are those of the shares" "$BIN" compare --merge -f "$tmp/one.txt" "$tmp/0.jsonl"
end

begin json
if command -v node > /dev/null; then
    cat > "$tmp/schema.js" <<'JS'
const j = JSON.parse(require('fs').readFileSync(process.argv[2], 'utf8'));
const bad = what => { console.log(what); process.exit(1); };
const num = (x, w) => typeof x === 'number' || bad(w);
const pair = (x, w) => (Array.isArray(x) && x.length === 2 && x.every(y => typeof y === 'number')) || bad(w);
const keys = (o, list, w) => { for (const k of list) k in o || bad(`${w} lacks ${k}`); };
if (Object.keys(j)[0] !== 'schema' || j.schema !== 'lookat.compare/1') bad('schema first');
keys(j, ['model', 'codebook', 'texts', 'runs'], 'document');
keys(j.model, ['file', 'sha256', 'layers', 'heads', 'head_dim', 'width', 'vocab', 'context'], 'model');
/^[0-9a-f]{64}$/.test(j.model.sha256) || bad('sha256');
for (const t of j.texts) { keys(t, ['file', 'sha256', 'tokens', 'chunks'], 'text'); num(t.chunks, 'chunks'); }
const fid = ['cosine', 'kl', 'spearman', 'top5'];
for (const r of j.runs) {
    keys(r, ['text', 'attn', 'keys', 'values', 'shadow', 'forced', 'free'], 'run');
    for (const k of ['keys', 'values', 'refined']) num(r.stored_bytes_per_token[k], 'stored ' + k);
    let sum = 0;
    for (const k of ['keys', 'scales', 'codebooks', 'tables', 'values', 'refined']) { num(r.loaded_bytes_per_token[k], 'loaded ' + k); sum += r.loaded_bytes_per_token[k]; }
    sum === r.loaded_bytes_per_token.total || bad('total');
    r.loaded_bytes_per_token.streamed + r.loaded_bytes_per_token.at_hand === sum || bad('streamed and at hand');
    num(r.attention_ms_per_token, 'ms');
    const [median, least, most] = r.attention_ms;
    r.attention_ms.length === 3 && least > 0 && least <= median && median <= most && median === r.attention_ms_per_token || bad('times');
    num(r.shadow.n, 'n');
    r.shadow.layers.length === j.model.layers || bad('layers');
    r.shadow.layers.forEach((l, i) => {
        l.layer === i || bad('layer');
        for (const f of fid) { pair(l[f], f); for (const h of l.heads) pair(h[f], 'head ' + f); }
        l.heads.length === j.model.heads || bad('heads');
        const mean = l.heads.reduce((s, h) => s + h.cosine[0], 0) / l.heads.length;
        Math.abs(mean - l.cosine[0]) < 1e-12 || bad('a layer is the mean of its heads');
    });
    for (const f of fid) pair(r.shadow.all[f], 'all ' + f);
    for (const f of ['perplexity', 'ratio', 'same_top1']) pair(r.forced[f], f);
    pair(r.forced.kld.mean, 'kld');
    for (const f of ['median', 'p99', 'max']) num(r.forced.kld[f], f);
    num(r.forced.rms_dp, 'rms_dp'); num(r.forced.tokens, 'tokens');
    typeof r.free.text === 'string' && Array.isArray(r.free.ids) || bad('free');
    r.free.first_difference === null || num(r.free.first_difference, 'first_difference');
}
j.runs.length === 6 && j.runs.map(r => r.text + r.attn).join() === '0fp32,0fp16,0int4,1fp32,1fp16,1int4' || bad('order of runs');
const base = j.runs[0], int4 = j.runs[2];
base.forced.ratio[0] === 1 && base.forced.kld.mean[0] === 0 && base.shadow.all.cosine[0] === 1 && base.free.first_difference === null || bad('baseline');
int4.forced.kld.mean[0] > j.runs[1].forced.kld.mean[0] && int4.keys === 'int4:group=32' && int4.values === 'fp16' || bad('int4');
const d = int4.free.first_difference;
d === null || (int4.free.ids[d] !== base.free.ids[d] && int4.free.ids.slice(0, d).join() === base.free.ids.slice(0, d).join()) || bad('first_difference');
JS
    node "$tmp/schema.js" "$tmp/whole.json" > "$tmp/said" || fail "$(head -n 1 "$tmp/said")"
else
    has "$tmp/whole.json" '{"schema":"lookat.compare/1","model":{"file":'
    for k in '"codebook":null' '"texts":[{"file":' '"runs":[{"text":0,"attn":"fp32","keys":"fp32","values":"fp32","stored_bytes_per_token":{"keys":' \
        '"loaded_bytes_per_token":{"keys":' '"attention_ms_per_token":' '"shadow":{"n":' '"layers":[{"layer":0,' '"forced":{"tokens":' '"perplexity":[' \
        '"ratio":[1,0]' '"kld":{"mean":[0,0],"median":0,"p99":0,"max":0}' '"same_top1":[1,0]' '"rms_dp":0' '"free":{"text":' '"first_difference":null'; do
        has "$tmp/whole.json" "$k"
    done
fi
c $specs --mode forced -o json > "$tmp/f.json"
has "$tmp/f.json" '"shadow":null'
has "$tmp/f.json" '"free":null'
end

begin csv
[ "$(awk -F, '{ n = gsub(/"[^"]*"/, "x"); print split($0, f, ",") }' "$tmp/whole.csv" | sort -u)" = 51 ] || fail "rows of other lengths"
[ "$(wc -l < "$tmp/whole.csv")" -eq 187 ] || fail "$(wc -l < "$tmp/whole.csv") lines, expected 1 + 6 runs x (1 + 6 layers x (1 + 4 heads))"
c $specs -o csv > "$tmp/plain.csv"
[ "$(wc -l < "$tmp/plain.csv")" -eq 43 ] || fail "$(wc -l < "$tmp/plain.csv") lines, expected 1 + 6 runs x (1 + 6 layers)"
has "$tmp/plain.csv" "text,window,attn,keys,values,layer,head,n,cosine,cosine_se,"
end

begin errors
# four windows of one text; then one window, which has none
has "$tmp/plain.csv" ",rms_dp,windows,rms_dp_se"
[ "$(awk -F, 'NR > 1 && NR < 8 { print $39 }' "$tmp/plain.csv" | sort -u)" = 4 ] || fail "windows: $(cut -d, -f39 "$tmp/plain.csv" | tr '\n' ' ')"
[ "$(c $specs --mode all -o json | grep -o '"windows":[0-9]*' | sort -u)" = '"windows":4' ] || fail "windows in JSON"
"$BIN" compare -f "$tmp/one.txt" -n 24 -c 24 -t 1 -q $specs -o json > "$tmp/one.json" || fail "one window"
for t in '"cosine":[1,null]' '"ratio":[1,null]' '"rms_dp":0,"rms_dp_se":null'; do has "$tmp/one.json" "$t"; done
"$BIN" compare -f "$tmp/one.txt" -n 24 -c 24 -t 1 -q $specs > "$tmp/one.out" || fail "one window as text"
grep -q "[0-9] ± [0-9]" "$tmp/one.out" && fail "± of one window: $(cat "$tmp/one.out")"
has "$tmp/one.out" "one window, so there is no ±"
end

begin tables
c $specs -o md > "$tmp/t.md" || fail "md: $?"
awk -F'[^\\\\][|]' '/^\|/ { if (last && NF != last) exit 1; last = NF; next } { last = 0 }' "$tmp/t.md" || fail "a Markdown row of another length"
for t in "## $tmp/one.txt: 96 of 110 tokens in 4 windows" "### Forced: the same tokens, each with its own hidden states; 44 scored; ± standard error over 4 windows" "### Shadow: " "| worst |" \
    "| int4 | int4:group=32 | fp16 | 864 | 3,072 | 0 | 3,936 | 7.11x | 3.12x |" " ± "; do has "$tmp/t.md" "$t"; done
c $specs --mode all --heads > "$tmp/t.txt" || fail "text: $?"
grep -q "^attention  *median  *least  *most$" "$tmp/t.txt" || fail "no times: $(cat "$tmp/t.txt")"
grep -q "ms/token" "$tmp/t.txt" && fail "a time in the forced table"
for t in "Milliseconds in attention per decoded token, all layers, of 20 repetitions" "== $tmp/two.txt: 96 of 110 tokens" "5, head 3" "Bytes loaded per decoded token" "Free: fp32 and int4 go on after 12 tokens of the text, seed 1"; do has "$tmp/t.txt" "$t"; done
c $specs --layers 2-3 --mode shadow -o csv > "$tmp/l.csv"
[ "$(cut -d, -f6,8 "$tmp/l.csv" | grep -c '^[0-9]*,[0-9]')" -eq 12 ] || fail "--layers 2-3: $(cut -d, -f6,8 "$tmp/l.csv" | tr '\n' ' ')"
c -a fp32 -ctk int8 -ctv int4 --mode forced > "$tmp/ct.txt"
has "$tmp/ct.txt" "int8/int4"
end

begin lengths
c $specs --lengths 16,24 --mode shadow --layers 0 -o json > "$tmp/len.json" || fail "$?"
has "$tmp/len.json" '"lengths":[{"length":16,"runs":[{"text":0,"attn":"fp32","shadow":{"n":'
has "$tmp/len.json" '{"length":24,"runs":'
# the window of 24 is the main run's: the same numbers
sed 's/.*"length":24,"runs":\[{"text":0,"attn":"fp32",//; s/"attn":"int4".*//' "$tmp/len.json" | sed 's/.*"attn":"fp16",//' > "$tmp/a"
sed 's/"lengths":.*//' "$tmp/len.json" | sed 's/.*"text":0,"attn":"fp16",//; s/,"forced":.*//; s/.*\("shadow":{\)/\1/' > "$tmp/b"
[ -s "$tmp/b" ] && grep -qF "$(cat "$tmp/b")" "$tmp/a" || fail "the same window, other numbers"
c $specs --lengths 16,24 --mode shadow > "$tmp/len.txt"
has "$tmp/len.txt" "By length of the window: Spearman's rho"
expect 2 "--lengths: expected up to 16 numbers from 4 to 1024" "$BIN" compare $texts $specs --lengths 16,2
expect 2 "leave out --paper and --lengths" "$BIN" compare $texts --lengths 16 -o jsonl
expect 2 "are less than a window" "$BIN" compare $texts $specs --lengths 512
end

begin options
"$BIN" compare -f "$tmp/one.txt" -n 256 -c 128 -t 1 -q -a fp16 -a int4:sink=1,window=8/fp16:skip=0.2 > "$tmp/out" 2> "$tmp/err" || fail "$(cat "$tmp/err")"
has "$tmp/out" "with 128 tokens stored"
has "$tmp/out" "int4:group=32,sink=1,window=8"
has "$tmp/out" "  1,080  " # 24 heads of 36 bytes, and 9 keys of 128 over 128 tokens
has "$tmp/out" "Values not read"
"$BIN" compare -f "$tmp/one.txt" -n 256 -c 128 -t 1 -q -a fp16 -a int4:sink=1,window=128 --check "1.kld<=0" --check "1.worst_cosine>=1" > "$tmp/out" 2> "$tmp/err" ||
    fail "a window of all keys: $(cat "$tmp/err")"
"$BIN" compare -f "$tmp/one.txt" -n 256 -c 128 -t 1 -q -a int4:sink=1,window=16 -a int4:sink=1,window=16 --check "1.kld<=0" --check "1.worst_cosine>=0.9999999" > "$tmp/out" 2> "$tmp/err" ||
    fail "a baseline with exact keys: $(cat "$tmp/err")"
end

begin checks
expect 0 "" "$BIN" compare $texts $specs --check "fp16.kld<0.01" --check "1.same_top1>=0.9" --check "int4.stored_keys<=864" --check "fp16.worst_cosine>0.99"
expect 4 "check not met: int4.kld<=0 is " "$BIN" compare $texts $specs --check "fp16.kld<0.01" --check "int4.kld<=0"
[ "$(grep -c "int4.kld<=0" "$tmp/err")" -eq 2 ] || fail "one line for each text: $(cat "$tmp/err")"
[ -s "$tmp/out" ] || fail "the report is written all the same"
expect 4 "fp32.loaded_bytes<1" "$BIN" compare --merge "$tmp/whole.jsonl" --check "fp32.loaded_bytes<1"
expect 2 "none of the backends" "$BIN" compare $texts $specs --check "int8.kld<1"
expect 2 "none of the backends" "$BIN" compare $texts $specs --check "3.kld<1"
expect 2 "unknown metric; known: perplexity ratio kld" "$BIN" compare $texts $specs --check "int4.kdl<1"
for x in "int4.kld" "int4<1" "kld<1" "int4.kld<" "int4.kld<x" "int4.kld=1" "int4.kld<1x" "int4.kld<nan" "" "." "<"; do
    expect 2 "--check $x: expected BACKEND.METRIC<NUMBER" "$BIN" compare $texts $specs --check "$x"
    [ ! -s "$tmp/out" ] || fail "--check $x: something was run"
done
expect 2 "mode forced, which is not run" "$BIN" compare $texts $specs --mode shadow --check "int4.kld<1"
expect 2 "mode shadow, which is not run" "$BIN" compare $texts $specs --mode forced --check "int4.cosine>0"
end

# Every metric that --check knows is the number of that name in the JSON. Measured once: time would not come twice.
begin every_metric
"$BIN" compare -f "$tmp/one.txt" -n 140 -c 32 -t 1 -q -a fp16 -a lookat4/int8:group=16 -o jsonl > "$tmp/metrics.jsonl" || fail "$?"
"$BIN" compare --merge "$tmp/metrics.jsonl" -o json > "$tmp/metrics.json" || fail "$?"
# json KEY...: the number behind the first KEY, behind the next one ..., of the second backend
json() {
    rest=$(sed 's/.*"attn":"lookat4\/int8:group=16"//' "$tmp/metrics.json")
    for key; do rest=${rest#*"\"$key\":"}; done
    rest=${rest#[}
    echo "${rest%%[],\}]*}"
}
rest=$(sed 's/.*"attn":"lookat4\/int8:group=16"//; s/,"heads":\[[^]]*\]\(,[^]]*\]\)*}\]//g' "$tmp/metrics.json")
rest=${rest#*"\"layer\":$(json worst_layer),"}
rest=${rest#*"\"cosine\":["}
worst=${rest%%,*}
# metric NAME VALUE: the value as messages print it; a check that never holds
metric() {
    set -- "$1" "$(echo "$2" | awk '{printf "%.6g", $1}')"
    "$BIN" compare --merge "$tmp/metrics.jsonl" --check "1.$1<-1e300" > "$tmp/out" 2> "$tmp/err"
    got=$?
    [ $got -eq 4 ] || fail "$1: exits $got: $(cat "$tmp/err")"
    grep -qF -e "check not met: 1.$1<-1e300 is $2 for " "$tmp/err" || fail "$1 is $2 in JSON, and in a check $(cat "$tmp/err")"
    names="$names $1"
}
names=
metric kld "$(json forced kld mean)"
metric kld_median "$(json forced kld median)"
metric kld_p99 "$(json forced kld p99)"
metric kld_max "$(json forced kld max)"
metric ppl "$(json forced perplexity)"
metric perplexity "$(json forced perplexity)"
metric ratio "$(json forced ratio)"
metric same_top1 "$(json forced same_top1)"
metric rms_dp "$(json forced rms_dp)"
metric cosine "$(json shadow all cosine)"
metric worst_cosine "$worst"
metric kl "$(json shadow all kl)"
metric spearman "$(json shadow all spearman)"
metric top5 "$(json shadow all top5)"
metric stored_bytes $(($(json stored_bytes_per_token keys) + $(json stored_bytes_per_token values) + $(json stored_bytes_per_token refined)))
metric stored_keys "$(json stored_bytes_per_token keys)"
metric stored_values "$(json stored_bytes_per_token values)"
metric loaded_bytes "$(json loaded_bytes_per_token total)"
for part in keys scales codebooks tables values refined streamed at_hand; do metric loaded_$part "$(json loaded_bytes_per_token $part)"; done
metric loaded_total "$(json loaded_bytes_per_token total)"
metric attention_ms "$(json attention_ms_per_token)"
times=$(sed 's/.*"attn":"lookat4\/int8:group=16"//; s/.*"attention_ms":\[\([^]]*\)\].*/\1/' "$tmp/metrics.json")
metric attention_ms_min "$(echo "$times" | cut -d, -f2)"
metric attention_ms_max "$(echo "$times" | cut -d, -f3)"
metric rms_dp_se "$(json forced rms_dp_se)"
metric stored_refined "$(json stored_bytes_per_token refined)"
metric skipped_rows "$(json skipped_values rows_per_token)"
metric skipped_mass "$(json skipped_values mean_mass)"
expect 2 "known: " "$BIN" compare $texts -a fp16 --check "fp16.recalls>1"
names="$names recall_first recall_picked"
# all there are, and all numbers of their own: none stands for another
all=$(awk -F'"' '/^const struct metric metrics/ { on = 1 } /^};/ { on = 0 } !on { next }
    /\.name = / { name = $2; alias = "" } /\.alias = / { alias = $2 }
    /\.group = / && !/GROUP_ROW/ { print name; if (alias) print alias }' src/report/metrics.c | sort | tr '\n' ' ')
[ "$(echo "$names" | tr ' ' '\n' | sed '/^$/d' | sort | tr '\n' ' ')" = "$all" ] || fail "--check knows $all, and tried were $names"
for key in "forced kld mean" "forced kld median" "forced kld p99" "forced kld max" "forced perplexity" "forced ratio" "forced same_top1" "forced rms_dp" \
    "shadow all cosine" "shadow all kl" "shadow all spearman" "shadow all top5" "attention_ms_per_token" "loaded_bytes_per_token scales"; do
    # shellcheck disable=SC2086
    json $key
done > "$tmp/values"
echo "$worst" >> "$tmp/values"
[ "$(sort -u "$tmp/values" | wc -l)" -eq 15 ] || fail "equal numbers: $(cat "$tmp/values")"
end

begin recall
# codes that lose nothing find every best key; codes that tell nothing pick the oldest keys, so that both shares are those of key 0
"$BIN" compare $texts --mode shadow -a fp32,fp32:refine=2/fp16,constant:refine=1/fp16,fp16:refine=4000/fp16,fp16 -o json > "$tmp/recall.json" || fail "$?"
[ "$(grep -o '"recall":{[^}]*}' "$tmp/recall.json" | sed -n '1p;2p;4p;5p' | tr -d '\n')" = \
    '"recall":{"first":null,"picked":null}"recall":{"first":1,"picked":1}"recall":{"first":null,"picked":null}"recall":{"first":null,"picked":null}' ] ||
    fail "$(grep -o '"recall":{[^}]*}' "$tmp/recall.json")"
grep -o '"recall":{[^}]*}' "$tmp/recall.json" | sed -n 3p | grep -qE '"first":(0\.[0-9]+),"picked":\1}' || fail "of key 0: $(grep -o '"recall":{[^}]*}' "$tmp/recall.json")"
expect 0 "" "$BIN" compare $texts --mode shadow -a fp32,fp32:refine=2/fp16 --check "1.recall_first>=1" --check "1.recall_picked>=1"
end

begin mistakes
expect 2 "expected a text to measure on" "$BIN" compare
expect 2 "unexpected argument 'x'" "$BIN" compare $texts x
expect 1 "absent" "$BIN" compare -q -f "$tmp/absent" $specs
expect 2 "are less than a window of 1024" "$BIN" compare -q -f "$tmp/one.txt" -n 100 $specs
expect 2 "--chunks: expected I/N with I from 0 to N - 1, got '3/3'" "$BIN" compare $texts $specs --chunks 3/3
for x in 1 /2 1/ -1/2 a/b 0/0; do expect 2 "--chunks" "$BIN" compare $texts $specs --chunks=$x; done
for x in 6 4-2 -1 x 1-6; do expect 2 "--layers: expected N or N-M of 0 to 5" "$BIN" compare $texts $specs --layers=$x; done
expect 2 "not a codec for keys" "$BIN" compare $texts -a fp16 -a int5
expect 2 "--mode: expected shadow|forced|free|all" "$BIN" compare $texts --mode x
expect 2 "leave out --attn" "$BIN" compare $texts --paper -a fp16
end

begin codebooks
"$BIN" calibrate -q -f "$tmp/one.txt" -n 240 -c 24 -t 1 -a lookat:m=2,k=16,plain,lookat:m=4,k=16,plain,lookat:m=8,k=16,plain -o "$tmp/b.book.gguf" > "$tmp/out" 2>&1 ||
    fail "calibrate: $(cat "$tmp/out")"
loud="-f $tmp/one.txt -f $tmp/two.txt -n 110 -c 24 -t 1"
lk="-a fp16 -a lookat:m=2,k=16 -a lookat:m=4,k=16/int8"
expect 0 "$tmp/one.txt: the codebooks were calibrated on this very text" "$BIN" compare $loud $lk --book "$tmp/b.book.gguf" -o json
[ "$(grep -c "very text" "$tmp/err")" -eq 1 ] || fail "warned of the other text too: $(cat "$tmp/err")"
has "$tmp/out" '"codebook":{"file":"'
has "$tmp/out" '"corpora":[{"file":"one.txt","sha256":"'
has "$tmp/out" '"keys":"lookat:m=4,k=16,table=16,plain","values":"int8:group=32"'
cp "$tmp/out" "$tmp/book.json"
expect 0 "" "$BIN" compare $texts $lk --book "$tmp/b.book.gguf" -o jsonl
cp "$tmp/out" "$tmp/book.jsonl"
expect 0 "" "$BIN" compare --merge "$tmp/book.jsonl" -o json
no_time_json "$tmp/book.json" > "$tmp/a"
no_time_json "$tmp/out" > "$tmp/b"
cmp -s "$tmp/a" "$tmp/b" || fail "merged, the JSON differs"
expect 2 "lookat calibrate" "$BIN" compare $texts -a fp16 -a lookat:m=16,k=16 --book "$tmp/b.book.gguf"
"$BIN" convert -q --random 6,4,256,64,4096 -o "$tmp/r.gguf" || fail "random model"
expect 3 "b.book.gguf" "$BIN" compare $texts $lk -m "$tmp/r.gguf" -z tokenizer --book "$tmp/b.book.gguf"
end

begin texts_that_the_codebooks_saw
q="-f $tmp/one.txt -f $tmp/two.txt -n 110 -c 24 -t 1 -q $lk,lookat:m=4,k=16/fp16 -a int4 --book $tmp/b.book.gguf"
expect 0 "" "$BIN" compare $q -o json --check "lookat:m=2,k=16.kld<100"
flags=$(grep -o '"text":[0-9]*,"attn":"[^"]*"\|"codebook_saw_text":[a-z]*' "$tmp/out" | tr -d '\n' | sed 's/"text"/\n/g; s/"[a-z_]*"://g')
[ "$(echo "$flags" | grep -c 'lookat.*true$')" -eq 3 ] && [ "$(echo "$flags" | grep -c '^:0,.*lookat.*true$')" -eq 3 ] || fail "flags: $flags"
[ "$(echo "$flags" | grep -c false)" -eq 7 ] || fail "flags: $flags"
expect 0 "" "$BIN" compare $q -o csv
head -n 1 "$tmp/out" | grep -q ',codebook_saw_text,loaded_refined,stored_refined,recall_first,recall_picked,loaded_streamed,loaded_at_hand$' || fail "$(head -n 1 "$tmp/out")"
[ "$(grep -c '^"[^"]*one.txt",24,"lookat.*,1,[0-9.]*,[0-9.]*,[0-9.]*,[0-9.]*,[0-9.]*,[0-9.]*$' "$tmp/out")" -eq 21 ] && [ "$(grep -c ',1,[0-9.]*,[0-9.]*,[0-9.]*,[0-9.]*,[0-9.]*,[0-9.]*$' "$tmp/out")" -eq 21 ] || fail "$(grep ',1$' "$tmp/out")"
for o in text md; do
    expect 0 "" "$BIN" compare $q -o $o
    grep -q '^|* *lookat:m=2,k=16 (plain) \*  *' "$tmp/out" || fail "$o: no mark: $(cat "$tmp/out")"
    [ "$(tr '\n' ' ' < "$tmp/out" | grep -o 'calibrated on this very text' | wc -l)" -eq 2 ] || fail "$o: said for the text, and for its summary"
    grep -q 'int4 \*' "$tmp/out" && fail "$o: int4 has no codebooks"
done
expect 0 "" "$BIN" compare $q -o jsonl
cp "$tmp/out" "$tmp/saw.jsonl"
expect 0 "" "$BIN" compare --merge "$tmp/saw.jsonl" -o json
[ "$(grep -o '"codebook_saw_text":true' "$tmp/out" | wc -l)" -eq 3 ] || fail "merged"
end

begin eighty_columns
"$BIN" compare $texts -a fp16,int4,lookat4 --explain-columns > "$tmp/w.txt" || fail "$?"
sed '/One row a backend/,/^$/d; s/±/+/g' "$tmp/w.txt" | awk 'length > 80 { print; exit 1 }' > "$tmp/wide" || fail "wider than 80 columns: $(cat "$tmp/wide")"
for t in "attention  *layer  *cosine  *KL, nats" "attention  *layer  *Spearman  *top-5"; do grep -q "^$t" "$tmp/w.txt" || fail "no '$t'"; done
"$BIN" compare -f "$tmp/one.txt" -n 24 -c 24 -t 1 -q -a fp16,int4 > "$tmp/w.txt" || fail "$?"
has "$tmp/w.txt" "24 of 24 tokens in 1 window"
grep -q "1 windows\|1 tokens" "$tmp/w.txt" && fail "$(grep "1 windows\|1 tokens" "$tmp/w.txt")"
end

begin one_row_a_backend
for o in text md; do c $specs --explain-columns -o $o > "$tmp/s.$o" || fail "$o: $?"; done
# each text's table, then what the columns are
[ "$(grep -c '^== One row a backend: ' "$tmp/s.text")" -eq 2 ] && [ "$(grep -c '^## One row a backend: ' "$tmp/s.md")" -eq 2 ] || fail "tables: $(tail -n 80 "$tmp/s.text")"
has "$tmp/s.md" "| attention | stored/token | loaded/token | streamed | at hand | perplexity | ratio | KL, nats | cosine, layer 0 | worst layer |"
sed -n '/One row a backend: .*two.txt/,/What the columns/p' "$tmp/s.text" > "$tmp/a"
grep -q '^fp32  *12,288  *\([0-9,]*\)  *\1  *0  *[0-9.]*  *1  *0  *1  *1$' "$tmp/a" || fail "the baseline: $(cat "$tmp/a")"
grep -q '^int4  *3,936  *\([0-9,]*\)  *\1  *0  *[0-9.]*  *[0-9.]* ± [0-9.]*  *0.[0-9]*  *0.9[0-9]*  *0.[0-9]* ([0-5])$' "$tmp/a" || fail "int4: $(cat "$tmp/a")"
grep -q '^| int4 | 3,936 | \([0-9,]*\) | \1 | 0 | [0-9.]* | [0-9.]* ± [0-9.]* | 0.[0-9]* | 0.9[0-9]* | 0.[0-9]* (layer [0-5]) |$' "$tmp/s.md" || fail "int4 in Markdown"
# bytes loaded are those streamed and those at hand, in each row
"$BIN" compare -f "$tmp/one.txt" -q -c 64 -n 128 --mode shadow -a fp16,lookat4 -o md > "$tmp/split" 2> "$tmp/err" || fail "$(cat "$tmp/err")"
sed -n '/^## One row/,$p' "$tmp/split" | tr -d ', ' | awk -F'|' '$3 ~ /^[0-9]+$/ { rows++; at_hand += $6 > 0; if ($4 != $5 + $6) bad = 1 }
    END { exit rows != 2 || at_hand != 1 || bad }' || fail "bytes do not add up: $(sed -n '/^## One row/,$p' "$tmp/split")"
c $specs --explain-columns --mode shadow > "$tmp/s.shadow" || fail "$?"
sed -n '/One row a backend: .*two.txt/,/What the columns/p' "$tmp/s.shadow" | grep -q '^int4  *3,936  *[0-9,]*  *[0-9,]*  *0  *-  *-  *-  *0.9' || fail "without perplexity: $(cat "$tmp/s.shadow")"
# the definitions: with a report, alone, and in the help
"$BIN" compare --explain-columns > "$tmp/alone" || fail "alone: $?"
"$BIN" help compare > "$tmp/help" || fail "help: $?"
for column in attention ± windows n stored/token loaded/token perplexity ratio "same top-1" "RMS dp" cosine "KL, nats" Spearman top-5 worst "ms in attention" streamed "at hand"; do
    for f in alone s.text help; do has "$tmp/$f" "  $column: "; done
    has "$tmp/s.md" "- **$column**: "
done
end

begin bytes_of_the_same_layers
c $specs --layers 2-3 --mode shadow -o md > "$tmp/l.md" || fail "$?"
set -- $(sed -n '/^### Shadow/,/^### Bytes loaded/p' "$tmp/l.md" | grep '^| int4 ' | awk -F'|' '{ gsub(",", "", $8); print $3, $8 }' | head -n 3)
[ "$1 $3 $5" = "2 3 2-3" ] && [ $(($2 + $4)) -eq "$6" ] || fail "$*"
has "$tmp/l.csv" ",2-3,0"
c $specs --layers 2-3 --mode shadow -o json > "$tmp/l.json" || fail "$?"
has "$tmp/l.json" '"layer_range":[2,3],"loaded_bytes_per_token":{"keys":'
end

begin methods_are_named
# lookat2 and lookat4 are the published method with this book, and something else with the model's own
"$BIN" calibrate -q -f "$tmp/one.txt" -n 240 -c 24 -t 1 -a lookat:m=2,k=16,plain,lookat4:plain -o "$tmp/p.book.gguf" > "$tmp/out" 2>&1 || fail "calibrate: $(cat "$tmp/out")"
for book in p stories6M; do
    case $book in p) b="--book $tmp/p.book.gguf" method=plain full=lookat:m=4,k=256,table=16,plain ;; *) b="" method="learned, bytes=4" full=lookat:bytes=4,k=256,table=16 ;; esac
    for o in text md json csv; do c -a fp16 -a lookat4 -a lookat4:sink=1 $b -o $o > "$tmp/m.$o" || fail "$book, $o: $?"; done
    for t in "lookat4 ($method) " "lookat4:sink=1 ($method) "; do has "$tmp/m.text" "$t"; has "$tmp/m.md" "| $t|"; done
    grep -E '^(\| )?lookat4(:sink=1)? +[^(]' "$tmp/m.text" "$tmp/m.md" && fail "$book: a row without its method"
    has "$tmp/m.json" "\"attn\":\"lookat4\",\"keys\":\"$full\",\"values\":\"fp16\",\"effective_attn\":\"$full/fp16\""
    has "$tmp/m.csv" "\"lookat4\",\"$full\",\"fp16\",all,all,"
    has "$tmp/m.csv" ",\"$full/fp16\""
    expect 4 "check not met: lookat4.kld<0 is " "$BIN" compare $texts -a fp16 -a lookat4 $b --check "lookat4.kld<0"
    has "$tmp/err" ", with lookat4 ($method)"
done
c -a fp16 -a lookat4:plain -a lookat:m=2,k=16,plain --book "$tmp/p.book.gguf" > "$tmp/m.text" || fail "$?"
has "$tmp/m.text" "lookat4:plain  "
has "$tmp/m.text" "lookat:m=2,k=16,plain  "
end

begin names_are_not_cut
long=fp16+int8:group=16,rotate,sink=1,window=8,exact=8/int4:group=16,rotate,skip=0.001@1-2+int4:group=8,rotate,sink=2,window=16,exact=8/int8:group=16,rotate,skip=0.0001@3-4+int8@5
c -a fp16 -a "$long" -c 64 --mode forced -o jsonl > "$tmp/long.jsonl" || fail "$?"
expect 0 "" "$BIN" compare --merge "$tmp/long.jsonl" -o json
full='fp16/fp16@0+int8:group=16,rotate,sink=1,window=8,exact=8/int4:group=16,rotate,skip=0.001@1-2+int4:group=8,rotate,sink=2,window=16,exact=8/int8:group=16,rotate,skip=0.0001@3-4+int8:group=32/fp16@5-'
has "$tmp/out" "\"effective_attn\":\"$full\""
"$BIN" eval -q -f "$tmp/one.txt" -n 64 -c 64 -t 1 -a "$full" -o json > "$tmp/eval.json" || fail "the full name does not read back"
has "$tmp/eval.json" "\"effective_attn\":\"$full\""
end

begin paper
expect 0 "" "$BIN" compare -q -f "$tmp/two.txt" -c 64 -n 130 -t 1 --paper --book "$tmp/b.book.gguf"
for t in "The table of arXiv 2601.10155: layer 0, n = 256 queries a text" "int4                       0.987" "published" "lookat:m=4,k=16" \
    "The law 1 - rho = O(d/(mK)), layer 0" "By length of the window: cosine" "The law asks for the exponent 1: " "lookat calibrate" "lookat:m=8,k=16"; do has "$tmp/out" "$t"; done
expect 0 "" "$BIN" compare -q -f "$tmp/two.txt" -c 64 -n 130 -t 1 --paper --book "$tmp/b.book.gguf" -o json
has "$tmp/out" '"law":{"points":[{"m":2,"k":16,"spearman":['
has "$tmp/out" '"exponent":['
end

begin commas
c -a fp32,int4:rotate,center,int8/int8 -o json > "$tmp/a.json" || fail "$?"
c -a fp32 -a int4:rotate,center -a int8/int8 -o json > "$tmp/b.json" || fail "$?"
no_time_json "$tmp/a.json" > "$tmp/a"
no_time_json "$tmp/b.json" | cmp -s - "$tmp/a" || fail "a comma between backends is not another --attn"
c -a fp32 -a int8,int4 --check 'int4.kld<9' -o csv > "$tmp/a" || fail "both ways at once: $?"
expect 2 "something is missing at a comma" "$BIN" compare $texts -a fp16,
expect 2 "the number behind lookat is one of 1, 2, 4" "$BIN" compare $texts -a fp16,lookat5
end

# What would be left unread is refused, or said where it does no harm.
begin without_effect
expect 0 "--attn fp16 and --attn f16 are the same backend, fp16/fp16" "$BIN" compare $loud -a fp16 -a int8 -a f16
expect 0 "are the same backend" "$BIN" compare $loud -a int4,int4:group=32
expect 0 "" "$BIN" compare $texts -a fp16 -a f16
expect 2 "--heads is of mode shadow" "$BIN" compare $texts $specs --mode forced --heads
expect 2 "--layers is of mode shadow" "$BIN" compare $texts $specs --mode free --layers 1
expect 2 "--seed is of mode free" "$BIN" compare $texts $specs -s 1
expect 2 "-o csv has no place for the texts of mode free" "$BIN" compare $texts $specs --mode free -o csv
expect 0 "-o csv leaves out the texts of mode free" "$BIN" compare $loud $specs --mode all -o csv
expect 2 "--threads has no effect" "$BIN" compare --merge "$tmp/0.jsonl" -t 1
expect 2 "--model has no effect" "$BIN" compare --merge "$tmp/0.jsonl" -m x
expect 1 "$tmp/nosuch: cannot open" "$BIN" compare $texts $specs --book "$tmp/nosuch"
expect 0 "--book has no effect: none of the backends uses codebooks" "$BIN" compare $loud $specs --book "$tmp/b.book.gguf" -o json
expect 1 "$tmp/nosuch" "$BIN" compare $texts $specs --book "$tmp/b.book.gguf" --book "$tmp/nosuch"
end

begin interrupted
for i in 1 2 3 4 5 6 7 8 9; do cat "$tmp/one.txt" "$tmp/two.txt"; done > "$tmp/long.txt"
"$BUILD/tests/default_signals" "$BIN" compare -f "$tmp/long.txt" -a fp16 -a int4 -a int4:rotate -t 1 > "$tmp/half" 2> "$tmp/err" &
pid=$!
sleep 1
kill -INT $pid
wait $pid
got=$?
[ $got -eq 130 ] || fail "exits $got: $(cat "$tmp/err")"
[ ! -s "$tmp/half" ] || fail "half a report"
end
