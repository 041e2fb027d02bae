#!/bin/sh
# The program from outside: help, mistakes, exit statuses, and what is left on the disk. Needs no model: makes its own.
. tests/lib.sh
one_line=yes
tok=tokenizer

only() { [ "$(cd "$tmp/d" && echo *)" = "$1" ] || fail "files left: $(cd "$tmp/d" && echo *), expected $1"; }

begin help
for c in generate compare eval calibrate convert info tokenize explain bench; do
    expect 0 "" "$BIN" $c --help
    output "usage: lookat $c"
    output "Examples:"
    output "Exit status:"
    cat "$tmp/out" >> "$tmp/help"
    cp "$tmp/out" "$tmp/first"
    expect 0 "" "$BIN" help $c
    cmp -s "$tmp/first" "$tmp/out" || fail "lookat help $c is not lookat $c --help"
    expect 0 "" "$BIN" --help
    output "  $c "
done
for c in "" generate compare eval calibrate convert info tokenize explain bench attn; do
    "$BIN" help $c > "$tmp/out"
    awk 'length > 80 { found = 1 } END { exit found }' "$tmp/out" || fail "help $c has lines beyond 80 columns: $(awk 'length > 80' "$tmp/out")"
done
sed -n 's/^    {\.name = "\([a-z0-9-]*\)",.*/--\1/p' src/cli/option_table.c | sort -u > "$tmp/options"
[ "$(wc -l < "$tmp/options")" -gt 25 ] || fail "the table was not read"
while read -r o; do grep -qE -e " $o( |\$)" "$tmp/help" || fail "no help has $o"; done < "$tmp/options"
expect 0 "" "$BIN" --version
output "lookat "
expect 0 "" "$BIN" help
output "usage: lookat COMMAND"
end

begin mistakes
expect 2 "unknown command 'tokenise'; did you mean tokenize?" "$BIN" tokenise
expect 2 "unknown command 'xyzzy'" "$BIN" xyzzy
expect 2 "did you mean convert?" "$BIN" help covnert
expect 2 "did you mean --top-k?" "$BIN" --tpo-k 3
expect 2 "only of tokenize" "$BIN" generate --decode
expect 2 "expected a whole number from 0 to 1024, got 'two'" "$BIN" generate -t two
expect 2 "unexpected argument 'b'" "$BIN" tokenize a b
expect 2 "one text, got 2" "$BIN" tokenize -z $tok -p a -f b
expect 2 "lookat help info explains" "$BIN" info --nonsense
expect 0 "" "$BIN" version --help
expect 2 "version: unexpected argument 'nonsense'" "$BIN" version nonsense
expect 2 "version: -o: expected text|json, got 'md'" "$BIN" version -o md
expect 2 "completion: unexpected argument 'more'" "$BIN" completion bash more
expect 2 "help: unexpected argument 'more'" "$BIN" help compare more
end

# -o is a file where a command makes one.
begin output_is_a_file
expect 2 "-o json: -o of calibrate names the file to write, and --format what is printed; -o ./json is a file" \
    "$BIN" calibrate -m weights/stories6M.gguf -f tests/texts/prose.txt -o json
expect 2 "-o text: -o of convert names the file to write; -o ./text is a file" "$BIN" convert --random 1,1,4,4,300 -o text
[ ! -e json ] && [ ! -e text ] || fail "a file was written"
here=$PWD
cd "$tmp" && expect 0 "" "$BIN" convert -q --random 1,1,4,4,300 -o ./json && cd "$here" || fail "no ./json"
rm -f "$tmp/json"
end

# A mistyped word gets the nearest known one, wherever words stand.
begin nearest_word
expect 2 "did you mean completion?" "$BIN" completoin bash
expect 2 "got 'bsah'; did you mean bash?" "$BIN" completion bsah
expect 2 "did you mean version?" "$BIN" vresion
expect 2 "help: nothing is called '--mna'; did you mean --man?" "$BIN" help --mna
expect 2 "help: nothing is called 'atn'; did you mean attn?" "$BIN" help atn
expect 2 "did you mean compare?" "$BIN" help comapre
expect 2 "help: nothing is called '--xyzzyx'" "$BIN" help --xyzzyx
expect 2 "got 'shadw'; did you mean shadow?" "$BIN" compare -f x --mode shadw
expect 2 "got 'jsno'; did you mean json?" "$BIN" eval -f x -o jsno
expect 2 "got 'q8_1'; did you mean q8_0?" "$BIN" convert x -o y --type q8_1
expect 2 "expected text|json, got 'yaml' (" "$BIN" info -o yaml
m=$PWD/weights/stories6M.gguf
for near in lokat4:lookat4 intt8:int8 'lookat4 widnow=3:window' 'int4/trubo:turbo'; do
    spec=$(echo "${near%:*}" | tr ' ' ':')
    expect 2 "; did you mean ${near##*:}? (lookat help attn explains)" "$BIN" generate -m "$m" -p x --attn "$spec"
done
expect 2 "; did you mean avx2?" "$BIN" generate -m "$m" -p x --kernels axv2
expect 2 "'metrc' is no part" "$BIN" calibrate -m "$m" -f tests/texts/prose.txt -o "$tmp/x" --learn metrc
end

# The first word: a command, else what can only be a text, else a mistake.
begin first_word
expect 0 "" "$BIN" version
output "lookat "
for c in quantize perplexity run serve chat server embed detokenize; do expect 2 "unknown command '$c'; " "$BIN" $c; done
expect 2 "lookat convert --type" "$BIN" quantize
expect 2 "lookat eval" "$BIN" perplexity
expect 2 "lookat -p 'Once' continues it" "$BIN" Once
expect 2 "'README.md' is a file, not a command: -m reads a model, -f a text" "$BIN" README.md
echo x > "$tmp/a text"
expect 2 "is a file, not a command" "$BIN" "$tmp/a text"
expect 2 "compare is a command: it comes first, as in lookat compare" "$BIN" -q compare -f x
expect 2 "unknown option --tpo-k of generate" "$BIN" "Once upon" --tpo-k 3
end

begin llama_options
expect 2 "lookat has no -hf (llama.cpp: a model of Hugging Face)" "$BIN" -hf openai-community/gpt2
[ ! -s "$tmp/out" ] || fail "-hf prints $(head -c 100 "$tmp/out")"
expect 2 "lookat has no -cnv (llama.cpp: conversations)" "$BIN" -p x -cnv
expect 2 "lookat has no --perplexity (llama.cpp: perplexity); use lookat eval" "$BIN" -f x --perplexity
end

# A text that is piped in is read though nobody named it.
begin tokenize_piped
printf 'Once upon a time' > "$tmp/text"
"$BIN" tokenize -z $tok < "$tmp/text" > "$tmp/out" 2> "$tmp/err" || fail "a file: exits $?"
[ "$(cat "$tmp/out")" = "575 510 258 437" ] || fail "a file: $(cat "$tmp/out" "$tmp/err")"
[ "$(cat "$tmp/text" | "$BIN" tokenize -z $tok)" = "575 510 258 437" ] || fail "a pipe"
"$BIN" tokenize -z $tok -p "Once" < "$tmp/text" > "$tmp/out" 2> "$tmp/err" || fail "exits $?"
[ "$(cat "$tmp/out")" = 575 ] && grep -q "standard input was not read" "$tmp/err" || fail "beside -p: $(cat "$tmp/out" "$tmp/err")"
end

begin help_attn
expect 0 "" "$BIN" help attn
for t in "usage: --attn KEYS[/VALUES]" "lookat16x4 8" "fp16 128" "turbo:bits=3 26" "group=N (32)" "table=N (16)" "sink=N" "skip=N" "@LAYERS"; do output "$t"; done
expect 2 "attn is not a command but an option" "$BIN" attn
expect 0 "" "$BIN" help
output "help attn"
expect 0 "" "$BIN" help explain
output "usage: lookat explain"
end

begin tokenize_without_effect
expect 0 "lookat: -m has no effect: -z names the tokenizer" "$BIN" tokenize -z $tok -m nosuch a
expect 0 "lookat: --special has no effect" "$BIN" tokenize -z $tok --special --decode 575
end

begin tokenize
expect 0 "" "$BIN" tokenize -z $tok "Once upon a time"
[ "$(cat "$tmp/out")" = "575 510 258 437" ] || fail "ids: $(cat "$tmp/out")"
expect 0 "" "$BIN" tokenize -z $tok/vocab.json -p "Tom and his dog went to the park."
[ "$(cat "$tmp/out")" = "1239 269 328 641 465 270 260 810 13" ] || fail "ids: $(cat "$tmp/out")"
expect 0 "" "$BIN" tokenize -z $tok --decode "575,510 258,  437"
[ "$(cat "$tmp/out")" = "Once upon a time" ] || fail "text: $(cat "$tmp/out")"
expect 0 "" "$BIN" tokenize -z $tok -p ""
[ "$(cat "$tmp/out")" = "" ] || fail "ids of nothing"
expect 0 "" "$BIN" tokenize -z $tok "<|endoftext|>"
[ "$(wc -w < "$tmp/out")" -gt 3 ] || fail "<|endoftext|> is ordinary text"
expect 0 "" "$BIN" tokenize -z $tok --special "<|endoftext|>"
[ "$(cat "$tmp/out")" = 4095 ] || fail "<|endoftext|> with --special: $(cat "$tmp/out")"
expect 0 "" "$BIN" tokenize -z $tok -v "a b"
output "     265  2062    b"
expect 2 "there is no token 4096, ids go from 0 to 4095" "$BIN" tokenize -z $tok --decode 4096
expect 2 "there is no token 99999999999999999999999" "$BIN" tokenize -z $tok --decode 99999999999999999999999
expect 2 "expected token ids, got 'x7' at byte 2" "$BIN" tokenize -z $tok --decode "5 x7"
expect 2 "got '-1'" "$BIN" tokenize -z $tok --decode -- -1
end

begin tokenize_json
expect 0 "" "$BIN" tokenize -z $tok -o json "Once upon a time"
[ "$(cat "$tmp/out")" = '{"schema":"lookat.tokenize/1","text":"Once upon a time","ids":[575,510,258,437]}' ] || fail "$(cat "$tmp/out")"
printf '\377' > "$tmp/byte"
expect 0 "" "$BIN" tokenize -z $tok -o json -v -f "$tmp/byte"
output '"bytes":"/w==","ids":['
output '"bytes":"/w=="}]}'
end

begin round_trip
head -c 200000 "$BIN" > "$tmp/any"
"$BIN" tokenize -z $tok - < "$tmp/any" > "$tmp/ids" && "$BIN" tokenize -z $tok --decode -f "$tmp/ids" > "$tmp/back" || fail "exit status"
cmp -s "$tmp/any" "$tmp/back" || fail "bytes differ"
tr ' ' '\n' < "$tmp/ids" | "$BIN" tokenize -z $tok --decode | cmp -s - "$tmp/any" || fail "ids one a line, from standard input"
end

begin convert
mkdir "$tmp/d"
m=$tmp/d/a.gguf
expect 0 "wrote $m: " "$BIN" convert --random 2,3,48,32,4096 -z $tok --seed 1 -o "$m"
expect 0 "" "$BIN" convert -q --random 2,3,48,32,4096 -z $tok --seed 1 -o "$tmp/d/b.gguf"
cmp -s "$m" "$tmp/d/b.gguf" || fail "the same seed gives another file"
expect 0 "" "$BIN" convert -q --random 2,3,48,32,4096 -z $tok --seed 2 -o "$tmp/d/b.gguf" --force
cmp -s "$m" "$tmp/d/b.gguf" && fail "another seed gives the same file"
expect 0 "" "$BIN" convert -q "$m" -o "$tmp/d/b.gguf" --force
cmp -s "$m" "$tmp/d/b.gguf" || fail "f16 to f16 changes the file"
expect 0 "" "$BIN" info -o json "$m"
output '"layers":2,"heads":3,"head_dim":16,"width":48,"inner":192,"vocab":4096,"context":32'
output '"kind":"attn_qkv","type":"f16","count":2,"rows":144,"cols":48,"bytes":27648'
for t in f32 bf16 q8_0 q4_0; do
    expect 0 "" "$BIN" convert -q --random 1,2,64,32,4096 -z $tok -o "$tmp/d/$t" --type $t
    expect 0 "" "$BIN" info -o json "$tmp/d/$t"
    output "\"kind\":\"ffn_up\",\"type\":\"$t\""
    rm -f "$tmp/d/$t"
done
for t in q4_K q6_K; do
    expect 0 "" "$BIN" convert -q --random 1,2,256,32,300 -o "$tmp/d/$t" --type "$(echo $t | tr K k)"
    expect 0 "" "$BIN" info -o json "$tmp/d/$t"
    output "\"kind\":\"ffn_up\",\"type\":\"$t\""
    rm -f "$tmp/d/$t"
done
exits 0 "$BIN" convert --random 1,2,256,32,300 -o "$tmp/d/m" --type q4_k_m
has "$tmp/err" "of 5 matrices have six bits a number"
"$BIN" convert -q --random 1,2,256,32,300 -o "$tmp/d/n" --type q4_k_m || fail "q4_k_m again"
cmp -s "$tmp/d/m" "$tmp/d/n" || fail "q4_k_m differs from one time to the next"
expect 0 "" "$BIN" info -o json "$tmp/d/m"
output '"type":"q4_K"'
output '"type":"q6_K"'
rm -f "$tmp/d/m" "$tmp/d/n"
exits 0 "$BIN" convert --random 1,2,64,32,4096 -o "$tmp/d/m" --type q4_k
has "$tmp/err" "no multiple of a block of 256 numbers (q4_K): token_embd.weight becomes q4_0"
expect 0 "" "$BIN" info -o json "$tmp/d/m"
output '"kind":"ffn_up","type":"q4_0"'
output '"kind":"ffn_down","type":"q4_K"'
rm -f "$tmp/d/m"
only "a.gguf b.gguf"
end

# Weights that take seconds are announced.
begin random_says
expect 0 "" "$BIN" convert -q --random 1,1,512,32,20000 -o "$tmp/large.gguf"
"$BIN" convert --random 1,1,512,32,20000 -o "$tmp/large.gguf" --force > "$tmp/out" 2> "$tmp/err" || fail "exits $?"
grep -q '^drawing 13,4[0-9,]* random weights$' "$tmp/err" || fail "$(cat "$tmp/err")"
rm -f "$tmp/large.gguf"
end

begin info
expect 0 "" "$BIN" info "$m"
output "GGUF v3"
output "254,784"
output "byte-level BPE, 3,839 merges, end of text is 4095"
grep -qE '^fp32 +384 +384 +24.6 kB$' "$tmp/out" || fail "fp32 keys are 2 x 3 x 16 x 4 bytes"
grep -qE '^fp16 +192 +192 +12.3 kB$' "$tmp/out" || fail "fp16 keys are 2 x 3 x 16 x 2 bytes"
expect 0 "" "$BIN" info --sha256 -o json -m "$m"
output '{"schema":"lookat.info/1","model":{'
if command -v sha256sum > /dev/null; then output "\"sha256\":\"$(sha256sum < "$m" | cut -d' ' -f1)\""; fi
expect 2 "one model" "$BIN" info -m "$m" "$m"
end

begin default_model
cp "$BIN" "$tmp/lookat"
expect 1 "weights/stories6M.gguf: there is no such model, nor ../share/lookat/stories6M.gguf from the program's folder; name one with -m" "$tmp/lookat" tokenize x
mkdir "$tmp/weights"
cp "$m" "$tmp/weights/stories6M.gguf"
expect 0 "" "$tmp/lookat" tokenize "Once upon a time"
[ "$(cat "$tmp/out")" = "575 510 258 437" ] || fail "beside the program: $(cat "$tmp/out")"
LOOKAT_MODEL=$m expect 0 "" "$BIN" tokenize "Once upon a time"
[ "$(cat "$tmp/out")" = "575 510 258 437" ] || fail "LOOKAT_MODEL: $(cat "$tmp/out")"
LOOKAT_MODEL=$tmp/none expect 1 "$tmp/none: " "$BIN" info
end

begin refusals
expect 1 "No such file" "$BIN" info "$tmp/none"
expect 1 "No such file" "$BIN" tokenize -z "$tmp/none" x
expect 1 "No such file" "$BIN" tokenize -z $tok -f "$tmp/none"
expect 3 "is a folder" "$BIN" tokenize -z $tok -f "$tmp/d"
expect 3 "$tmp/d" "$BIN" info "$tmp/d"
expect 3 "$tmp/byte" "$BIN" info "$tmp/byte"
head -c 1000 "$m" > "$tmp/cut.gguf"
expect 3 "$tmp/cut.gguf" "$BIN" info "$tmp/cut.gguf"
expect 3 "$tmp/cut.gguf" "$BIN" tokenize -z "$tmp/cut.gguf" x
expect 3 "tests/test_cli.sh" "$BIN" convert tests/test_cli.sh -o "$tmp/d/c.gguf"
expect 2 "exists already; --force" "$BIN" convert --random 1,1,4,4,4096 -o "$m"
expect 2 "is a folder" "$BIN" convert --random 1,1,4,4,4096 -o "$tmp/d" --force
expect 2 "is a file that this command reads" "$BIN" convert "$m" -o "$tmp/d/../d/a.gguf" --force
expect 1 "No such file" "$BIN" convert --random 1,1,4,4,4096 -o "$tmp/none/c.gguf"
expect 2 "no output file" "$BIN" convert "$m"
expect 2 "no SRC" "$BIN" convert -o "$tmp/d/c.gguf"
expect 2 "got both" "$BIN" convert "$m" --random gpt2 -o "$tmp/d/c.gguf"
expect 2 "got 'gpt3'" "$BIN" convert --random gpt3 -o "$tmp/d/c.gguf"
expect 2 "got '1,2,3,4'" "$BIN" convert --random 1,2,3,4 -o "$tmp/d/c.gguf"
expect 2 "--random: " "$BIN" convert --random 1,3,16,4,4096 -o "$tmp/d/c.gguf"
expect 3 "$tok" "$BIN" convert --random 1,1,4,4,100 -z $tok -o "$tmp/d/c.gguf"
only "a.gguf b.gguf"
end

# A write that the system refuses leaves no file behind: here a limit of 64 blocks on the size of files.
begin no_room
(
    trap '' XFSZ
    ulimit -f 64
    "$BIN" convert -q --random 2,3,48,32,4096 -z $tok -o "$tmp/d/c.gguf" 2> "$tmp/err"
)
got=$?
[ $got -eq 1 ] && grep -q "c.gguf: cannot write" "$tmp/err" || fail "exits $got: $(cat "$tmp/err")"
only "a.gguf b.gguf"
end

# Ctrl-C while the temporary file is there.
begin interrupted
"$BUILD/tests/default_signals" "$BIN" convert -q --random 12,12,384,1024,50257 --type q4_0 -o "$tmp/d/c.gguf" 2> "$tmp/err" &
pid=$!
# writing has begun
until [ -n "$(find "$tmp/d" -name 'c.gguf.tmp-*' -size +0)" ]; do
    kill -0 $pid 2> /dev/null || break
done
kill -INT $pid 2> /dev/null
wait $pid
got=$?
[ $got -eq 130 ] || fail "exits $got: $(cat "$tmp/err")"
only "a.gguf b.gguf"
end

# What follows is about every command and every form of output. "json" stands for one object, "lines"
# for an object a line.
head -c 3000 tests/texts/prose.txt > "$tmp/prose"
"$BIN" convert -q --random 2,2,32,64,4096 -z $tok --seed 1 -o "$tmp/m.gguf" || fail "no model"
book="calibrate -f $tmp/prose -n 300 -c 32 -a lookat:m=2,k=4 -o $tmp/b.gguf --force"
ab="compare -f $tmp/prose -c 32 -n 96 -a fp16,int4"
cat > "$tmp/commands" << END
text generate -p Once -n 8 -s 1
json generate -p Once -n 8 -s 1 -o json
lines generate -p Once -n 8 -s 1 -o jsonl
text $ab
text $ab -o md
text $ab -o csv
json $ab -o json
lines $ab -o jsonl
text compare --explain-columns
text eval -f $tmp/prose -c 32 -n 96
json eval -f $tmp/prose -c 32 -n 96 -o json
text $book
json $book --format json
text info
json info -o json
text info --check-weights
text tokenize -f $tmp/any
text tokenize -p Once -v
json tokenize -p Once -o json
text tokenize --decode 575
text explain
text explain -p Once -a int4
json explain -p Once -a int4 -o json
text bench -p 4 -n 2 -r 1
text bench -p 4 -n 2 -r 1 -o csv
json bench -p 4 -n 2 -r 1 -o json
lines bench -p 4 -n 2 -r 1 -o jsonl
text bench --attention -r 1 -d 16
text bench --draft 50 -r 1 -n 4 -d 8
text --help
text help
text help attn
text help compare
text help --man
text completion bash
text completion zsh
text completion fish
text version
json version -o json
text --version
END
# every STATUS TEXT WHERE: each command with standard output sent to WHERE; TEXT is on standard error, or
# nothing is where it is empty
every() {
    while read -r form c; do
        eval "LOOKAT_MODEL=$tmp/m.gguf \"\$BUILD/tests/default_signals\" \"\$BIN\" \$c $3" 2> "$tmp/err" < /dev/null
        got=$?
        [ $got -eq "$1" ] || fail "lookat $c ($form) $3 exits $got, expected $1: $(cat "$tmp/err")"
        [ -z "$2" ] || grep -qF "$2" "$tmp/err" || fail "lookat $c $3: $(cat "$tmp/err")"
        [ -n "$2" ] || ! grep -q "^lookat: " "$tmp/err" || fail "lookat $c $3: $(cat "$tmp/err")"
    done < "$tmp/commands"
}

begin every_command_is_there
for c in $("$BIN" help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\)  .*/\1/p'); do
    [ "$c" = convert ] || grep -q "^[a-z]* $c" "$tmp/commands" || fail "$c is not tried"
done
end

begin pure_output
while read -r form c; do
    LOOKAT_MODEL=$tmp/m.gguf exits 0 "$BIN" $c
    [ -s "$tmp/out" ] || fail "lookat $c: nothing on standard output"
    case $form in
    json) [ "$(wc -l < "$tmp/out")" -eq 1 ] || fail "lookat $c: $(wc -l < "$tmp/out") lines" ;;
    esac
    [ "$form" = text ] || head -n 1 "$tmp/out" | grep -q '^{"schema":"lookat\.[a-z]*/[0-9]*",.*}$' ||
        fail "lookat $c: not an object with a schema: $(head -c 200 "$tmp/out")"
    [ "$form" = text ] || ! grep -qv '^{".*}$' "$tmp/out" || fail "lookat $c: a line is no object: $(grep -v '^{".*}$' "$tmp/out" | head -c 200)"
    # no progress, no colours
    ! LC_ALL=C grep -q "$(printf '[\r\033]')" "$tmp/out" || fail "lookat $c: control characters on standard output"
    ! LC_ALL=C grep -q "$(printf '[\r\033]')" "$tmp/err" || fail "lookat $c: control characters on standard error, which is no terminal"
done < "$tmp/commands"
end

begin full_disk
if [ -c /dev/full ]; then
    every 1 "cannot write to standard output: No space left on device" "> /dev/full"
    end
else
    echo "skip full_disk: no /dev/full"
fi

begin closed_output
every 1 "cannot write to standard output: Bad file descriptor" ">&-"
end

# Descriptors that the caller closed are given to no file: messages would be written into it.
begin closed_descriptors
q4="convert --random 1,2,64,32,4096 --type q4_k --force"
LOOKAT_MODEL=$tmp/m.gguf "$BIN" $book -q > "$tmp/out" || fail "no book"
mv "$tmp/b.gguf" "$tmp/want_book"
"$BIN" $q4 -q -o "$tmp/want_model" || fail "no model"
for closed in ">&-" "2>&-" "<&-" ">&- 2>&-" "<&- >&- 2>&-"; do
    eval "\"\$BIN\" \$q4 -o \$tmp/c.gguf > /dev/null $closed" 2> "$tmp/err" || fail "convert $closed exits $?"
    cmp -s "$tmp/want_model" "$tmp/c.gguf" || fail "convert $closed writes another file"
    eval "LOOKAT_MODEL=\$tmp/m.gguf \"\$BIN\" \$book $closed" > "$tmp/out" 2> "$tmp/err"
    cmp -s "$tmp/want_book" "$tmp/b.gguf" || fail "calibrate $closed writes another file"
done
"$BIN" tokenize -z $tok - <&- 2> "$tmp/err" && fail "standard input that is closed is read"
grep -qF "standard input: " "$tmp/err" || fail "closed input: $(cat "$tmp/err")"
end

# A reader that goes away: SIGPIPE, which a shell shows as 128 + 13, and no message.
begin closed_pipe
[ "$("$BIN" tokenize -z $tok -f "$tmp/any" 2> "$tmp/err" | head -c 4 | wc -c)" -eq 4 ] || fail "nothing came"
[ ! -s "$tmp/err" ] || fail "$(cat "$tmp/err")"
mkfifo "$tmp/pipe"
exec 4<> "$tmp/pipe" 5> "$tmp/pipe" 4<&- # 5 is a pipe that nobody reads

every 141 "" ">&5"
exec 5>&-
end

begin hugging_face_folder
src=$tmp/stories # the default model in float32
mkdir "$src"
if ! "$BUILD/tests/stories_model" "$src" 2> "$tmp/err"; then
    fail "stories_model: $(cat "$tmp/err")"
else
    expect 0 "" "$BIN" convert -q "$src" -o "$tmp/d/c.gguf"
    expect 0 "" "$BIN" info -o json "$tmp/d/c.gguf"
    output '"parameters":6049792,'
    output '"tokenizer":{"tokens":4096,"merges":3839,'
    expect 0 "" "$BIN" info -o json "$src"
    output '"parameters":6049792,'
    expect 2 "is a file that this command reads" "$BIN" convert "$src" -o "$src/model.safetensors" \
        --force
    mkdir "$tmp/erf"
    for f in model.safetensors vocab.json merges.txt; do ln -s "$(cd "$src" && pwd)/$f" "$tmp/erf/$f"; done
    sed 's/gelu_new/gelu/' "$src/config.json" > "$tmp/erf/config.json"
    "$BIN" convert "$tmp/erf" -o "$tmp/d/erf.gguf" 2> "$tmp/err" || fail "exits $?: $(cat "$tmp/err")"
    grep -q "warning: .*erf form" "$tmp/err" || fail "no word about the erf form: $(cat "$tmp/err")"
    expect 0 "" "$BIN" info -o json "$tmp/d/erf.gguf"
    output '"activation":"gelu",'
fi
end
