#!/bin/sh
# lookat calibrate and the codebooks it makes, from outside: a small random model, and this repository's own sources as text.
. tests/lib.sh
tok=tokenizer

m=$tmp/m.gguf
cat src/attention/*.c > "$tmp/code.txt"
cat src/*/*.h > "$tmp/headers.txt"
"$BIN" convert -q --random 2,2,32,256,4096 -z $tok --seed 1 -o "$m" || exit 1
cal="$BIN calibrate -m $m -f $tmp/code.txt -f $tmp/headers.txt"

# Some systems give a program 256 KB of stack or less: the work of learning is elsewhere, on the calling thread and on others.
# Under a sanitizer every frame is several times as large.
begin small_stack
stack=256
! grep -q __asan_init "$BIN" || stack=1024
for how in "--attn lookat4 -t 1" "--attn lookat:bytes=2,k=16/pq8 -t 2"; do
    # shellcheck disable=SC2086
    (ulimit -s $stack && exec $cal -n 1200 -c 64 $how -q -o "$tmp/small.gguf" --force) > "$tmp/out" 2> "$tmp/err" < /dev/null
    status=$?
    # shellcheck disable=SC2086
    expect 0 "" $cal -n 1200 -c 64 $how -q -o "$tmp/large.gguf" --force
    [ $status -eq 0 ] || fail "$how exits $status on a small stack"
    cmp -s "$tmp/small.gguf" "$tmp/large.gguf" || fail "$how: another book"
done
for how in "generate -p word -n 9" "eval -f $tmp/code.txt -n 400 -c 64" "compare -f $tmp/code.txt -n 200 -c 64 -a fp16 -a int4"; do
    # shellcheck disable=SC2086
    (ulimit -s $stack && exec "$BIN" $how -m "$m" -q) > "$tmp/out" 2> "$tmp/err" < /dev/null || fail "$how exits $?: $(cat "$tmp/err")"
done
end

begin calibrate
expect 0 "" $cal -n 2048 --attn lookat4,lookat:m=2,k=16 -t 1 -q -o "$tmp/one.gguf"
matches '2,048 keys a head, of 2,048 tokens'
matches "^layer +variance +lookat4:learned +share +lookat:m=2,k=16,learned +share$"
matches '^ +0 .* %$'
matches '^ +all .* %$'
[ ! -s "$tmp/err" ] || fail "--quiet: $(cat "$tmp/err")"
cp "$tmp/out" "$tmp/table"
expect 0 "wrote $tmp/two.gguf" $cal -n 2048 -a lookat4 -a lookat:m=2,k=16 -t 2 -o "$tmp/two.gguf"
cmp -s "$tmp/one.gguf" "$tmp/two.gguf" || fail "two threads make other codebooks than one"
cmp -s "$tmp/out" "$tmp/table" || fail "two threads print another table"
# The JSON has the table's figures. The share of plain codebooks follows from the errors.
expect 0 "" $cal -n 500 -a lookat:m=2,k=4,plain,lookat:bytes=2,k=16 -q -o "$tmp/text.gguf"
cp "$tmp/out" "$tmp/table"
expect 0 "" $cal -n 500 -a lookat:m=2,k=4,plain,lookat:bytes=2,k=16 -q -o "$tmp/json.gguf" --format json
cmp -s "$tmp/text.gguf" "$tmp/json.gguf" || fail "--format json makes other codebooks"
matches '^\{"schema":"lookat.calibrate/1","model":\{.*"file":"[^"]*json.gguf","tokens":500,"samples":500,"seed":0,'
sed 's/{"codec"/\n&/g' "$tmp/out" | sed -n '/^{"codec"/p' > "$tmp/settings"
[ "$(wc -l < "$tmp/settings")" -eq 2 ] || fail "$(wc -l < "$tmp/settings") settings"
for at in 0 1 all; do
    sed 's/"all":{/"layer":all,/' "$tmp/settings" | grep -o "\"layer\":$at,[^}]*" | tr ':' ',' |
        awk -F, 'NR == 1 { printf "%.4g", $4 } { printf " %.4g %.1f", $6, 100 * $8 }
                 NR == 1 { if ($6 / $4 - $8 > 1e-9 || $8 - $6 / $4 > 1e-9) print "share", $8 } END { print "" }' > "$tmp/found"
    awk -v at=$at '$1 == at && /%/ { print $2, $3, $4, $6, $7 }' "$tmp/table" > "$tmp/want"
    cmp -s "$tmp/found" "$tmp/want" || fail "layer $at: the table has $(cat "$tmp/want"), the JSON $(cat "$tmp/found")"
done
grep -o '"head_bytes":.*' "$tmp/settings" | sed 's/"recommended.*//' > "$tmp/found"
awk '/^bytes of a row/ { on = 1; next } on && $1 != "layer" { print $2, $3 }' "$tmp/table" > "$tmp/want"
[ "$(sed -n 2p "$tmp/found" | grep -o '\[[0-9,]*\]' | tr -d '[]' | tr , ' ')" = "$(cat "$tmp/want")" ] || fail "bytes of heads: $(cat "$tmp/found")"
sed -n 1p "$tmp/found" | grep -q '^"head_bytes":null' || fail "bytes of even heads: $(cat "$tmp/found")"
expect 0 "" $cal -n 500 --attn lookat:m=4,k=16 -q --seed 3 -o "$tmp/seed.gguf"
expect 0 "" $cal -n 500 --attn lookat:m=4,k=16 -q -o "$tmp/other_seed.gguf"
cmp -s "$tmp/other_seed.gguf" "$tmp/seed.gguf" && fail "another seed makes the same codebooks"
end

# info of a file with codebooks: whose they are, what they are, what they were learned on.
begin info_book
expect 0 "" "$BIN" info -m "$m" "$tmp/one.gguf"
matches "^of a model +2 layers, 2 heads of 16 dimensions$"
matches "^fingerprint +[0-9a-f]{64}$"
matches "^ +that of $m$"
matches "^learned on +code.txt$"
matches "^ +headers.txt$"
matches "^tokens +2,048, 2,048 keys a head kept, seed 0$"
matches "^lookat:m=4,k=256,learned +4  learned for each head$"
matches "^lookat:m=2,k=16,learned +1  learned"
expect 0 "" "$BIN" info -m "$m" --sha256 -o json "$tmp/one.gguf"
matches '^\{"schema":"lookat.info/1","book":\{"file":".*one.gguf","sha256":"[0-9a-f]{64}","fingerprint":"[0-9a-f]{64}","layers":2,"heads":2,"head_dim":16,"model":"'
matches '"corpora":\[\{"file":"code.txt","sha256":"[0-9a-f]{64}"\},\{"file":"headers.txt",.*"tokens":2048,"samples":2048,"seed":0\}'
matches '"codebooks":\[\{"m":2,"k":16,"learned":true,"values":false\},\{"m":4,"k":256,"learned":true,"values":false\}\]'
"$BIN" convert -q --random 2,2,32,256,4096 -z $tok --seed 2 -o "$tmp/other.gguf"
cp "$tmp/one.gguf" "$tmp/other.book.gguf"
expect 0 "" "$BIN" info "$tmp/other.book.gguf"
matches "^ +not that of $tmp/other.gguf$"
expect 0 "" "$BIN" info -o json "$tmp/other.book.gguf"
matches '"model":null'
head -c 300 "$tmp/one.gguf" > "$tmp/cut.book.gguf"
expect 3 "$tmp/cut.book.gguf" "$BIN" info "$tmp/cut.book.gguf"
rm "$tmp/other.gguf" "$tmp/other.book.gguf" "$tmp/cut.book.gguf"
end

begin bytes
expect 0 "" $cal -n 1024 --attn lookat:bytes=3,k=64 -t 1 -q -o "$tmp/uneven.gguf"
matches '^layer +lookat:bytes=3,k=64$'
[ "$(sed -n '/^bytes of a row/,$p' "$tmp/out" | awk 'NR > 2 { for (i = 2; i <= NF; i++) sum += $i } END { print sum }')" = 12 ] || fail "not 3 bytes a key: $(cat "$tmp/out")"
cp "$tmp/out" "$tmp/uneven.table"
expect 0 "wrote" $cal -n 1024 --attn lookat:bytes=3,k=64 -t 2 -o "$tmp/uneven2.gguf"
cmp -s "$tmp/uneven.gguf" "$tmp/uneven2.gguf" || fail "two threads allot other codes than one"
cmp -s "$tmp/out" "$tmp/uneven.table" || fail "two threads print another table"
exits 0 "$BIN" generate -m "$m" --book "$tmp/uneven.gguf" -p "a text" -n 20 --temp 0 --attn lookat:bytes=3,k=64,sink=1,window=4
expect 2 "has no such codebooks" "$BIN" generate -m "$m" --book "$tmp/uneven.gguf" -p a -n 2 --attn lookat:bytes=2,k=64
expect 2 "bytes and m exclude each other" "$BIN" generate -m "$m" --book "$tmp/uneven.gguf" -p a -n 2 --attn lookat4:bytes=3
expect 2 "bytes=3 with k=4, expected 16, 64 or 256" $cal --attn lookat:bytes=3,k=4 -o "$tmp/x.gguf"
expect 2 "bytes=17, expected 1 to 16" "$BIN" generate -m "$m" --book "$tmp/uneven.gguf" -p a -n 2 --attn lookat:bytes=17
head -c 30 "$tmp/code.txt" > "$tmp/short.txt"
expect 2 "the texts are too short for that" "$BIN" calibrate -m "$m" -f "$tmp/short.txt" --attn lookat:bytes=3,k=64 -o "$tmp/x.gguf"
end

begin use
for a in lookat4 lookat:m=2,k=16/int8 fp16+lookat4@1; do
    exits 0 "$BIN" generate -m "$m" --book "$tmp/one.gguf" -p "a text" -n 20 --temp 0 --attn "$a"
    [ -s "$tmp/out" ] || fail "$a writes nothing"
done
expect 2 "needs codebooks; to make them: lookat calibrate -m MODEL -f TEXT --attn lookat4 -o BOOK.gguf" "$BIN" generate -m "$m" -p a -n 2 --attn lookat4
expect 2 "one.gguf has no such codebooks; to make them: lookat calibrate" "$BIN" generate -m "$m" --book "$tmp/one.gguf" -p a -n 2 --attn lookat8
expect 3 "the file has no codebooks" "$BIN" generate -m "$m" --book "$m" -p a -n 2 --attn lookat4
expect 1 "cannot open" "$BIN" generate -m "$m" --book "$tmp/nowhere.gguf" -p a -n 2 --attn lookat4
"$BIN" convert -q --random 2,2,32,256,4096 -z $tok --seed 2 -o "$tmp/other.gguf"
expect 3 "its codebooks are of another model: fingerprint" "$BIN" generate -m "$tmp/other.gguf" --book "$tmp/one.gguf" -p a -n 2 --attn lookat4
"$BIN" convert -q --random 3,2,32,256,4096 -z $tok --seed 1 -o "$tmp/three.gguf"
expect 3 "another model: 2 layers, 2 heads of 16; this one has 3, 2 of 16" "$BIN" generate -m "$tmp/three.gguf" --book "$tmp/one.gguf" -p a -n 2 -a lookat4
head -c 3000 "$tmp/one.gguf" > "$tmp/cut.gguf"
expect 3 "$tmp/cut.gguf" "$BIN" generate -m "$m" --book "$tmp/cut.gguf" -p a -n 2 --attn lookat4
expect 3 "expected \"gpt2\"" "$BIN" generate -m "$tmp/one.gguf" -p a -n 2
end

begin beside
cp "$tmp/one.gguf" "$tmp/m.book.gguf"
exits 0 "$BIN" generate -m "$m" -p "a text" -n 20 --temp 0 --attn lookat4
cp "$tmp/cut.gguf" "$tmp/m.book.gguf"
expect 3 "$tmp/m.book.gguf" "$BIN" generate -m "$m" -p a -n 2 --attn lookat4
exits 0 "$BIN" generate -m "$m" -p a -n 2
rm "$tmp/m.book.gguf"
end

begin embed
expect 0 "wrote" $cal -n 2048 --attn lookat4,lookat:m=2,k=16 --embed -o "$tmp/embedded.gguf"
"$BIN" generate -m "$m" --book "$tmp/one.gguf" -p "a text" -n 20 --temp 0 --attn lookat4 -q > "$tmp/apart"
exits 0 "$BIN" generate -m "$tmp/embedded.gguf" -p "a text" -n 20 --temp 0 --attn lookat4
cmp -s "$tmp/apart" "$tmp/out" || fail "codebooks inside write another text than codebooks apart"
expect 0 "" "$BIN" convert -q "$tmp/embedded.gguf" -o "$tmp/again.gguf"
cmp -s "$tmp/embedded.gguf" "$tmp/again.gguf" || fail "convert changes a model with codebooks"
expect 0 "" "$BIN" convert -q "$tmp/embedded.gguf" --type q8_0 -o "$tmp/q8.gguf"
exits 0 "$BIN" generate -m "$tmp/q8.gguf" -p "a text" -n 20 --attn lookat4
expect 0 "wrote" $cal -n 500 --attn lookat:m=4,k=16 --embed -m "$tmp/q8.gguf" -o "$tmp/q8.gguf" --force
expect 0 "" "$BIN" info "$tmp/q8.gguf" -o json
matches '"type":"q8_0"'
expect 0 "wrote" $cal -n 400 --attn lookat4:plain,lookat:m=2,k=16 --add --embed -m "$tmp/embedded.gguf" -o "$tmp/added.gguf"
expect 0 "" "$BIN" info "$tmp/added.gguf"
matches '^codebooks +lookat:m=4,k=256,plain lookat:m=2,k=16,learned lookat:m=4,k=256,learned; 400 tokens of code.txt, headers.txt$'
"$BIN" generate -m "$tmp/added.gguf" -p "a text" -n 20 --temp 0 --attn lookat4 -q > "$tmp/kept"
cmp -s "$tmp/apart" "$tmp/kept" || fail "--add changes codebooks that it keeps"
end

begin values
expect 0 "" $cal -n 1024 --attn lookat4/pq4,pq:bytes=2,k=16 -t 1 -q -o "$tmp/values.gguf"
matches '^layer +variance +lookat4:learned +share +pq4:learned +share +pq:bytes=2,k=16 +share$'
expect 0 "" $cal -n 1024 --attn fp16/pq4,lookat4,fp16/pq:bytes=2,k=16 -t 2 -q -o "$tmp/values2.gguf"
for spec in lookat4/pq4 fp16/pq:bytes=2,k=16; do
    "$BIN" generate -m "$m" --book "$tmp/values.gguf" -p "a text" -n 20 --temp 0 -q --attn $spec > "$tmp/apart" || fail "$spec"
    "$BIN" generate -m "$m" --book "$tmp/values2.gguf" -p "a text" -n 20 --temp 0 -q --attn $spec > "$tmp/kept" || fail "$spec"
    cmp -s "$tmp/apart" "$tmp/kept" || fail "$spec: two threads, asked in another order, write another text"
done
expect 2 "to make them: lookat calibrate -m MODEL -f TEXT --attn fp16/pq8 -o BOOK.gguf" "$BIN" generate -m "$m" --book "$tmp/values.gguf" -p a -n 2 --attn fp16/pq8
expect 2 "'pq' is not a codec for keys" "$BIN" generate -m "$m" --book "$tmp/values.gguf" -p a -n 2 --attn pq4/fp16
expect 0 "" "$BIN" info "$tmp/m.gguf"
end

# The choice again, from the table alone: columns of figures stand behind the spec, the words behind them.
chosen() { # BOUND: lines "lookat SPEC" and "lookat:small SPEC", of what the table in $tmp/out says
    awk -v bound="$1" 'NF >= 6 && $1 ~ /\// && $2 + 0 == $2 {
            if ($2 < bound && (rec == "" || $4 < s || ($4 == s && $5 < l))) { rec = $1; s = $4; l = $5 }
            if ($2 < 0.02 && (small == "" || $6 < t || ($6 == t && $5 < k))) { small = $1; t = $6; k = $5 }
        }
        END { print "lookat", rec; print "lookat:small", small }' "$tmp/out"
}
named() { sed -n 's/^\(lookat\(:small\)\{0,1\}\)  *\([^ ]*\/[^ ]*\)$/\1 \3/p' "$tmp/out"; }
begin search
auto="$cal -n 512 -c 64 --auto -a lookat:bytes=2,k=16/pq:bytes=4,k=16,lookat4/pq4"
# shellcheck disable=SC2086
expect 0 "" $auto -t 1 -q --embed -o "$tmp/auto.gguf"
matches "^cache +KL, nats +\+- +streams KB +loads KB +stores B$"
for spec in lookat:bytes=2,k=16/pq:bytes=4,k=16 lookat:bytes=2,k=16,sink=1,window=32,exact=8/pq:bytes=4,k=16 \
    lookat:bytes=2,k=16,refine=8,exact=4/pq:bytes=4,k=16 lookat:m=4,learned,refine=8,exact=8/pq:m=4,learned; do
    matches "^$spec +[0-9]"
done
chosen 0.004 > "$tmp/want"
named | cmp -s - "$tmp/want" || fail "the table says $(cat "$tmp/want"): $(cat "$tmp/out")"
cp "$tmp/out" "$tmp/auto.table"
# shellcheck disable=SC2086
expect 0 "wrote" $auto -t 2 --embed -o "$tmp/auto2.gguf" --format json
cmp -s "$tmp/auto.gguf" "$tmp/auto2.gguf" || fail "two threads find something else"
# The JSON has the trials of the table, and what was chosen.
grep -o '{"attn":[^}]*}' "$tmp/out" | tr -d '{}[]"' | tr ':' ',' | sed 's/^attn,\(.*\),kl,/\1 /; s/ \(.*\)/,\1/' |
    awk -F, '{ spec = $1; i = 2; while ($i !~ /^[0-9.e-]+$/ || $(i + 2) != "ratio") spec = spec "," $(i++)
               printf "%.3g %.2g %.1f %.1f %d\n", $i, $(i + 1), $(i + 6) / 1000, $(i + 8) / 1000, $(i + 10) }' > "$tmp/found"
awk 'NF >= 6 && $1 ~ /\// { print $2 + 0, $3 + 0, $4, $5, $6 }' "$tmp/auto.table" | awk '{ printf "%.3g %.2g %.1f %.1f %d\n", $1, $2, $3, $4, $5 }' > "$tmp/want"
[ -s "$tmp/want" ] && cmp -s "$tmp/want" "$tmp/found" || fail "the table has $(head -n 1 "$tmp/want"), the JSON $(head -n 1 "$tmp/found")"
{ sed -n 's/.*"recommended":"\([^"]*\)".*/lookat \1/p' "$tmp/out"; sed -n 's/.*"small":"\([^"]*\)".*/lookat:small \1/p' "$tmp/out"; } > "$tmp/found"
chosen_in_table=$(sed -n 's/^\(lookat\(:small\)\{0,1\}\)  *\([^ ]*\/[^ ]*\)$/\1 \3/p' "$tmp/auto.table")
[ "$(cat "$tmp/found")" = "$chosen_in_table" ] || fail "the table chose $chosen_in_table, the JSON $(cat "$tmp/found")"
# A bound in the widest gap, so that some of these stay below it and some do not; codebooks inside are tried as they are.
bound=$(awk 'NF >= 6 && $1 ~ /\// { print $2 }' "$tmp/auto.table" | sort -g |
    awk 'NR > 1 && $1 / last > ratio { ratio = $1 / last; bound = (last + $1) / 2 } { last = $1 } END { print bound }')
expect 0 "" "$BIN" calibrate -m "$tmp/auto.gguf" -f "$tmp/code.txt" -f "$tmp/headers.txt" -n 512 -c 64 -q --auto --add --bound "$bound" \
    -a lookat:bytes=2,k=16/pq:bytes=4,k=16,lookat4/pq4 --embed -o "$tmp/bound.gguf"
chosen "$bound" > "$tmp/want"
named | cmp -s - "$tmp/want" || fail "below $bound the table says $(cat "$tmp/want"): $(cat "$tmp/out")"
awk -v bound="$bound" '/refine=/ && $1 ~ /\// { first[$1] = 1; kl[$1] = $2 }
    END { for (s in kl) { more = s; if (sub(/refine=8,/, "refine=16,", more) && (kl[s] < bound) == (more in first)) exit 1 } }' "$tmp/out" ||
    fail "more rows are tried where fewer are enough, or none where they are not: $(cat "$tmp/out")"
grep '^lookat:bytes=2,k=16/' "$tmp/auto.table" | cut -c 1-100 > "$tmp/before"
grep '^lookat:bytes=2,k=16/' "$tmp/out" | head -1 | sed 's/  = .*//' | grep -q "$(awk 'NR == 1 { print $2 }' "$tmp/before")" || fail "--add learns again"
expect 0 "" $auto --bound 0 -q -o "$tmp/none.book.gguf"
matches "^lookat +none: no cache that was tried stays below the bound$"
matches "^lookat:small +lookat:"
expect 2 "auto chooses sink, window, refine and exact itself" $cal --auto -a lookat4:refine=8/pq4 -o "$tmp/x.gguf"
expect 2 "auto takes KEYS/VALUES, the same for all layers" $cal --auto -a lookat4/pq4@0 -o "$tmp/x.gguf"
end

# --attn lookat and lookat:small: whole caches that the book names.
begin words
for word in lookat lookat:small; do
    spec=$(sed -n "s/^$word  *//p" "$tmp/auto.table" | tail -1)
    "$BIN" generate -m "$tmp/auto.gguf" -p "a text" -n 20 --temp 0 -q --attn "$spec" > "$tmp/want" || fail "$spec"
    exits 0 "$BIN" generate -m "$tmp/auto.gguf" -p "a text" -n 20 --temp 0 -q --attn $word
    cmp -s "$tmp/want" "$tmp/out" || fail "$word writes another text than $spec"
    expect 0 "" "$BIN" info "$tmp/auto.gguf"
    grep -q "^--attn $word  *$spec$" "$tmp/out" || fail "info does not show $word: $(cat "$tmp/out")"
    matches "^calibrate --auto tried 8 caches; -v shows all"
    grep -Eq "^$spec  .*  = $word(  |\$)" "$tmp/out" || fail "info does not show what $word costs: $(cat "$tmp/out")"
    [ "$(grep -c '^lookat:[^ ]*/pq:' "$tmp/out")" -le 2 ] || fail "info shows more than what was chosen: $(cat "$tmp/out")"
done
expect 0 "" "$BIN" info -v "$tmp/auto.gguf"
grep -q '^lookat:m=4,learned/pq:m=4,learned ' "$tmp/out" || fail "info -v does not show what was tried: $(cat "$tmp/out")"
expect 0 "" "$BIN" info -o json "$tmp/auto.gguf"
matches '"recommended":"lookat:[^"]*","small":"lookat:[^"]*","tried":\["cache '
expect 0 "" "$BIN" info -o json "$tmp/one.gguf"
matches '"recommended":null,"small":null,"tried":\[\]'
expect 0 "" "$BIN" compare -m "$tmp/auto.gguf" -f "$tmp/code.txt" -n 256 -c 64 --mode forced -a fp16,lookat,lookat:small -o json -q
matches '"attn":"lookat","keys":"lookat:[^"]*","values":"pq:[^"]*","effective_attn":"lookat:[^"]*/pq:'
expect 0 "" "$BIN" convert -q "$tmp/auto.gguf" -o "$tmp/auto.again.gguf"
cmp -s "$tmp/auto.gguf" "$tmp/auto.again.gguf" || fail "convert changes a model that names whole caches"
expect 0 "" "$BIN" calibrate -m "$tmp/auto.gguf" -f "$tmp/code.txt" -n 400 -q -a lookat2 --add --embed -o "$tmp/auto.kept.gguf"
exits 0 "$BIN" generate -m "$tmp/auto.kept.gguf" -p "a text" -n 4 -q --attn lookat
expect 2 "to choose one: lookat calibrate -m MODEL -f TEXT --auto --add --embed -o NEW.gguf" "$BIN" generate -m "$m" -p a -n 2 --attn lookat
expect 2 "one.gguf names no such cache; to choose one" "$BIN" generate -m "$m" --book "$tmp/one.gguf" -p a -n 2 --attn lookat:small
exits 0 "$BIN" bench -m "$tmp/auto.gguf" -p 8 -n 2 -r 1 -a lookat -q
end

begin parts
expect 0 "" $cal -n 500 --attn lookat4 --learn none -q -o "$tmp/none.gguf"
expect 0 "" $cal -n 500 --attn lookat4 --learn metric,weights,directions,ranges,rotation -q -o "$tmp/parts.gguf"
expect 0 "" $cal -n 500 --attn lookat4 -q -o "$tmp/all.gguf"
cmp -s "$tmp/parts.gguf" "$tmp/all.gguf" || fail "all parts named are not all parts"
cmp -s "$tmp/none.gguf" "$tmp/all.gguf" && fail "no parts are all parts"
expect 2 "'rotations' is no part; there are metric, weights, directions, ranges, rotation" $cal --attn lookat4 --learn metric,rotations -o "$tmp/x.gguf"
end

begin mistakes
expect 2 "no text; name one or several with -f" "$BIN" calibrate -m "$m" -o "$tmp/x.gguf"
expect 2 "no output file" $cal
expect 2 "exists already; --force overwrites it" $cal -o "$tmp/one.gguf"
expect 2 "only lookat keys and pq values have codebooks" $cal --attn int8 -o "$tmp/x.gguf"
expect 2 "32 subspaces do not divide the head dimension of 16" $cal --attn lookat32 -o "$tmp/x.gguf"
expect 2 "is not a codec for keys" $cal --attn lookat4,nonsense -o "$tmp/x.gguf"
expect 2 "is not a codec for keys" $cal --attn lookat4, -o "$tmp/x.gguf"
expect 2 "the model's context is 256 tokens" $cal -c 257 -o "$tmp/x.gguf"
expect 1 "cannot open" "$BIN" calibrate -m "$m" -f "$tmp/nowhere.txt" -o "$tmp/x.gguf"
: > "$tmp/empty.txt"
expect 2 "the texts have no tokens" "$BIN" calibrate -m "$m" -f "$tmp/empty.txt" -o "$tmp/x.gguf"
expect 1 "cannot write" $cal -n 300 --attn lookat:m=4,k=16 -o "$tmp/no/where.gguf"
expect 0 "warning: 60 keys a head for 16 centroids" $cal -n 60 --attn lookat:m=4,k=16 -o "$tmp/few.gguf"
"$BIN" convert -q --random 2,2,32,256,4096 -o "$tmp/bare.gguf"
expect 2 "no tokenizer" "$BIN" calibrate -m "$tmp/bare.gguf" -f "$tmp/code.txt" -o "$tmp/x.gguf"
[ ! -e "$tmp/x.gguf" ] || fail "a refused command left a file"
end

begin interrupt
"$BUILD/tests/default_signals" $cal -n 30000 --attn lookat2,lookat4,lookat8,lookat16 -o "$tmp/stopped.gguf" > "$tmp/out" 2> "$tmp/err" &
pid=$!
sleep 0.3
kill -INT $pid 2> /dev/null
wait $pid
got=$?
[ $got -eq 130 ] || [ -e "$tmp/stopped.gguf" ] || fail "exit status $got: $(cat "$tmp/err")"
[ $got -ne 130 ] || [ ! -e "$tmp/stopped.gguf" ] || fail "an interrupted calibration left its file"
ls "$tmp" | grep -q 'tmp-' && fail "a temporary file is left: $(ls "$tmp")"
end

# A folder that holds one GGUF file is that file, its codebooks too.
begin inside
expect 0 "" $cal -n 400 -a lookat:m=4,k=16 --embed -q -o "$tmp/with.gguf"
mkdir "$tmp/folder" && ln -s ../with.gguf "$tmp/folder/model.gguf"
for model in "$tmp/with.gguf" "$tmp/folder"; do
    expect 0 "" "$BIN" info "$model"
    matches '^codebooks +lookat:m=4,k=16,learned; 400 tokens of code.txt, headers.txt$'
    expect 0 "" "$BIN" info "$model" -o json
    matches '"codebooks":\[\{"m":4,"k":16,"learned":true,"values":false\}\]'
    expect 0 "" "$BIN" generate -m "$model" -p "int" -n 3 -q -a lookat:m=4,k=16
done
expect 0 "" "$BIN" info "$m" -o json
matches '"codebooks":\[\]'
end
