#!/bin/sh
# The tables that module.c includes, and the list that the root is made of.
#
# usage: make-tables.sh BUSYBOX_SOURCE GENERATED_C OUT
# leaves OUT/applets.txt (a path per line), OUT/applets.inc, OUT/constants.inc
set -eu
export LC_ALL=C
source=$1 generated=$2 out=$3

(cd "$source" && HOSTCC=gcc sh applets/busybox.mkll include/autoconf.h include/applets.h) | sort -u >"$out/applets.txt"
# The module answers to its own name as well; sorted by strcmp, for bsearch.
{ sed 's|.*/||' "$out/applets.txt" && echo busybox; } | sort -u | sed 's|.*|	"&",|' >"$out/applets.inc"
constant() {
	sed -nE "s/^  instance->w2c_$1 = ([0-9]+)u;/\1/p" "$generated" | head -n 1
}
stack=$(constant __stack_pointer) heap=$(constant __heap_base)
[ -n "$stack" ] && [ -n "$heap" ]
printf 'enum { GUEST_STACK_TOP = %s, GUEST_HEAP_BASE = %s };\n' "$stack" "$heap" >"$out/constants.inc"
