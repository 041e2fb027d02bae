#!/bin/sh
# The program where it lives: installed below a prefix, found from any folder.
. tests/lib.sh
m=$PWD/weights/stories6M.gguf
unset MAKEFLAGS MFLAGS # of the make that runs the tests

# installs or uninstalls the program that is tested, as it is (-o: never built again)
home() { ${MAKE:-make} -s -o "$BIN" BIN="$BIN" "$@" > "$tmp/make" 2>&1 || fail "make $*: $(cat "$tmp/make")"; }
files() { (cd "$1" && find . ! -type d | sort); }

begin install
home install PREFIX="$tmp/pre fix"
cmp -s "$tmp/pre fix/share/lookat/stories6M.gguf" "$m" || fail "another model"
mkdir "$tmp/elsewhere"
(cd "$tmp/elsewhere" && PATH="$tmp/pre fix/bin:$PATH" lookat -p "Once" -n 5 --temp 0 -q) > "$tmp/out" 2> "$tmp/err" < /dev/null || fail "exits $?: $(cat "$tmp/err")"
"$BIN" -m "$m" -p "Once" -n 5 --temp 0 -q > "$tmp/want" 2> /dev/null < /dev/null
[ -s "$tmp/want" ] && cmp -s "$tmp/want" "$tmp/out" || fail "writes '$(cat "$tmp/out")', expected '$(cat "$tmp/want")'"
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
