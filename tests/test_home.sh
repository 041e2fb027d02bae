#!/bin/sh
# The program where it lives: installed below a prefix, found from any folder; its manual page and
# completions have every option.
. tests/lib.sh
m=$PWD/weights/stories6M.gguf
unset MAKEFLAGS MFLAGS # of the make that runs the tests

# installs or uninstalls the program that is tested, as it is (-o: never built again)
home() { ${MAKE:-make} -s -o "$BIN" -o "$BUILD/lib/liblookat.a" BUILD="$BUILD" BIN="$BIN" "$@" > "$tmp/make" 2>&1 || fail "make $*: $(cat "$tmp/make")"; }
files() { (cd "$1" && find . ! -type d | sort); }

begin install
home install PREFIX="$tmp/pre fix"
cmp -s "$tmp/pre fix/share/lookat/stories6M.gguf" "$m" || fail "another model"
mkdir "$tmp/elsewhere"
(cd "$tmp/elsewhere" && PATH="$tmp/pre fix/bin:$PATH" lookat -p "Once" -n 5 --temp 0 -q) > "$tmp/out" 2> "$tmp/err" < /dev/null || fail "exits $?: $(cat "$tmp/err")"
"$BIN" -m "$m" -p "Once" -n 5 --temp 0 -q > "$tmp/want" 2> /dev/null < /dev/null
[ -s "$tmp/want" ] && cmp -s "$tmp/want" "$tmp/out" || fail "writes '$(cat "$tmp/out")', expected '$(cat "$tmp/want")'"
for f in lookat:bash _lookat:zsh lookat.fish:fish; do
    "$BIN" completion "${f#*:}" > "$tmp/want"
    find "$tmp/pre fix/share" -name "${f%:*}" -type f -exec cmp -s {} "$tmp/want" \; -print | grep -q . || fail "${f#*:} completion"
done
"$BIN" help --man | cmp -s - "$tmp/pre fix/share/man/man1/lookat.1" || fail "manual page"
ln -s "$tmp/pre fix/bin/lookat" "$tmp/link"
expect 0 "" "$tmp/link" tokenize "Once upon a time"
[ "$(cat "$tmp/out")" = "575 510 258 437" ] || fail "through a link: $(cat "$tmp/out")"
[ "$("$BIN" tokenize -z "$tmp/pre fix/share/lookat/tokenizer" -p Once < /dev/null)" = 575 ] || fail "the tokenizer"
end

begin destdir
home install DESTDIR="$tmp/dest" PREFIX=/opt/x
files "$tmp/pre fix" > "$tmp/want"
files "$tmp/dest/opt/x" > "$tmp/out"
cmp -s "$tmp/want" "$tmp/out" || fail "other files: $(cat "$tmp/out")"
[ "$(files "$tmp/dest" | grep -vc '^./opt/x/')" -eq 0 ] || fail "files outside the prefix"
end

begin uninstall
echo mine > "$tmp/pre fix/bin/mine"
home uninstall PREFIX="$tmp/pre fix"
[ "$(files "$tmp/pre fix")" = ./bin/mine ] || fail "left: $(files "$tmp/pre fix")"
[ ! -e "$tmp/pre fix/share/lookat" ] || fail "an empty folder is left"
home uninstall PREFIX="$tmp/pre fix" # nothing there
end

# The objects of this build, linked by make static, where its compiler and flags can do it.
begin static_program
echo 'int main(void) { return 0; }' > "$tmp/one.c"
# shellcheck disable=SC2086
if [ -e "$BUILD/rooms.a" ] && ${CC:-cc} ${CFLAGS:-} -static -o "$tmp/one" "$tmp/one.c" > /dev/null 2>&1; then
    ${MAKE:-make} -s -o "$BUILD/rooms.a" -o "$BUILD/src/main.o" static BUILD="$BUILD" BIN="$tmp/static" LDFLAGS= > "$tmp/made" 2>&1 || fail "$(cat "$tmp/made")"
    if command -v readelf > /dev/null; then
        readelf -lW "$tmp/static" > "$tmp/said" && ! grep -q INTERP "$tmp/said" || fail "it asks for a loader"
    fi
    expect 0 "" "$tmp/static" -m "$m" -p "Once" -n 5 --temp 0 -q
    cp "$tmp/out" "$tmp/said"
    "$BIN" -m "$m" -p "Once" -n 5 --temp 0 -q < /dev/null > "$tmp/want" 2> /dev/null
    [ -s "$tmp/want" ] && cmp -s "$tmp/want" "$tmp/said" || fail "writes '$(cat "$tmp/said")', expected '$(cat "$tmp/want")'"
    end
else
    echo "skip static_program: this compiler links no static program with these flags"
fi

# COMMAND --OPTION LETTER of every option, from the table: one a line, - where there is no letter
for c in generate compare eval calibrate convert info tokenize explain bench; do
    "$BIN" help $c | sed -nE "s/^  (-(.), |    )--([a-z0-9-]+).*/$c --\3 -\2/p"
done > "$tmp/options"
same() { # WHAT: $tmp/found has just the options of the program's help
    sort "$tmp/options" > "$tmp/want"
    sort "$tmp/found" | diff "$tmp/want" - > "$tmp/diff" || fail "$1: $(head -n 5 "$tmp/diff")"
}

begin options_are_listed
[ "$(wc -l < "$tmp/options")" -gt 120 ] || fail "$(wc -l < "$tmp/options") options"
end

# Options are listed nowhere else than in help, manual page and completions. Commands have an example each.
begin commands_have_examples
"$BIN" help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\)  .*/\1/p' > "$tmp/commands"
[ "$(wc -l < "$tmp/commands")" -ge 11 ] || fail "help lists $(wc -l < "$tmp/commands") commands"
while read -r c; do grep -q "lookat $c" src/cli/README.md || fail "src/cli/README.md has nothing about $c"; done < "$tmp/commands"
end

begin manual_page
expect 0 "" "$BIN" help --man
cp "$tmp/out" "$tmp/lookat.1"
# shellcheck disable=SC1003
sed 's/\\f[BIR]//g; s/\\&//g; s/\\-/-/g' "$tmp/lookat.1" > "$tmp/plain"
awk '/^\.SH/ { command = $3 } /^\.TP/ { item = 1; next }
     item && /^-/ && command { letter = $1 ~ /^-.,/ ? substr($1, 2, 1) : ""; name = letter == "" ? $1 : $2
                               print command, name, "-" letter } { item = 0 }' "$tmp/plain" > "$tmp/found"
same "the manual page"
grep -q '\\\[u00B1\]' "$tmp/lookat.1" || fail "no plus-minus"
! LC_ALL=C grep -n '[^ -~]' "$tmp/lookat.1" > "$tmp/found" || fail "beyond ASCII: $(head -n 1 "$tmp/found")"
if command -v groff > /dev/null; then
    groff -man -Tascii -ww -z "$tmp/lookat.1" > "$tmp/said" 2>&1 && [ ! -s "$tmp/said" ] || fail "groff: $(head -n 3 "$tmp/said")"
    groff -man -Tascii -P-cbou "$tmp/lookat.1" > "$tmp/shown" 2> "$tmp/said"
    grep -q '^ *-m, --model MODEL' "$tmp/shown" || fail "no --model is shown"
    tr -s '\n ' '  ' < "$tmp/shown" | grep -q "mand's name" || fail "an apostrophe is another character"
fi
if command -v mandoc > /dev/null; then mandoc -T lint -W error "$tmp/lookat.1" > "$tmp/said" || fail "mandoc: $(head -n 3 "$tmp/said")"; fi
for w in LOOKAT_MODEL LOOKAT_THREADS "130 interrupted" "ATTENTION BACKENDS"; do grep -q "$w" "$tmp/plain" || fail "no $w"; done
end

begin bash_completion
expect 0 "" "$BIN" completion bash
cp "$tmp/out" "$tmp/bash"
if command -v bash > /dev/null; then
    bash -n "$tmp/bash" 2> "$tmp/err" || fail "$(cat "$tmp/err")"
    cat > "$tmp/ask" << 'END'
. "$1"
complete_words() { COMP_WORDS=(lookat "$@") COMP_CWORD=$#; _lookat; echo "${COMPREPLY[*]}"; }
while read -r command; do
    for w in $(complete_words "$command" -); do echo "$command $w"; done
done
echo "= $(complete_words compare --mode '')" "$(complete_words compare --mode = f)" "$(complete_words com)" "$(complete_words --cou)" \
    "$(complete_words generate --threads '')" "$(complete_words generate --model '')" "$(complete_words generate -a turb)"
END
    cut -d' ' -f1 "$tmp/options" | uniq | bash "$tmp/ask" "$tmp/bash" > "$tmp/all" 2> "$tmp/err" || fail "$(cat "$tmp/err")"
    [ ! -s "$tmp/err" ] || fail "$(cat "$tmp/err")"
    awk '/^=/ { next } $2 !~ /^--/ { letter = substr($2, 2); next } { print $1, $2, "-" letter; letter = "" }' "$tmp/all" > "$tmp/found"
    same bash
    sed -n 's/^= //p' "$tmp/all" > "$tmp/found"
    [ "$(cat "$tmp/found")" = "shadow forced free all forced free compare completion --counters   turbo" ] || fail "completes $(cat "$tmp/found")"
fi
end

begin zsh_completion
expect 0 "" "$BIN" completion zsh
awk '/^    [a-z]+\) _arguments/ { command = $1; sub(/\)/, "", command) }
     command && match($0, /--[a-z0-9-]+(=|\[|})/) {
         name = substr($0, RSTART, RLENGTH - 1); letter = match($0, /\{-./) ? substr($0, RSTART + 2, 1) : ""
         if (/\(-. --[a-z0-9-]+\)/) { sub(/.*\{/, ""); match($0, /--[a-z0-9-]+/); name = substr($0, RSTART, RLENGTH) }
         print command, name, "-" letter }' "$tmp/out" > "$tmp/found"
same zsh
if command -v zsh > /dev/null; then zsh -n "$tmp/out" 2> "$tmp/err" || fail "$(cat "$tmp/err")"; fi
end

begin fish_completion
expect 0 "" "$BIN" completion fish
sed -nE "s/^complete -c lookat -n '__lookat_runs ([a-z]+)'( -s (.))? -l ([a-z0-9-]+) .*/\1 --\4 -\3/p" "$tmp/out" > "$tmp/found"
same fish
if command -v fish > /dev/null; then
    cp "$tmp/out" "$tmp/fish"
    HOME=$tmp fish -n "$tmp/fish" 2> "$tmp/err" || fail "$(cat "$tmp/err")"
    HOME=$tmp fish -c 'source $argv[1]; complete -C "lookat --cou"; complete -C "lookat compare --mode fo"' "$tmp/fish" > "$tmp/found" 2> "$tmp/err"
    [ "$(cut -f1 "$tmp/found" | tr '\n' ' ')" = "--counters forced " ] || fail "completes $(cat "$tmp/found" "$tmp/err")"
fi
end

begin wrong_shell
expect 2 "expected bash, zsh or fish, got 'tcsh'" "$BIN" completion tcsh
expect 2 "expected a shell" "$BIN" completion
expect 2 "did you mean completion?" "$BIN" completoin
end

# -t, else LOOKAT_THREADS, else all
begin threads_of_environment
echo "Once upon a time there was a little girl" > "$tmp/text"
threads() { "$BIN" eval -m "$m" -f "$tmp/text" -c 4 -q -o json "$@" 2> "$tmp/err" < /dev/null | grep -o '"threads":[0-9]*'; }
all=$(threads)
[ -n "$all" ] || fail "no threads: $(cat "$tmp/err")"
if [ "$(LOOKAT_THREADS=2 threads)" = '"threads":2' ]; then # not a build of one thread
    [ "$(LOOKAT_THREADS=3 threads)" = '"threads":3' ] || fail "3: $(LOOKAT_THREADS=3 threads)"
    [ "$(LOOKAT_THREADS=3 threads -t 2)" = '"threads":2' ] || fail "-t does not win"
    "$BIN" --version | grep -Eq '^threads: (a pool|OpenMP); ' || fail "$("$BIN" --version)"
else
    "$BIN" --version | grep -q '^threads: one thread; ' || fail "LOOKAT_THREADS=2: $(LOOKAT_THREADS=2 threads)"
fi
[ "$(LOOKAT_THREADS=3 threads -t 0)" = "$all" ] || fail "-t 0 is not all"
[ "$(LOOKAT_THREADS=0 threads)" = "$all" ] && [ "$(LOOKAT_THREADS='' threads)" = "$all" ] || fail "0 is not all"
for bad in two -1 1025 1,2 " 1"; do
    for c in "generate -m $m -p x" "bench -m $m"; do
        # shellcheck disable=SC2086
        LOOKAT_THREADS=$bad expect 2 "LOOKAT_THREADS: expected a whole number from 0 to 1024, got '$bad'" "$BIN" $c
    done
done
LOOKAT_THREADS=two expect 0 "" "$BIN" generate -q -m "$m" -p x -n 1 -t 1
LOOKAT_THREADS=1 expect 0 "" "$BIN" bench -q -m "$m" -p 2 -n 0 -r 1 -o csv
awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i ~ /threads/) at = i }
         NR == 2 { rows = 1; if (!at || $at !~ /^"?1"?$/) wrong = 1 } END { exit wrong || !rows }' "$tmp/out" || fail "bench: $(cat "$tmp/out")"
end

begin version
expect 0 "" "$BIN" --version
cp "$tmp/out" "$tmp/version"
[ "$(sed 's/[: ].*//' "$tmp/version" | tr '\n' ' ')" = "lookat compiler kernels threads " ] || fail "$(cat "$tmp/version")"
"$BIN" version | cmp -s - "$tmp/version" || fail "lookat version is another text"
for k in $(sed -n 's/^kernels: \(.*\); .*/\1/p' "$tmp/version" | tr -d ,); do
    echo "$k" >> "$tmp/sets"
    "$BIN" eval -q -m "$m" -f "$tmp/text" -c 4 --kernels "$k" > /dev/null 2> "$tmp/err" < /dev/null ||
        grep -q "this CPU cannot run the $k kernels" "$tmp/err" || fail "$k: $(cat "$tmp/err")"
done
grep -qx scalar "$tmp/sets" || fail "no scalar kernels: $(cat "$tmp/version")"
best=$(sed -n 's/^kernels: .*on this CPU //p' "$tmp/version")
"$BIN" bench -q -m "$m" -p 2 -n 0 -r 1 -o json < /dev/null 2> /dev/null | grep -q "\"kernels\":\"$best\"" || fail "bench does not run '$best'"
end
