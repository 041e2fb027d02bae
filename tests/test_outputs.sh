#!/bin/sh
# What commands must not destroy, from outside: their inputs, devices, links, permissions; and
# inputs that are no files.
. tests/lib.sh
tok=$PWD/tokenizer

# kept NAME...: these files of the folder hold what they held, and no file was added
kept() {
    for f; do cmp -s "$tmp/d/$f" "$tmp/copy/$f" || fail "$f changed"; done
    [ "$(ls "$tmp/d")" = "$(ls "$tmp/copy")" ] || fail "files: $(ls "$tmp/d")"
}
mode() { ls -l "$1" | cut -c1-10; }

# A folder as Hugging Face has it, of which not every file is read; a model, a book, a text.
mkdir "$tmp/d" "$tmp/d/hf"
"$BUILD/tests/tiny_model" "$tmp/d/hf" || exit 1
cp $tok/vocab.json $tok/merges.txt "$tmp/d/hf"
for f in tokenizer.json tokenizer_config.json added_tokens.json model.safetensors.index.json; do
    echo '{}' > "$tmp/d/hf/$f"
done
rm "$tmp/d/hf/tokenizer.json" "$tmp/d/hf/added_tokens.json"
cat tests/test_*.sh > "$tmp/d/text"
"$BIN" convert -q --random 2,2,32,64,4096 -z $tok --seed 1 -o "$tmp/d/m.gguf" || exit 1
"$BIN" calibrate -q -m "$tmp/d/m.gguf" -f "$tmp/d/text" -n 300 --attn lookat:m=2,k=4 -o \
    "$tmp/d/b.gguf" > "$tmp/out" || exit 1
cp -R "$tmp/d" "$tmp/copy"
ln "$tmp/d/m.gguf" "$tmp/hard.gguf"
ln -s d/m.gguf "$tmp/soft.gguf"
ln -s d/text "$tmp/soft.txt"
m=$tmp/d/m.gguf
said="is a file that this command reads: choose another name to write to"

begin inputs
cal="$BIN calibrate -q -m $m -f $tmp/d/text -n 300 --attn lookat:m=2,k=4 --force"
for o in "$m" "$tmp/hard.gguf" "$tmp/soft.gguf" "$tmp/d/../d/m.gguf" "$tmp/d/text" \
    "$tmp/soft.txt"; do
    expect 2 "$said" $cal -o "$o"
done
expect 2 "$said" $cal --embed -o "$tmp/d/text"
expect 2 "$said" $cal -z "$tmp/d/hf" -o "$tmp/d/hf/merges.txt"
expect 2 "$said" "$BIN" calibrate -q -m "$tmp/d/hf" -f "$tmp/d/text" -n 300 --attn lookat:m=2,k=4 \
    --embed --force -o "$tmp/d/hf/model.safetensors"
LOOKAT_MODEL=$m expect 2 "$said" "$BIN" calibrate -q -f "$tmp/d/text" -n 300 --attn lookat:m=2,k=4 \
    --force -o "$m"
for o in model.safetensors config.json vocab.json merges.txt tokenizer_config.json \
    model.safetensors.index.json; do
    expect 2 "$said" "$BIN" convert -q "$tmp/d/hf" -o "$tmp/d/hf/$o" --force
    expect 2 "$said" "$BIN" convert -q "$tmp/d/hf/model.safetensors" -o "$tmp/d/hf/$o" --force
done
expect 2 "$said" "$BIN" convert -q "$m" -z "$tmp/d/hf/vocab.json" -o "$tmp/d/hf/vocab.json" --force
expect 2 "$said" "$BIN" convert -q --random 1,1,16,64,4096 -z "$tmp/d/hf" -o \
    "$tmp/d/hf/merges.txt" --force
expect 2 "$said" "$BIN" convert -q "$m" -o "$tmp/hard.gguf" --force
gen="$BIN generate -q -m $m -n 2 -s 1 --counters"
for o in "$m" "$tmp/hard.gguf" "$tmp/soft.gguf"; do expect 2 "$said" $gen -p a --log "$o"; done
expect 2 "$said" $gen -f "$tmp/d/text" --log "$tmp/soft.txt"
expect 2 "$said" $gen -p a --book "$tmp/d/b.gguf" -a lookat:m=2,k=4 --log "$tmp/d/b.gguf"
expect 2 "$said" $gen -p a -z "$tmp/d/hf" --log "$tmp/d/hf/vocab.json"
cp "$tmp/d/b.gguf" "$tmp/d/m.book.gguf" # found beside the model
expect 2 "$said" $gen -p a -a lookat:m=2,k=4 --log "$tmp/d/m.book.gguf"
rm "$tmp/d/m.book.gguf"
printf 'a' > "$tmp/prompt"
"$BIN" generate -q -m "$m" -n 2 -s 1 --counters --log "$tmp/prompt" - < "$tmp/prompt" > "$tmp/out" \
    2> "$tmp/err"
[ $? -eq 2 ] && [ "$(cat "$tmp/prompt")" = a ] ||
    fail "a prompt on standard input is overwritten: $(cat "$tmp/err")"
diff -r "$tmp/d" "$tmp/copy" > "$tmp/out" || fail "changed: $(cat "$tmp/out")"
end

# What commands do say that they do.
begin overwriting
cp "$m" "$tmp/own.gguf"
expect 0 "" "$BIN" calibrate -q -m "$tmp/own.gguf" -f "$tmp/d/text" -n 300 --attn lookat:m=2,k=4 \
    --embed --force -o "$tmp/own.gguf"
expect 0 "" "$BIN" generate -q -m "$tmp/own.gguf" -p a -n 2 -a lookat:m=2,k=4
expect 0 "" $gen -p a --log "$tmp/log"
chmod 600 "$tmp/log"
expect 0 "" $gen -p a --log "$tmp/log"
case $(ls -l "$tmp/log") in -rw-------*) ;; *) fail "permissions: $(ls -l "$tmp/log")" ;; esac
ln -s log "$tmp/link"
rm "$tmp/log"
expect 0 "" $gen -p a --log "$tmp/link"
[ -h "$tmp/link" ] && [ -s "$tmp/log" ] || fail "a link was replaced"
$gen -p a --log /dev/stderr > "$tmp/out" 2> "$tmp/both" || fail "--log /dev/stderr exits $?"
grep -q '^{"schema":"lookat.attention/1"' "$tmp/both" ||
    fail "no log on standard error: $(cat "$tmp/both")"
{ echo first >&2; $gen -p a --log /dev/stderr > "$tmp/out"; echo last >&2; } 2> "$tmp/both"
[ "$(sed -n '1p;$p' "$tmp/both" | tr '\n' ' ')" = "first last " ] ||
    fail "what else was written to standard error is lost: $(cat "$tmp/both")"
"$BIN" convert -q "$m" -o /dev/stdout > "$tmp/piped.gguf" && cmp -s "$m" "$tmp/piped.gguf" ||
    fail "-o /dev/stdout"
end

begin pipes
mkfifo "$tmp/pipe"
cat "$tmp/pipe" > "$tmp/got" &
expect 0 "" "$BIN" convert -q "$m" -o "$tmp/pipe"
wait $!
[ -p "$tmp/pipe" ] && cmp -s "$m" "$tmp/got" || fail "an output that is a pipe"
expect 3 "pipe: is a pipe, expected a file" "$BIN" generate -m "$tmp/pipe" -p a
expect 3 "pipe: is a pipe, expected a file" "$BIN" generate -m "$m" -z "$tmp/pipe" -p a
expect 3 "pipe: is a pipe, expected a file" "$BIN" generate -m "$m" --book "$tmp/pipe" -a lookat4 \
    -p a
expect 3 "pipe: is a pipe that nobody writes to" "$BIN" generate -m "$m" -f "$tmp/pipe"
expect 3 "pipe: is a pipe that nobody writes to" "$BIN" eval -m "$m" -f "$tmp/pipe"
expect 3 "pipe: is a pipe that nobody writes to" "$BIN" compare -m "$m" -f "$tmp/pipe"
expect 3 "/dev/zero: is a device" "$BIN" generate -m "$m" -f /dev/zero
expect 3 "/dev/zero: is a device" "$BIN" info /dev/zero
for f in config.json vocab.json merges.txt model.safetensors; do
    rm -rf "$tmp/e" && cp -R "$tmp/d/hf" "$tmp/e" && rm "$tmp/e/$f" && mkfifo "$tmp/e/$f"
    expect 3 "is a pipe, expected a file" "$BIN" info "$tmp/e"
done
(sleep 1 && printf 'a b' > "$tmp/pipe") & # the writer may come later
expect 0 "" "$BIN" tokenize -z $tok -f "$tmp/pipe"
kill $! 2> /dev/null
wait $!
"$BIN" tokenize -z $tok "a b" | cmp -s - "$tmp/out" || fail "a text from a pipe: $(cat "$tmp/out")"
end

# Nothing is computed for an output that cannot be: what is wrong is said before the model is read,
# which is missing here.
begin found_before
expect 1 "No such file" "$BIN" convert "$tmp/none" -o "$tmp/nowhere/x.gguf"
expect 2 "is a folder" "$BIN" convert "$tmp/none" -o "$tmp/d"
expect 1 "nowhere/x.gguf: cannot write" "$BIN" convert --random 1,1,16,64,4096 -o \
    "$tmp/nowhere/x.gguf"
expect 1 "nowhere/x.gguf: cannot write" "$BIN" calibrate -m "$tmp/none" -f "$tmp/d/text" -o \
    "$tmp/nowhere/x.gguf"
expect 2 "d: is a folder" "$BIN" calibrate -m "$tmp/none" -f "$tmp/d/text" -o "$tmp/d"
expect 1 "nowhere/log: cannot write" "$BIN" generate -m "$tmp/none" -p a --counters --log \
    "$tmp/nowhere/log"
expect 2 "d: is a folder" "$BIN" generate -m "$tmp/none" -p a --counters --log "$tmp/d"
if [ "$(id -u)" -ne 0 ]; then
    mkdir "$tmp/closed" && chmod 500 "$tmp/closed"
    expect 1 "closed/x.gguf: cannot write: Permission denied" "$BIN" convert "$tmp/none" -o \
        "$tmp/closed/x.gguf"
    chmod 700 "$tmp/closed"
fi
end

# Names in files, which a terminal would obey.
begin names
bad=$(printf 'n\033[31m\nx\302\233y\342\200\256z')
cp -R "$tmp/d/hf" "$tmp/$bad"
cp "$tmp/d/text" "$tmp/$bad.txt"
expect 0 "" "$BIN" convert -q "$tmp/$bad" -o "$tmp/named.gguf"
expect 0 "" "$BIN" calibrate -q -m "$tmp/named.gguf" -f "$tmp/$bad.txt" -n 300 -c 64 --attn \
    lookat:m=2,k=4 --embed -o "$tmp/both.gguf"
# shown COMMAND...: its text shows the name, with nothing that steers
shown() {
    "$@" > "$tmp/out" 2> "$tmp/err" < /dev/null || fail "$* exits $?: $(cat "$tmp/err")"
    grep -qF 'n?[31m?x?y?z' "$tmp/out" || fail "$*: no name in '$(head -c 300 "$tmp/out")'"
    LC_ALL=C tr -d '\n' < "$tmp/out" | LC_ALL=C grep -q '[[:cntrl:]]' && fail \
        "$*: control characters"
    grep -q "$(printf '\302\233')\|$(printf '\342\200\256')" "$tmp/out" && fail \
        "$*: C1 or a change of direction"
}
shown "$BIN" info "$tmp/named.gguf"
shown "$BIN" info "$tmp/both.gguf"
shown "$BIN" eval -q -m "$tmp/both.gguf" -f "$tmp/d/text" -n 40 -c 32
for form in text md; do
    shown "$BIN" compare -q -m "$tmp/both.gguf" -f "$tmp/d/text" -n 40 -c 32 -a fp16 -a \
        lookat:m=2,k=4 -o $form
    shown "$BIN" compare -q -m "$tmp/d/m.gguf" -f "$tmp/$bad.txt" -n 40 -c 32 -a fp16 -a int8 -o \
        $form
done
shown "$BIN" compare -q -m "$tmp/d/m.gguf" -f "$tmp/$bad.txt" -n 40 -c 32 -a fp16 -a int8 -o csv
for c in info "eval -q -f $tmp/d/text -n 40 -c 32"; do
    expect 0 "" "$BIN" $c -m "$tmp/both.gguf" -o json
    grep -qF 'n\u001b[31m\nx\u009by\u202ez' "$tmp/out" ||
        fail "$c -o json: another name in '$(head -c 300 "$tmp/out")'"
done
end

# A temporary that a killed program left is in nobody's way, whatever the process numbers.
begin killed
mkdir "$tmp/k"
"$BIN" convert -q --random 4,4,256,1024,4096 -o "$tmp/k/x.gguf" &
pid=$!
until [ -n "$(find "$tmp/k" -name 'x.gguf.tmp-*')" ]; do kill -0 $pid 2> /dev/null || break; done
kill -KILL $pid 2> /dev/null
wait $pid 2> /dev/null
for i in 1 2 3; do
    expect 0 "" "$BIN" convert -q --random 1,1,16,64,4096 -o "$tmp/k/x.gguf" --force
done
end
