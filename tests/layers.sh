#!/bin/sh
# Checks that no folder of src includes from one above it in this order.
order="base kernels checkpoint tokenizer attention model embed measure calibration report cli"
bad=0 below=
for room in $order; do
    below="$below $room"
    for file in src/"$room"/*.[ch]; do
        [ -e "$file" ] || continue
        for used in $(sed -n 's/^ *#include "\([a-z0-9]*\)\/.*/\1/p' "$file" | sort -u); do
            case " $below " in
            *" $used "*) ;;
            *) echo "$file: $room includes from $used"; bad=1 ;;
            esac
        done
    done
done
exit $bad
