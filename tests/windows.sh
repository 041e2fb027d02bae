#!/bin/sh
# The program for Windows, built with mingw-w64 (make windows, with CFLAGS of the environment) and run
# under wine: it writes what the program for this system writes. Skips where either is missing.
. tests/lib.sh
for tool in "${MINGW:-x86_64-w64-mingw32-gcc}" wine wineserver; do
    command -v "${tool##* }" > /dev/null 2>&1 || { echo "skip windows: no $tool"; exit 0; }
done
here=$PWD exe=$PWD/.build/windows/lookat.exe m=$PWD/weights/stories6M.gguf
# nothing is asked for a browser's engine; nothing is said but what the program says
export WINEPREFIX="$tmp/wine" WINEDEBUG=-all WINEDLLOVERRIDES="mscoree,mshtml=" WINEARCH=win64
trap 'wineserver -k > /dev/null 2>&1; wineserver -w > /dev/null 2>&1; rm -rf "$tmp"' EXIT

begin build
(unset MAKEFLAGS MFLAGS BUILD BIN LDFLAGS; ${MAKE:-make} windows) > "$tmp/make" 2>&1 || fail "$(tail -n 3 "$tmp/make")"
! grep 'warning:.*\[-W' "$tmp/make" > "$tmp/warnings" || fail "$(head -n 3 "$tmp/warnings")"
end
[ -e "$exe" ] || exit 0
wine "$exe" --version > "$tmp/out" 2> /dev/null < /dev/null || { echo "skip windows: wine runs no program here"; exit 0; }

w() { wine "$exe" "$@" 2> "$tmp/err.all"; rc=$?; grep -v '^it looks like wine32\|^multiarch needs\|^execute "dpkg\|^apt-get install\|^wine: ' "$tmp/err.all" > "$tmp/err"; return $rc; }
# same OPTION...: the text of both programs
same() {
    w generate -q -m "$m" "$@" > "$tmp/out" < /dev/null || fail "$* exits $?: $(cat "$tmp/err")"
    "$BIN" generate -q -m "$m" "$@" > "$tmp/want" 2> /dev/null < /dev/null
    [ -s "$tmp/want" ] && cmp -s "$tmp/want" "$tmp/out" || fail "$*: '$(cat "$tmp/out")', expected '$(cat "$tmp/want")'"
}
# exits_with STATUS TEXT OPTION...
exits_with() {
    want=$1 text=$2
    shift 2
    w "$@" > "$tmp/out" < /dev/null
    [ $rc -eq "$want" ] || fail "$* exits $rc, expected $want"
    has "$tmp/err" "$text"
}

begin same_text
same -p "Once upon a time" --temp 0 -n 120
same -p "The dog and the cat" -s 5 -n 30 -a lookat:small
same -p "Lily" -s 6 -n 20 -a int4:sink=1,window=4/int4 -t 1
for k in scalar plain avx2 avx512; do
    "$BIN" generate -q -m "$m" -p x -n 1 --kernels $k > /dev/null 2>&1 < /dev/null || continue # not on this processor
    same -p "One day" -s 7 -n 10 --kernels $k -a turbo3/turbo4
done
end

begin files_and_streams
cd "$tmp" || exit 1
snow=$(printf 't\303\253xt \342\230\203.txt')
printf 'The sea was \303\251' > "$snow"
same -f "$snow" --temp 0 -n 5
printf 'Once upon' | w -q -m "$m" --temp 0 -n 5 > "$tmp/out"
[ "$(cat "$tmp/out")" = "Once upon a time, there was" ] || fail "a pipe: '$(cat "$tmp/out")' $(cat "$tmp/err")"
printf 'Once upon' > once
w -q -m "$m" --temp 0 -n 5 < once > "$tmp/out"
[ "$(cat "$tmp/out")" = "Once upon a time, there was" ] || fail "a file: '$(cat "$tmp/out")' $(cat "$tmp/err")"
w generate -q -m "$m" -p "The sea" -n 0 --save-state a.state > "$tmp/out" < /dev/null || fail "$(cat "$tmp/err")"
w generate -q -m "$m" -p "The sea" -n 0 --save-state a.state > "$tmp/out" < /dev/null || fail "again: $(cat "$tmp/err")"
"$BIN" generate -q -m "$m" -p "The sea" -n 0 --save-state b.state > "$tmp/out" 2> "$tmp/err" < /dev/null
cmp -s a.state b.state || fail "another state"
w convert -q "$m" --type q8_0 -o a.gguf < /dev/null || fail "$(cat "$tmp/err")"
"$BIN" convert -q "$m" --type q8_0 -o b.gguf 2> "$tmp/err"
cmp -s a.gguf b.gguf || fail "another q8_0"
mkdir svg
w compare -q -m "$m" -f "$here/tests/texts/prose.txt" -n 16 -c 8 -a fp16 -a int4 --svg svg -o csv > "$tmp/out" < /dev/null || fail "compare: $(cat "$tmp/err")"
[ -s svg/pareto.svg ] || fail "no figure: $(ls svg)"
w help --man > "$tmp/out" < /dev/null
"$BIN" help --man | cmp -s - "$tmp/out" || fail "another manual page"
LOOKAT_MODEL=$m w -q -p Once -n 1 --temp 0 > "$tmp/out" < /dev/null || fail "LOOKAT_MODEL: $(cat "$tmp/err")"
LC_ALL=C grep -q "$(printf '\r')" "$tmp/out" && fail "a carriage return"
end

begin statuses
exits_with 1 "none.gguf: cannot open: No such file" -q -m none.gguf -p x
exits_with 2 "unknown option --bogus" -q -m "$m" --bogus
exits_with 2 "exists already; --force overwrites it" convert -q "$m" -o a.gguf
exits_with 2 "is a file that this command reads" convert -q a.gguf -o a.gguf --force
exits_with 3 "once: " -q -m once -p x
exits_with 2 "is a folder" -q -m "$m" -p x -n 0 --save-state svg
end
cd "$here" || exit 1
