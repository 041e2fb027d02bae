#!/bin/sh
# The page of lookat compare --html and the figures of --svg: well-formed, complete in themselves,
# their numbers those of the JSON, hostile names and texts only shown.
. tests/lib.sh
export LOOKAT_MODEL="$PWD/weights/stories6M.gguf"
prose=tests/texts/prose.txt

if ! python3 -c 'import xml.etree.ElementTree' 2> /dev/null; then
    echo "skip html: no python3"
    exit 0
fi
# checked ARGUMENT...: what tests/page.py finds
checked() { python3 tests/page.py "$@" > "$tmp/wrong" 2>&1 || fail "$(head -n 3 "$tmp/wrong" | tr '\n' ';')"; }
small() { [ "$(wc -c < "$1")" -lt "$2" ] || fail "$1 has $(wc -c < "$1") bytes"; }

begin default_model
expect 0 "" "$BIN" compare -q -f $prose -n 128 -c 64 -a \
    fp16,int8/int8,int4/int4,turbo:bits=3/turbo:bits=3,lookat:small,lookat --mode all --lengths 16,32 \
    --html "$tmp/page.html" --svg "$tmp/figures" -o json
cp "$tmp/out" "$tmp/json"
checked "$tmp/page.html" "$tmp/json" 1300
for part in cost heads pattern lengths bytes free numbers; do
    grep -q "<section id=\"$part-0\">" "$tmp/page.html" || fail "no section $part"
done
small "$tmp/page.html" 1000000
checked --svg "$tmp"/figures/*.svg
for f in pareto pareto-stored pareto-loaded pareto-ms heads-1 heads-5 pattern-exact pattern-2 \
    pattern-difference-5 lengths-cosine bytes-4; do
    [ -s "$tmp/figures/$f.svg" ] || fail "no figure $f"
done
small "$tmp/figures/pareto.svg" 60000
[ "$(grep -c '<script' "$tmp/page.html")" -eq 0 ] || fail "a script"
end

begin standard_output_is_the_same
"$BIN" compare -q -f $prose -n 128 -c 64 -a fp16,int4 -o csv --mode shadow > "$tmp/a"
"$BIN" compare -q -f $prose -n 128 -c 64 -a fp16,int4 -o csv --mode shadow --html "$tmp/p.html" > "$tmp/b"
sed 's/"[^"]*"/x/g' "$tmp/a" | cut -d, -f1-24,26-41,44- > "$tmp/a2"
sed 's/"[^"]*"/x/g' "$tmp/b" | cut -d, -f1-24,26-41,44- > "$tmp/b2"
cmp -s "$tmp/a2" "$tmp/b2" || fail "the page changes the CSV"
end

# A backend that stores exactly what the baseline stores has a KL of 0, and one window has no errors.
begin nothing_lost
expect 0 "" "$BIN" compare -q -f $prose -n 64 -c 64 -a fp32,fp32,fp16 --html "$tmp/p.html" \
    --svg "$tmp/f2" -o json
checked "$tmp/p.html" "$tmp/out" 100
checked --svg "$tmp"/f2/*.svg
end

begin modes
for mode in shadow forced free; do
    expect 0 "" "$BIN" compare -q -f $prose -n 64 -c 64 -a fp16,int4 --mode $mode \
        --html "$tmp/p.html" -o json
    checked "$tmp/p.html" "$tmp/out"
done
end

# The text's name, the model's name and its tokens hold whatever a name and a token may hold.
begin hostile
bad=$(printf '<img src=x onerror=alert(1)>&"\047]]>\033[31m\377')
"$BIN" convert -q --random 2,2,32,64,4096 -z tokenizer --seed 3 -o "$tmp/$bad.gguf" || fail "no model"
head -c 2000 $prose > "$tmp/$bad.txt"
expect 0 "" "$BIN" compare -q -m "$tmp/$bad.gguf" -f "$tmp/$bad.txt" -f $prose -n 128 -c 32 -a \
    fp16,int4 --mode all --html "$tmp/$bad.html" -o json
checked "$tmp/$bad.html" "$tmp/out" 100
LC_ALL=C tr -d '\n' < "$tmp/$bad.html" | LC_ALL=C grep -q '[[:cntrl:]]' && fail "control characters"
grep -qF '&lt;img src=x onerror=alert(1)&gt;&amp;&quot;&#39;]]&gt;' "$tmp/$bad.html" ||
    fail "the name is not shown"
end

begin merged
for i in 0 1; do
    "$BIN" compare -q -f $prose -n 128 -c 64 -a fp16,int4,lookat:small --mode all --chunks $i/2 \
        -o jsonl > "$tmp/$i.jsonl" || fail "share $i"
done
expect 0 "" "$BIN" compare --merge "$tmp/0.jsonl" "$tmp/1.jsonl" --html "$tmp/m.html" -o json
checked "$tmp/m.html" "$tmp/out" 200
has "$tmp/m.html" "do not hold the attention of a prompt"
grep -q 'data-logprobs="/runs/2/free/logprobs"' "$tmp/m.html" || fail "no probabilities in shares"
end

begin chosen_head
expect 0 "" "$BIN" compare -q -f $prose -n 64 -c 64 -a fp16,int4 --html "$tmp/p.html" -o json \
    --html-layer 4 --html-head 3
output '"pattern":{"text":0,"layer":4,"head":3,'
has "$tmp/p.html" "Layer 4, head 3, over the first 48 tokens"
expect 2 "from 0 to 5" "$BIN" compare -q -f $prose -n 64 -c 64 --html "$tmp/p.html" --html-layer 6
expect 2 "from 0 to 3" "$BIN" compare -q -f $prose -n 64 -c 64 --html "$tmp/p.html" --html-head 4
expect 2 "are for --html" "$BIN" compare -q -f $prose -n 64 -c 64 --html-head 2
end

# The figures of the paper stand beside what was measured, where the backends are the paper's.
begin paper
expect 0 "" "$BIN" compare -q -f $prose -n 128 -c 64 --paper --lengths 32,64 --html "$tmp/p.html" \
    --svg "$tmp/f3" -o json
checked "$tmp/p.html" "$tmp/out" 100
has "$tmp/f3/pareto-paper.svg" "published"
has "$tmp/p.html" "hollow"
end

begin refused
expect 2 "this command reads" "$BIN" compare -q -f "$tmp/$bad.txt" -n 64 -c 32 --html "$tmp/$bad.txt"
expect 2 "this command reads" "$BIN" compare --merge "$tmp/0.jsonl" "$tmp/1.jsonl" --html "$tmp/0.jsonl"
expect 1 "$tmp/absent/p.html" "$BIN" compare -q -f $prose -n 64 -c 32 --html "$tmp/absent/p.html"
expect 1 "folder for figures" "$BIN" compare -q -f $prose -n 64 -c 32 --svg "$tmp/absent/f"
end

chromium=
for c in chromium chromium-browser google-chrome; do
    [ -n "$chromium" ] || ! command -v $c > /dev/null || chromium=$c
done
begin chromium
if [ -z "$chromium" ]; then
    echo "skip chromium: not installed"
    exit 0
fi
cp "$tmp/$bad.html" "$tmp/hostile.html"
for page in page hostile; do
    timeout 60 "$chromium" --headless --no-sandbox --disable-gpu --enable-logging=stderr \
        --user-data-dir="$tmp/profile" --window-size=360,800 --screenshot="$tmp/$page.png" \
        "file://$tmp/$page.html" > "$tmp/log" 2>&1
    [ -s "$tmp/$page.png" ] || fail "no picture of $page: $(tail -n 2 "$tmp/log")"
    ! grep -q CONSOLE "$tmp/log" || fail "$page: $(grep CONSOLE "$tmp/log" | head -n 2)"
done
end
