#!/bin/sh
# Every command that a README shows runs as it stands, one README a test, in a copy of what a clone
# has: indented lines, and `code` that begins with a program's name. Long ones do less work
# (reduce), those of `listed` are left out; any other line that looks like a command is run, and
# must succeed. TIMES=1 shows each with its time.
. tests/lib.sh
unset LOOKAT_MODEL LOOKAT_GPT2 LOOKAT_SHARED

# commands README: one a line, indented ones first; after a backslash a line goes on
commands() {
    awk '/^    / || more {
             line = more $0
             more = ""
             if (line ~ /\\$/) { sub(/\\$/, "", line); more = line; next }
             sub(/^ +(\$ )?/, "", line)
             print line
         }' "$1"
    # spans of code may be broken over two lines; `\|` is a bar inside a table
    sed '/^    /d; s/\\|/|/g' "$1" |
        awk 'BEGIN { RS = "`" } NR % 2 == 0 { gsub(/\n/, " "); print }'
}

# Whether a line is a command, by its first word behind assignments; or whether it has a program of
# ours in it. One word is a name in a sentence, but for ./PROGRAM and an assignment.
is_command() {
    set -f
    # shellcheck disable=SC2086
    set -- $1
    set +f
    case "$# ${1:-}" in
    "1 ./"* | "1 .ci/run" | "1 make" | "1 "[A-Z]*=*) return 0 ;;
    "0 "* | "1 "*) return 1 ;;
    esac
    while case ${1:-} in [A-Z]*=*) true ;; *) false ;; esac; do shift; done
    case ${1:-} in
    -*) return 1 ;; # options alone
    lookat | */lookat | */run.sh | .ci/run | .build/*) return 0 ;;
    make | gmake | sh | cd | sha256sum) return 0 ;;
    parallel | sbatch | curl | wget | python3 | node) return 0 ;;
    esac
    case " $* " in *" ./"* | *" lookat "* | *"'./lookat"*) return 0 ;; esac
    return 1
}

# listed COMMAND: what is not run here, and why not
listed() {
    case $1 in
    "make" | "make test" | "make test "* | "make CC=clang") ;; # builds and the tests themselves:
    ".ci/run" | "make layers") ;;                              # .ci/run does all of these
    ".build/"* | *" .build/default/tests/test_"*) ;;           # what these have built
    "make bench" | "make fuzz"* | "sh tests/fuzz/"*) ;;        # take minutes
    "sh tests/windows.sh") ;;                                  # needs mingw-w64 and wine
    "make peer"*) ;;                                           # llama.cpp
    "make install" | "make uninstall" | "make static"* | "make lib" | "make windows") ;; # test_home, test_library
    "./run.sh gpt2"*) ;;                 # a download of 550 MB (test_run_sh has a small one)
    "./lookat convert gpt2-xl "*) ;;     # a download of 6 GB
    "sh tokenizer/unicode.sh > "*) ;;    # Debian's unicode-data (test_unicode)
    "sbatch "*) ;;                       # Slurm; the script that it takes is run
    *) return 1 ;;
    esac
}

# reduce COMMAND: the same with less work: fewer tokens in smaller windows, one repetition, a small
# shape; and a small model where codebooks are learned many times over.
reduce() {
    case $1 in
    *" calibrate "*" -n 64 -c 64"*) less= ;;
    *" calibrate "*)
        less='s/ -n [0-9]*//; s/ calibrate / calibrate -n 512 -c 128 /
              s/ --auto / --auto -a lookat:bytes=2,k=16\/pq:bytes=4,k=16 /
              / -m /!{ / --auto \|law\.gguf\|-o learned\.gguf/s/ calibrate / calibrate -m tiny.gguf /
              }' ;;
    *" compare "*"--paper"*)
        less='s/ -n [0-9]*/ -n 64/; s/ --paper/ --paper -c 64/
              s/ --book law/ -m tiny.gguf --book law/' ;;
    *" compare "*" -n 64 "* | *" compare "*--merge*) less= ;;
    *" compare "*" -c "*) less='s/ -n [0-9]*/ -n 256/; s/ -c [0-9]*/ -c 64/' ;;
    *" compare "* | *" eval "*)
        less='s/ -n [0-9]*//; s/ compare / compare -n 128 -c 64 /; s/ eval / eval -n 128 -c 64 /' ;;
    *" bench "*)
        less='s/ -p [0-9,]*/ -p 8/; s/ -n [0-9]*/ -n 2/; s/ -d [0-9,]*/ -d 16/; s/ -b [0-9]*/ -b 2/
              s/ -r [0-9]*//; s/ bench / bench -r 1 /
              / -d /!s/ --attention/ --attention -d 16/' ;;
    *) less='s/ --random gpt2 / --random 2,1,64,64,1000 /' ;;
    esac
    printf '%s\n' "$1" | sed "$less"
}

# `lookat NAME` in a sentence speaks of a command
names_a_command() {
    set -f
    # shellcheck disable=SC2086
    set -- $1
    set +f
    [ $# -eq 2 ] && [ "$1" = lookat ] && "$BIN" help "$2" > /dev/null 2>&1
}

# Two tools that not everyone has: parallel as far as it is used; sbatch's variables.
mkdir "$tmp/bin" "$tmp/clone" "$tmp/clone/tests" "$tmp/clone/weights"
cat > "$tmp/bin/parallel" << 'END'
#!/bin/sh
# parallel -j N COMMAND ::: ARGUMENT...
command=$3
shift 4
for x; do sh -c "$(printf '%s\n' "$command" | sed "s/{}/$x/g")" || exit 1; done
END
chmod +x "$tmp/bin/parallel"
cp "$BIN" "$tmp/clone/lookat"
cp run.sh "$tmp/clone"
cp -R tokenizer "$tmp/clone"
cp -R tests/texts "$tmp/clone/tests"
cp weights/SHA256SUMS weights/stories6M.gguf "$tmp/clone/weights"
"$BIN" convert --random 1,1,64,1024,4096 -z tokenizer -q -o "$tmp/clone/tiny.gguf" || exit 1
export PATH="$tmp/bin:$tmp/clone:$PATH"
export MAKE=true # run.sh finds nothing to build
export SLURM_CPUS_PER_TASK=1 SLURM_ARRAY_TASK_ID=0 SLURM_ARRAY_TASK_COUNT=4

run_script() { (cd "$tmp/clone" && sh -e "$tmp/script" > "$tmp/out" 2> "$tmp/err" < /dev/null); }

check() { # README NAME LEAST-NUMBER-OF-COMMANDS
    begin "$2"
    commands "$1" > "$tmp/commands"
    n=0 variables=
    while IFS= read -r line; do
        is_command "$line" || continue
        line=$(printf '%s\n' "$line" | sed 's/  *# .*//; s/ *$//')
        listed "$line" && continue
        names_a_command "$line" && continue
        case $line in
        *" "*) ;;
        [A-Z]*=*) variables="$variables$line; "; continue ;;
        esac
        printf '%s%s\n' "$variables" "$(reduce "$line")" > "$tmp/script"
        n=$((n + 1))
        start=$(date +%s)
        run_script || fail "'$(cat "$tmp/script")' exits $?: $(head -c 400 "$tmp/err")"
        [ -z "${TIMES:-}" ] || echo "  $(($(date +%s) - start)) s: $(cat "$tmp/script")"
    done < "$tmp/commands"
    [ $n -ge "$3" ] || fail "$n commands were found, at least $3 expected"
    end
}

check README.md front_page 4
check src/README.md engine 1
check src/cli/README.md cli 15
check src/attention/README.md attention 8
check src/calibration/README.md calibration 4
check src/measure/README.md measure 10
check src/report/README.md report 1
check weights/README.md weights 4
check tokenizer/README.md tokenizer 1
check tests/README.md tests 3
check tests/texts/README.md texts 1

# README files that this test does not know of
begin all_are_checked
find . -name .build -prune -o -name .git -prune -o -name '*README.md' -print > "$tmp/pages"
while IFS= read -r f; do
    ! grep -q "^check ${f#./} " "$0" || continue
    commands "$f" > "$tmp/commands"
    while IFS= read -r line; do
        ! is_command "$line" || listed "$line" || fail "no test runs this of $f: $line"
    done < "$tmp/commands"
done < "$tmp/pages"
end

# The front page stays one that is read: tables of other rooms belong to their READMEs.
begin front_page_is_short
[ "$(wc -l < README.md)" -le 100 ] || fail "$(wc -l < README.md) lines, at most 100 expected"
wide=$(grep -v '^|' README.md | LC_ALL=C.UTF-8 awk 'length > 132 { print; exit }')
[ -z "$wide" ] || fail "a line of more than 132 columns: $wide"
[ "$(grep -c '^| `' README.md)" -le 12 ] || fail "$(grep -c '^| `' README.md) rows of tables"
end

# Links between files lead to a file, and to a heading where they name one.
begin links_lead_somewhere
n=0
while IFS= read -r f; do
    grep -o '](\([^)]*\))' "$f" | sed 's/^](//; s/)$//' > "$tmp/links"
    while IFS= read -r link; do
        case $link in http*) continue ;; esac
        n=$((n + 1)) to=${link%%#*} heading=
        [ "$to" = "$link" ] || heading=${link#*#}
        at=$f
        [ -z "$to" ] || at=$(dirname "$f")/$to
        [ -e "$at" ] || fail "${f#./}: nothing is at $link"
        [ -z "$heading" ] ||
            sed -n 's/^##* //p' "$at" | tr 'A-Z ' 'a-z-' | sed 's/[^a-z0-9_-]//g' | grep -qx -e "$heading" ||
            fail "${f#./}: no heading is $link"
    done < "$tmp/links"
done < "$tmp/pages"
[ $n -ge 30 ] || fail "$n links were found"
end

# The test itself: a command that is not known to work is one that fails.
begin finds_what_is_wrong
cat > "$tmp/page" << 'END'
Text, `./lookat compare
-f none.txt` and `lookat compare` of a sentence

    $ valgrind ./lookat --nonsense \
        -n 1
    y = a + b
END
commands "$tmp/page" > "$tmp/commands"
[ "$(grep -c . "$tmp/commands")" -eq 4 ] || fail "$(cat "$tmp/commands")"
found=0
while IFS= read -r line; do
    is_command "$line" && ! names_a_command "$line" && found=$((found + 1))
done < "$tmp/commands"
[ $found -eq 2 ] || fail "$found commands of two"
end
