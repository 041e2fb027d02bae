#!/bin/sh
# The layout of C code is what .clang-format says, and no line has more than 100 columns.
git ls-files src tests | grep -E '\.[ch]$' | xargs clang-format --dry-run -Werror || exit 1
long=$(git ls-files src tests | grep -E '\.(c|h|inc)$' | xargs awk 'length > 100 { print FILENAME ": " FNR }')
[ -z "$long" ] || { echo "over 100 columns: $long"; exit 1; }
