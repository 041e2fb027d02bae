#!/bin/sh
# run.sh in a copy of the repository: it builds, writes a story, and fetches GPT-2; here a tiny model from a server on the loopback interface.
. tests/lib.sh
case $BUILD in /*) ;; *) BUILD=$PWD/$BUILD ;; esac
server=$BUILD/tests/http_server tiny_model=$BUILD/tests/tiny_model
pid=
trap '[ -z "$pid" ] || kill $pid 2> /dev/null; rm -rf "$tmp"' EXIT
repo=$tmp/repo
unset LOOKAT_MODEL BUILD BIN MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES GNUMAKEFLAGS
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
# not the flags of the build under test, and quick
export MAKE="make -j2 CFLAGS=-O0"

lacks() { grep -qF -e "$2" "$tmp/$1" && fail "unexpected '$2' in '$(head -c 500 "$tmp/$1")'"; }
run() { # STATUS ARGUMENT...
    want=$1
    shift
    "$repo/run.sh" "$@" > "$tmp/out" 2> "$tmp/err" < /dev/null
    got=$?
    [ $got -eq "$want" ] || fail "run.sh $* exits $got, expected $want: $(tail -n 5 "$tmp/err")"
}

mkdir "$repo"
cp -R run.sh Makefile src "$repo"
mkdir "$repo/weights"
cp weights/stories6M.gguf weights/gpt2.sha256 "$repo/weights"

begin story
run 0
[ -x "$repo/lookat" ] || fail "no program was built"
has "$tmp/err" "building lookat (once"
grep -q '^Once upon a time' "$tmp/out" && [ "$(wc -w < "$tmp/out")" -gt 20 ] || fail "no story: $(head -c 200 "$tmp/out")"
end

begin options
run 0 "Once upon a time" -n 12 --temp 0 -q
[ "$(cat "$tmp/out")" = "Once upon a time, there was a little girl named Lily. She loved to" ] || fail "text: $(cat "$tmp/out")"
run 0 -n 12 --temp 0 -q -p "Once upon a time" --no-display-prompt
[ "$(cat "$tmp/out")" = ", there was a little girl named Lily. She loved to" ] || fail "options alone: $(cat "$tmp/out")"
(cd "$tmp" && repo/run.sh "Once" -n 1 -q > out 2> err) || fail "from another folder: $(cat "$tmp/err")"
run 2 "Once" --nonsense
has "$tmp/err" "--nonsense"
end

begin building_is_said
run 0 "Once" -n 1 -q
lacks err building
touch "$repo/src/main.c"
run 0 "Once" -n 1 -q
has "$tmp/err" "building what is newer than lookat"
end

begin build_fails
MAKE=false run 1 "Once"
has "$tmp/err" "the build in $repo failed; it needs gcc or clang, and GNU make"
MAKE=no-such-make run 1 "Once"
has "$tmp/err" "there is no no-such-make; building lookat needs GNU make"
CC=no-such-compiler MAKE=false run 1 "Once"
has "$tmp/err" "there is no compiler (no-such-compiler)"
end

# A command's name comes first, and is no prompt then.
begin commands
"$repo/lookat" help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' > "$tmp/commands"
[ "$(wc -l < "$tmp/commands")" -ge 10 ] || fail "lookat help lists $(cat "$tmp/commands")"
for c in $(cat "$tmp/commands"); do
    [ "$c" = help ] || { run 0 "$c" --help && has "$tmp/out" "usage: lookat $c"; }
done
run 0 help tokenize
has "$tmp/out" "usage: lookat tokenize"
run 0 tokenize "Once upon a time"
[ "$(cat "$tmp/out")" = "575 510 258 437" ] || fail "tokenize: $(cat "$tmp/out")"
run 0 version
has "$tmp/out" "lookat "
run 2 compare
has "$tmp/err" "compare: expected a text"
end

begin symbolic_links
mkdir "$tmp/bin dir" "$tmp/elsewhere"
ln -s "$repo/run.sh" "$tmp/bin dir/run me"
ln -s "../bin dir/run me" "$tmp/elsewhere/again"
"$tmp/bin dir/run me" "Once" -n 1 -q > "$tmp/out" 2> "$tmp/err" < /dev/null || fail "a link: $(cat "$tmp/err")"
has "$tmp/out" "Once"
(cd "$tmp/elsewhere" && ./again "Once" -n 1 -q > ../out 2> ../err < /dev/null) || fail "a link to a link: $(cat "$tmp/err")"
has "$tmp/out" "Once"
end

# What stands in for the files of GPT-2.
files=$tmp/files
mkdir "$files"
"$tiny_model" "$files" || exit 1
cp tokenizer/vocab.json tokenizer/merges.txt "$files"
sha256=sha256sum
command -v sha256sum > /dev/null || sha256="shasum -a 256"
for f in model.safetensors vocab.json merges.txt config.json; do
    echo "$($sha256 "$files/$f" | cut -d' ' -f1) $(wc -c < "$files/$f" | tr -d ' ') $f"
done > "$tmp/sums"
size=$(sed -n 's/^[0-9a-f]* \([0-9]*\) model.safetensors$/\1/p' "$tmp/sums")
export LOOKAT_GPT2_SUMS="$tmp/sums"

serve() { # [CUT]: sets the address
    rm -f "$tmp/port"
    : > "$tmp/log"
    "$server" "$files" "$tmp/log" "$@" > "$tmp/port" 2> /dev/null &
    pid=$!
    until [ -s "$tmp/port" ]; do kill -0 $pid 2> /dev/null || break; done
    LOOKAT_GPT2_URL=http://127.0.0.1:$(cat "$tmp/port")
    export LOOKAT_GPT2_URL
}
unserve() {
    kill $pid
    wait $pid 2> /dev/null
    pid=
}

# fetched BYTES: the first request was cut after BYTES, the next one asks for the rest, and all is there
fetched() {
    cmp -s "$files/model.safetensors" "$LOOKAT_CACHE/gpt2/model.safetensors" || fail "another file than the one that is served"
    sort "$tmp/log" > "$tmp/sorted"
    { echo "GET /config.json -1 200"; echo "GET /merges.txt -1 200"; echo "GET /vocab.json -1 200"; } > "$tmp/want"
    grep -v model "$tmp/sorted" | cmp -s - "$tmp/want" || fail "requests: $(cat "$tmp/log")"
    has "$tmp/log" "GET /model.safetensors $1 206"
    has "$tmp/out" "Once"
    has "$tmp/err" "wrote $LOOKAT_CACHE/gpt2-f16.gguf"
    # the size comes before the first file
    head -n 1 "$tmp/err" | grep -qF "gpt2 (124M): 0 MB from $LOOKAT_GPT2_URL" || fail "size: $(head -n 2 "$tmp/err")"
}
cut=70000

if command -v curl > /dev/null; then
    export LOOKAT_CACHE="$tmp/cache-curl"
    begin curl_cut
    serve $cut
    run 1 gpt2 "Once" -n 2
    has "$tmp/err" "gpt2 (124M): "
    has "$tmp/err" "fetching model.safetensors ($size bytes)"
    has "$tmp/err" "cannot fetch $LOOKAT_GPT2_URL/model.safetensors"
    [ "$(cat "$tmp/log")" = "GET /model.safetensors -1 200" ] || fail "requests: $(cat "$tmp/log")"
    [ ! -e "$LOOKAT_CACHE/gpt2/model.safetensors" ] || fail "an incomplete file has the name of the whole"
    [ "$(wc -c < "$LOOKAT_CACHE/gpt2/model.safetensors.part")" -eq $cut ] || fail "not $cut bytes are kept"
    unserve
    end

    begin curl_resume
    serve
    run 0 gpt2 "Once" -n 2 --temp 0
    fetched $cut
    [ "$(wc -l < "$tmp/log")" -eq 4 ] || fail "requests: $(cat "$tmp/log")"
    end

    begin kept
    cp "$tmp/out" "$tmp/first"
    : > "$tmp/log"
    run 0 gpt2 "Once" -n 2 --temp 0
    cmp -s "$tmp/first" "$tmp/out" || fail "another text: $(cat "$tmp/out")"
    [ ! -s "$tmp/log" ] || fail "requests: $(cat "$tmp/log")"
    lacks err fetching
    lacks err wrote
    unserve
    end
else
    echo "skip curl: not installed"
fi

# run.sh takes curl where there is one: a PATH with everything else. wget goes on by itself after a cut.
if command -v wget > /dev/null; then
    begin wget
    mkdir "$tmp/bin"
    (IFS=:; for d in $PATH; do ln -s "$d"/* "$tmp/bin" 2> /dev/null; done)
    rm -f "$tmp/bin/curl"
    serve $cut
    export LOOKAT_CACHE="$tmp/cache-wget"
    PATH=$tmp/bin run 0 gpt2 "Once" -n 2 --temp 0
    fetched $cut
    unserve
    end
else
    echo "skip wget: not installed"
fi

begin wrong_sum
export LOOKAT_CACHE="$tmp/cache-wrong"
if command -v curl > /dev/null || command -v wget > /dev/null; then
    serve
    sed '1s/^[0-9a-f]*/0000000000000000000000000000000000000000000000000000000000000000/' "$tmp/sums" > "$tmp/wrong"
    LOOKAT_GPT2_SUMS=$tmp/wrong run 1 gpt2 "Once"
    has "$tmp/err" "model.safetensors has SHA-256 "
    has "$tmp/err" "expected 0000000000000000"
    [ -e "$LOOKAT_CACHE/gpt2/model.safetensors.bad" ] && [ ! -e "$LOOKAT_CACHE/gpt2/model.safetensors" ] || fail "the file is not set aside"
    sed '1s/ [0-9]* / 131 /' "$tmp/sums" > "$tmp/wrong"
    LOOKAT_GPT2_SUMS=$tmp/wrong run 1 gpt2 "Once"
    has "$tmp/err" "model.safetensors has $size bytes, expected 131"
    unserve
    run 1 gpt2 "Once" # the server is gone
    has "$tmp/err" "run.sh: cannot fetch $LOOKAT_GPT2_URL/model.safetensors; without a network, put "
    has "$tmp/err" "$LOOKAT_CACHE/gpt2 and run this again"
    [ "$(grep -c '^run.sh: ' "$tmp/err")" -eq 1 ] || fail "more than one sentence"
    end
else
    echo "skip wrong_sum: neither curl nor wget"
fi

begin placed_by_hand
export LOOKAT_CACHE="$tmp/cache-hand"
export LOOKAT_GPT2_URL=http://127.0.0.1:1 # nobody listens there
mkdir -p "$LOOKAT_CACHE/gpt2"
cp "$files"/* "$LOOKAT_CACHE/gpt2"
run 0 gpt2 -p "Once" -n 2 -q
has "$tmp/out" "Once"
lacks err fetching
[ -e "$LOOKAT_CACHE/gpt2-f16.gguf" ] || fail "nothing was converted"
end

# A name whose sums are not known is never fetched; what somebody put there is taken as it is.
begin names
unset LOOKAT_GPT2_URL LOOKAT_GPT2_SUMS
run 0 --list
has "$tmp/out" "gpt2-xl"
grep -q '^gpt2  *124 M  *[0-9]* MB  *248 MB  ready$' "$tmp/out" || fail "list: $(cat "$tmp/out")"
grep -q '^distilgpt2  *82 M  *- *164 MB  put its files into ' "$tmp/out" || fail "list: $(cat "$tmp/out")"
run 1 gpt2-medium "Once" -n 2
has "$tmp/err" "the sums of gpt2-medium's files are not known here, so it is not fetched"
has "$tmp/err" "into $LOOKAT_CACHE/gpt2-medium and run this again"
mkdir "$LOOKAT_CACHE/gpt2-medium"
cp "$files"/* "$LOOKAT_CACHE/gpt2-medium"
run 0 gpt2-medium -p "Once" -n 2 -q
has "$tmp/out" "Once"
has "$tmp/err" "taking $LOOKAT_CACHE/gpt2-medium as it is"
run 0 gpt2-medium info
has "$tmp/out" "gpt2-medium-f16.gguf"
run 0 gpt2-mini -n 1 -q # no name of a model: a text
has "$tmp/out" "gpt2-mini"
end
