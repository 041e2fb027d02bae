#!/bin/sh
# lookat explain: every sum it prints is checked again with awk, from the printed keys, query and codebook.
BIN=${BIN:-$PWD/lookat}
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
