#!/bin/sh
# Builds lookat and runs it.
#   ./run.sh                      a story by the model in weights/
#   ./run.sh "Once upon a time"   continues this text; options of `lookat generate` may follow or stand alone
#   ./run.sh COMMAND ...          a command of lookat: ./run.sh compare -f TEXT; ./run.sh help lists them
#   ./run.sh gpt2 "PROMPT"        the same with GPT-2 (124M): fetched from Hugging Face once, checked, converted, kept in weights/
#   ./run.sh --list               the models that have a name here, with their sizes
#
# Environment: LOOKAT_GPT2_URL   folder on the web that holds the files of the model, in place of the one in the table below
#              LOOKAT_GPT2_SUMS  file with the SHA-256, size and name of each (default: weights/NAME.sha256)
#              LOOKAT_CACHE      where they and the converted model are kept (default: weights)
set -eu

# Where this file is, also when it is called through symbolic links.
self=$0
while [ -h "$self" ]; do
    target=$(ls -ld "$self")
    target=${target#*" $self -> "}
    case $target in
    /*) self=$target ;;
    *) self=$(dirname "$self")/$target ;;
    esac
done
here=$(cd "$(dirname "$self")" && pwd)
cache=${LOOKAT_CACHE:-$here/weights}

# Name, millions of parameters, and the folder on the web at one revision. A model whose files' sums are not known (no
# weights/NAME.sha256) has "-" there: it is not fetched, but taken from weights/NAME where somebody has put it. To add a
# model: a line here, and its sums.
models() {
    cat << END
gpt2 124 https://huggingface.co/openai-community/gpt2/resolve/607a30d783dfa663caf39e06633721c8d4cfcd7e
gpt2-medium 355 -
gpt2-large 774 -
gpt2-xl 1558 -
distilgpt2 82 -
END
}

# Sets what belongs to the model of this name; false where there is none.
choose() { # NAME
    line=$(models | grep "^$1 ") || return 1
    name=$1
    millions=${line#* } url=${line##* }
    millions=${millions%% *}
    [ -z "${LOOKAT_GPT2_URL:-}" ] || url=$LOOKAT_GPT2_URL
    sums=${LOOKAT_GPT2_SUMS:-$here/weights/$name.sha256}
    files=$cache/$name
    model=$cache/$name-f16.gguf
}

# Millions of bytes to fetch.
to_fetch() { awk '{n += $2} END {printf "%d", n / 1000000}' "$sums"; }

list() {
    printf '%-12s  %10s  %8s  %10s  %s\n' name parameters fetched converted state
    models | while read -r name rest; do
        choose "$name"
        fetched=- state="not fetched"
        [ ! -e "$sums" ] || fetched="$(to_fetch) MB"
        [ "$url" != - ] || state="put its files into $files"
        [ ! -d "$files" ] || state="in $files"
        [ ! -e "$model" ] || state="ready"
        printf '%-12s  %8s M  %8s  %7s MB  %s\n' "$name" "$millions" "$fetched" "$((millions * 2))" "$state"
    done
}

say() { printf '%s\n' "$*" >&2; }
die() { say "run.sh: $*"; exit 1; }

find_sha256() {
    for sha256 in sha256sum "shasum -a 256" "openssl dgst -sha256 -r"; do
        command -v "${sha256%% *}" >/dev/null 2>&1 && return
    done
    die "no sha256sum, shasum or openssl to verify the files with"
}
sha256_of() { $sha256 "$1" | cut -d' ' -f1; }

by_hand() {
    die "$1; without a network, put model.safetensors, vocab.json, merges.txt and config.json of" \
        "$name at Hugging Face into $files and run this again."
}

# Downloads $url/NAME to NAME.part, going on where an earlier attempt stopped; a bar only for people.
download() {
    if command -v curl >/dev/null 2>&1; then
        bar=--silent; [ -t 2 ] && bar=--progress-bar
        curl --fail --location --show-error $bar --continue-at - --output "$files/$1.part" "$url/$1"
    elif command -v wget >/dev/null 2>&1; then
        wget --continue --no-verbose --output-document="$files/$1.part" "$url/$1"
    else
        by_hand "neither curl nor wget is installed"
    fi
}

size_of() { wc -c < "$1" | tr -d ' '; }

# A file counts only when size and SHA-256 are right, wherever it came from.
fetch() { # SHA256 SIZE NAME
    if [ ! -e "$files/$3" ]; then
        say "fetching $3 ($2 bytes)"
        have=0
        [ ! -e "$files/$3.part" ] || have=$(size_of "$files/$3.part")
        [ "$have" -le "$2" ] || rm "$files/$3.part"
        if [ "$have" -ne "$2" ]; then
            download "$3" || by_hand "cannot fetch $url/$3"
        fi
        mv "$files/$3.part" "$files/$3"
    fi
    got=$(size_of "$files/$3")
    [ "$got" -eq "$2" ] || { mv "$files/$3" "$files/$3.bad"; die "$3 has $got bytes, expected $2 (kept as $files/$3.bad)"; }
    got=$(sha256_of "$files/$3")
    [ "$got" = "$1" ] || { mv "$files/$3" "$files/$3.bad"; die "$3 has SHA-256 $got, expected $1 (kept as $files/$3.bad)"; }
}

# Without known sums, what lies in the folder is believed.
check_by_hand() {
    [ -d "$files" ] || by_hand "the sums of $name's files are not known here, so it is not fetched"
    say "$name: the sums of its files are not known here; taking $files as it is"
}

get_model() {
    [ -e "$model" ] && return
    if [ "$url" = - ]; then
        check_by_hand
    else
        find_sha256
        mkdir -p "$files"
        say "$name (${millions}M): $(to_fetch) MB from $url into $files, then $((millions * 2)) MB as $model"
        while read -r sha size file; do
            fetch "$sha" "$size" "$file" < /dev/null
        done < "$sums"
    fi
    "$here/lookat" convert "$files" -o "$model" --type f16
}

# The program is built when it is not there or a source is newer.
build() {
    make=make # GNU make, which goes by another name where the system has a make of its own
    ! command -v gmake >/dev/null 2>&1 || make=gmake
    make=${MAKE:-$make}
    command -v "${make%% *}" >/dev/null 2>&1 || die "there is no ${make%% *}; building lookat needs GNU make and gcc or clang"
    if [ ! -x "$here/lookat" ]; then
        say "building lookat (once, in half a minute to two minutes)"
    elif [ -n "$(find "$here/src" "$here/Makefile" -type f -newer "$here/lookat" 2>/dev/null | head -n 1)" ]; then
        say "building what is newer than lookat"
    fi
    $make -s -C "$here" >&2 && return
    for compiler in ${CC:-cc gcc clang}; do
        command -v "$compiler" >/dev/null 2>&1 && die "the build in $here failed; it needs gcc or clang, and GNU make (CC=... chooses the compiler)"
    done
    die "there is no compiler (${CC:-cc, gcc or clang}); install gcc or clang, or name one with CC=..."
}

if [ "${1:-}" = --list ]; then
    list
    exit
fi

build

if choose "${1:-}"; then
    shift
    get_model
    LOOKAT_MODEL=$model
    export LOOKAT_MODEL
fi

case ${1:-} in
generate | compare | eval | calibrate | convert | info | tokenize | explain | bench | completion | help | version) exec "$here/lookat" "$@" ;;
"") set -- -p "Once upon a time" ;;
-*) ;;
*) text=$1; shift; set -- -p "$text" "$@" ;;
esac
exec "$here/lookat" generate "$@"
