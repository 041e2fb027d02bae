#!/bin/sh
# lookat explain: every sum it prints is checked again with awk, from the printed keys, query and
# codebook; with -p the sums of one score and of the weights, for several backends.
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

begin own_text_refused
expect 2 "from 0 to 5" "$BIN" explain -p Once --layer 6
expect 2 "from 0 to 3" "$BIN" explain -p Once --head 4
expect 2 "expected a text with a token" "$BIN" explain -p ""
expect 2 "is of a text" "$BIN" explain --attn int4
expect 2 "nonsense" "$BIN" explain -p Once --attn nonsense
end
