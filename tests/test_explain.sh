#!/bin/sh
# lookat explain: every sum it prints is checked again with awk, from the printed keys, query and
# codebook; with -p the sums of one score and of the weights, for several
# backends, and all of them from the JSON.
. tests/lib.sh
export LOOKAT_MODEL="$PWD/weights/stories6M.gguf"
"$BIN" explain | awk '
/^    code/ { gsub(/[(),]/, " "); sub_ = n_codes++ >= 4; x[sub_, $2] = $4; y[sub_, $2] = $5 }
/^  key [0-9].*codes/ { gsub(/[(),|]/, " "); for (d = 0; d < 4; d++) key[$2, d] = $(3 + d); c0[$2] = $9; c1[$2] = $10; keys++ }
/^  query/ { for (d = 0; d < 4; d++) q[d] = $(2 + d) }
/^  [0-9]+ +T0/ {
    exact = 0
    for (d = 0; d < 4; d++) exact += q[d] * key[$1, d] / 2
    looked = (q[0] * x[0, c0[$1]] + q[1] * y[0, c0[$1]] + q[2] * x[1, c1[$1]] + q[3] * y[1, c1[$1]]) / 2
    if (looked - $7 > 0.01 || $7 - looked > 0.01 || exact - $8 > 0.01 || $8 - exact > 0.01) { print "FAIL explain: key " $1 ": " looked " " exact " in " $0; bad = 1 }
    scores++; p += $9; r += $10
}
END {
    if (keys != 8 || scores != 8 || n_codes != 8) { print "FAIL explain: " keys " keys, " scores " scores, " n_codes " centroids"; bad = 1 }
    if (p < 0.995 || p > 1.005 || r < 0.995 || r > 1.005) { print "FAIL explain: weights sum to " p " and " r; bad = 1 }
    if (!bad) print "ok explain"
    exit bad
}'

# The entries named in "By hand" are those of the printed codes, they add up to the printed score, and
# weights are the softmax of the scores.
checked() {
    awk '
/^  +[0-9]+ ".*->/ { line = $0; sub(/.*-> */, "", line); codes[$1] = line }
/^  +[0-9]+ ".* [0-9.-]+ [= ] / && !/->/ { n++; score[n] = $(NF - 3); if (score[n] == "=") score[n] = $(NF - 4); at[$1] = n
    exact[n] = $(NF - 2); w[n] = $(NF - 1); ew[n] = $NF }
/By hand/ {
    line = $0; token = $4; sub(/:/, "", token); sub(/.*By hand, token [0-9]+: /, "", line)
    sum = 0; k = 0; split(codes[token], code, " ")
    total = line; sub(/.*\) = /, "", total); sub(/\..*is.*/, "", total)
    printed = line; sub(/.* = /, "", printed); sub(/ *The exact.*/, "", printed); sub(/\.$/, "", printed)
    terms = line; sub(/ = .*/, "", terms); m = split(terms, part, " \\+ ")
    for (i = 1; i <= m; i++) {
        if (part[i] ~ /mean/) sum += part[i] + 0
        else if (part[i] ~ /^T/) { split(part[i], f, /[T\[\] ]+/); if (f[3] != code[f[2] + 1]) { print "code of T" f[2]; bad = 1 }; sum += f[4] }
    }
    sum /= 8; hand = 1
    if (terms !~ /\.\.\./ && (sum - printed > 0.003 || printed - sum > 0.003)) { print "by hand " sum ", printed " printed; bad = 1 }
    if (score[at[token]] - printed > 0.02 || printed - score[at[token]] > 0.02) { print "score " score[at[token]] " of token " token ", by hand " printed; bad = 1 }
}
END {
    for (i = 1; i <= n; i++) { z += exp(score[i]); ez += exp(exact[i]); sum_w += w[i]; sum_e += ew[i] }
    for (i = 1; i <= n; i++) {
        if (w[i] - exp(score[i]) / z > 0.002 || exp(score[i]) / z - w[i] > 0.002) { print "weight of row " i ": " w[i]; bad = 1 }
        if (ew[i] - exp(exact[i]) / ez > 0.002 || exp(exact[i]) / ez - ew[i] > 0.002) { print "exact weight of row " i; bad = 1 }
    }
    if (n < 5 || sum_w < 0.98 || sum_w > 1.02 || sum_e < 0.98 || sum_e > 1.02) { print n " rows, weights sum to " sum_w " and " sum_e; bad = 1 }
    if (want_hand && !hand) { print "nothing by hand"; bad = 1 }
    exit bad
}' want_hand="$1" "$tmp/out" > "$tmp/wrong" || fail "$2: $(head -n 2 "$tmp/wrong" | tr '\n' ';')"
}
story="Once upon a time, there was a little girl named Lily. She loved to play"
begin own_text
for spec in lookat4 lookat4:plain lookat16x4 lookat4:window=3,sink=1 lookat4:refine=4; do
    expect 0 "" "$BIN" explain -p "$story" --attn $spec
    checked 1 $spec
done
expect 0 "" "$BIN" explain -p "$story" --attn lookat
expect 0 "" "$BIN" explain -p "$story" --attn lookat4:refine=32
checked 0 lookat4:refine=32
[ "$(grep -c '" .*= ' "$tmp/out")" -eq 17 ] || fail "refine=32 reads all 17 keys exactly"
expect 0 "" "$BIN" explain -p "$story" --attn int4 --layer 3 --head 1
checked 0 int4
output "Layer 3, head 1 makes of it a query of 64 numbers"
output "there are no codes"
expect 0 "" "$BIN" explain -p "$story" --attn fp32
output "0.0 % of the weight lies on another token"
end

begin own_text_page
if python3 -c 'import xml.etree.ElementTree' 2> /dev/null; then
    expect 0 "" "$BIN" explain -p "<b>\"a'&	$story" --html "$tmp/e.html"
    python3 tests/page.py --page "$tmp/e.html" > "$tmp/wrong" || fail "$(head -n 3 "$tmp/wrong")"
    has "$tmp/e.html" '5. Scores and weights'
    end
else
    echo "skip own_text_page: no python3"
fi

# The same as JSON: every score, weight and output again from the numbers that are printed. Tables of
# float32 (table=32) leave only float32's rounding; those of 16 bits are off by less than 0.001 here.
begin own_text_json
cat > "$tmp/sums.py" << 'END'
import json, math, sys
d, bound = json.load(sys.stdin), float(sys.argv[1])
T, q, dim, codes = d["tokens"], d["query"], len(d["query"]), 0
near = lambda what, x, y, most: abs(x - y) <= most or sys.exit("%s: %g, from the numbers %g" % (what, x, y))
softmax = lambda s: [math.exp(x - max(s)) / sum(math.exp(y - max(s)) for y in s) for x in s]
mix = lambda weights: [sum(w * t["value"][i] for w, t in zip(weights, T)) for i in range(dim)]
size = lambda x: math.sqrt(sum(y * y for y in x))
exact = softmax([t["exact_score"] for t in T])
other = softmax([t["score"] for t in T])
for i, t in enumerate(T):
    product = sum(x * y for x, y in zip(q, t["key"])) / math.sqrt(dim)
    near("exact score", t["exact_score"], product, 1e-5)
    near("exact weight", t["exact_weight"], exact[i], 1e-6)
    near("weight", t["weight"], other[i], 1e-6)
    if t["read_exactly"]:
        near("score of an exact key", t["score"], product, 0.02)
    elif d["tables"]:
        entries = d["tables"]["entries"]
        looked_up = d["tables"]["common"] + sum(entries[j][c] for j, c in enumerate(t["codes"]))
        near("score", t["score"], looked_up / math.sqrt(dim), bound)
        codes += len(t["codes"]) == len(entries) > 0
for x, y in zip(d["exact_output"], mix(exact)): near("exact output", x, y, 1e-5)
if d["values"].startswith("fp"):
    for x, y in zip(d["output"], mix(other)): near("output", x, y, 1e-3)
near("moved weight", d["moved_weight"], sum(abs(x - y) for x, y in zip(exact, other)) / 2, 1e-6)
off = [x - y for x, y in zip(d["output"], d["exact_output"])]
near("off", d["output_off"], size(off) / size(d["exact_output"]), 1e-6)
near("cosine", d["cosine"], sum(x * y for x, y in zip(d["output"], d["exact_output"])) / size(d["output"]) / size(d["exact_output"]), 1e-6)
print(d["schema"], d["layer"], d["head"], len(T), len(d["output"]), codes)
print("".join(t["text"] for t in T))
END
if python3 -c 'import json' 2> /dev/null; then
    for at in lookat4:table=32=1e-5=17 lookat4:plain,table=32=1e-5=17 lookat16x4=1e-3=17 lookat4:window=3,sink=1=1e-3=13 \
        lookat8x4/pq8x4=1e-3=17 lookat4:refine=32=0=0 int4=0=0; do
        spec=${at%=*=*} bound=${at%=*}
        expect 0 "" "$BIN" explain -p "$story" --attn "$spec" --layer 3 --head 1 -o json
        python3 "$tmp/sums.py" "${bound##*=}" < "$tmp/out" > "$tmp/sums" 2>&1 || fail "$spec: $(tail -n 1 "$tmp/sums")"
        [ "$(head -n 1 "$tmp/sums")" = "lookat.explain/1 3 1 17 64 ${at##*=}" ] || fail "$spec: $(head -n 1 "$tmp/sums")"
        [ "$(tail -n 1 "$tmp/sums")" = "$story" ] || fail "the tokens say $(tail -n 1 "$tmp/sums")"
    done
    end
else
    echo "skip own_text_json: no python3"
fi

begin own_text_refused
expect 2 "from 0 to 5" "$BIN" explain -p Once --layer 6
expect 2 "from 0 to 3" "$BIN" explain -p Once --head 4
expect 2 "expected a text with a token" "$BIN" explain -p ""
expect 2 "is of a text" "$BIN" explain --attn int4
expect 2 "output is of a text" "$BIN" explain -o json
expect 2 "expected text|json, got 'md'" "$BIN" explain -p Once -o md
expect 2 "nonsense" "$BIN" explain -p Once --attn nonsense
end
