#!/bin/sh
# The committed tables are what tokenizer/unicode.sh makes of the Unicode Character Database, where it is installed.
new=$BUILD/tests/unicode_tables.c
if [ ! -r /usr/share/unicode/UnicodeData.txt ]; then
    echo "skip regenerated: needs a download: /usr/share/unicode (Debian: unicode-data)"
elif ! sh tokenizer/unicode.sh > "$new"; then
    echo "FAIL regenerated: tokenizer/unicode.sh failed"
elif cmp "$new" src/tokenizer/unicode_tables.c; then
    echo "ok regenerated"
else
    echo "FAIL regenerated: src/tokenizer/unicode_tables.c differs from what tokenizer/unicode.sh writes"
fi
if sh tokenizer/unicode.sh /nonexistent > /dev/null 2>&1; then
    echo "FAIL missing_files: exit status 0 without input"
else
    echo "ok missing_files"
fi
