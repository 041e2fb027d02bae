#!/bin/sh
# src/report/schema.md names every member that the JSON of a command has, and commands print every
# member that it names: the names are compared as sets, one document after the other.
. tests/lib.sh
export LOOKAT_MODEL="$PWD/weights/stories6M.gguf"
schema=src/report/schema.md
text=tests/texts/prose.txt

# keys FILE...: the names of all members in files of JSON, one a line. Strings cannot be mistaken for
# members: what stands behind them is no colon, and quotes in them have a backslash.
keys() { cat "$@" | sed 's/\\"//g' | grep -o '"[A-Za-z0-9_]*":' | tr -d '":' | sort -u; }
# named: the words that the schema has in code, of which some are not members but commands and files
named() { grep -o '`[a-z0-9_]*`' "$schema" | tr -d '\140' | sort -u; }
# made FILE COMMAND...: standard output to FILE
made() {
    to=$tmp/json/$1
    shift
    "$BIN" "$@" > "$to" 2> "$tmp/err" || fail "$*: $(cat "$tmp/err")"
}

mkdir "$tmp/json"
begin every_member_is_named
"$BIN" convert -q --random 2,2,32,64,4096 -z tokenizer --seed 1 -o "$tmp/m.gguf" || fail "no model"
"$BIN" calibrate -q -m "$tmp/m.gguf" -f $text -n 300 --attn lookat:m=2,k=4,lookat:bytes=2,k=16 \
    -o "$tmp/b.gguf" > "$tmp/out" || fail "no book"
m="-m $tmp/m.gguf"
made calibrate calibrate -q $m -f $text -n 300 -c 32 --auto -a lookat:bytes=2,k=16/pq:m=2,k=4 \
    -o "$tmp/auto.gguf" --format json
made generate generate $m -p Once -n 3 -s 1 -q -o json --logprobs 2 --counters --fidelity \
    --log "$tmp/json/log"
made steps generate $m -p Once -n 3 -s 1 -q -o jsonl --logprobs 2
made eval eval $m -f $text -c 32 -n 96 -q -o json --book "$tmp/b.gguf" --attn lookat:m=2,k=4
made compare compare $m -f $text -c 32 -n 96 -q --book "$tmp/b.gguf" --mode all --heads \
    -a fp16,lookat:m=2,k=4,int4/int4:skip=1e-2 --lengths 16,32 -o json --html "$tmp/page.html"
made paper compare -f $text -c 32 -n 96 -q --paper --mode shadow -o json
made share compare $m -f $text -c 32 -n 96 -q --book "$tmp/b.gguf" --mode all -a fp16,int4 -o jsonl
made bench bench $m -q -r 1 -p 4 -n 2 -a fp16,lookat4 --roofline -o json
made attention bench $m -q --attention -r 1 -d 32,64 -a fp16,lookat4 -o json
made drafts bench $m -q --draft 50 -r 1 -n 4 -d 8 -o json
made info info "$tmp/m.gguf" --sha256 --check-weights -o json
made book info "$tmp/b.gguf" $m --sha256 -o json
made explain explain $m -p Once --book "$tmp/b.gguf" --attn lookat:m=2,k=4 -o json
made version version -o json
made tokenize tokenize -z tokenizer -p Once -v -o json
keys "$tmp"/json/* > "$tmp/printed"
[ "$(wc -l < "$tmp/printed")" -gt 150 ] || fail "$(wc -l < "$tmp/printed") names: outputs are missing"
named > "$tmp/named"
left=$(comm -23 "$tmp/printed" "$tmp/named" | tr '\n' ' ')
[ -z "$left" ] || fail "not in $schema: $left"
end

# Words in code that are no members: commands and forms, null, the endings that stand for units, the
# two values of a row's "test"; and two members that are printed only where numbers do not fit, which
# test_generate.sh (cut) and test_weights.sh (tensor) look at.
begin every_name_is_printed
others="help completion bench calibrate compare convert eval explain generate info tokenize jsonl null _bytes _ms _ns _s prefill decode cut tensor"
for o in $others; do echo "$o"; done >> "$tmp/printed"
left=$(sort -u "$tmp/printed" | comm -13 - "$tmp/named" | tr '\n' ' ')
[ -z "$left" ] || fail "no command prints: $left"
end

# The members of a document are in its own section, or among the parts that several share; and a
# document has the name and version of a section, all sections one at least.
begin each_in_its_section
section() { sed -n "/^## .*$1/,/^## /p" "$schema" | grep -o '`[a-z0-9_]*`' | tr -d '\140'; }
: > "$tmp/schemas"
for f in "$tmp"/json/*; do
    own=$(sed -n '1s/^{"schema":"\(lookat\.[a-z]*\/[0-9]*\)".*/\1/p' "$f")
    [ -n "$own" ] || fail "${f##*/} has no schema: $(head -c 100 "$f")"
    grep -o '"schema":"[^"]*"' "$f" | cut -d'"' -f4 | sort -u > "$tmp/own"
    cat "$tmp/own" >> "$tmp/schemas"
    { echo schema; echo bytes; section "Parts that several"
      while read -r name; do section "$(echo "$name" | sed 's/[./]/\\&/g')"; done < "$tmp/own"; } | sort -u > "$tmp/section"
    left=$(keys "$f" | comm -23 - "$tmp/section" | tr '\n' ' ')
    [ -z "$left" ] || fail "not in the section of $own: $left"
done
sed -n 's/^## //p' "$schema" | grep -o 'lookat\.[a-z]*/[0-9]*' | sort -u > "$tmp/headings"
sort -u "$tmp/schemas" | diff "$tmp/headings" - > "$tmp/diff" || fail "sections and documents: $(cat "$tmp/diff")"
end

begin each_parses
if python3 -c 'import json' 2> /dev/null; then
    cat > "$tmp/parse.py" << 'END'
import json, sys
def pairs(members):
    names = [name for name, _ in members]
    assert len(names) == len(set(names)), "a member twice: %s" % names
    return dict(members)
def no(word): raise ValueError("%s is no JSON" % word)
for path in sys.argv[1:]:
    lines = open(path, encoding="utf-8").read().split("\n")
    assert lines.pop() == "" and lines, "%s: no newline at the end" % path
    for line in lines:
        assert isinstance(json.loads(line, object_pairs_hook=pairs, parse_constant=no), dict)
END
    python3 "$tmp/parse.py" "$tmp"/json/* 2> "$tmp/wrong" || fail "$(tail -n 1 "$tmp/wrong")"
    end
else
    echo "skip each_parses: no python3"
fi
