#!/bin/sh
# The layer rules of docs/architecture.md, file lengths, and calls we do not make.
set -u
bad=0
complain() { echo "lint: $*"; bad=1; }

# A folder uses only what stands before it (and itself). Those on one line do not use each other, except as listed.
may_use() {
	case $1 in
	util) echo "" ;;
	store | rootfs) echo "util" ;;
	image) echo "util store rootfs" ;;
	sandbox) echo "util rootfs" ;;
	drivers) echo "util store rootfs image sandbox" ;;
	engine) echo "util store rootfs image sandbox drivers" ;;
	http) echo "util store" ;;
	api) echo "util store rootfs image drivers engine http" ;;
	daemon) echo "util store rootfs image sandbox drivers engine api http" ;;
	esac
}
for dir in util store rootfs image sandbox drivers engine http api daemon; do
	[ -d "src/$dir" ] || continue
	allowed=" $(may_use "$dir") $dir "
	grep -rHoE '^#include "[a-z]+/' "src/$dir" --include='*.[ch]' --exclude-dir=guest | while IFS= read -r line; do
		used=${line##*\"} used=${used%/}
		[ -d "src/$used" ] || continue
		case $allowed in *" $used "*) ;; *) echo "lint: ${line%%:*} uses $used/, which stands above it" ;; esac
	done
done >"${TMPDIR:-/tmp}/lint.$$"
[ -s "${TMPDIR:-/tmp}/lint.$$" ] && { cat "${TMPDIR:-/tmp}/lint.$$"; bad=1; }
rm -f "${TMPDIR:-/tmp}/lint.$$"

# One folder owns each library.
own() {
	for f in $(grep -rlE "^#include <$1" src --include='*.[ch]'); do
		case $f in $2) ;; *) complain "$f includes <$1>" ;; esac
	done
}
own 'sqlite3\.h' 'src/store/*'
own 'microhttpd\.h' 'src/http/*'
own 'libwebsockets\.h' 'src/agent/*'

for f in $(find src tests -name '*.[ch]'); do
	n=$(wc -l <"$f")
	[ "$n" -le 800 ] || complain "$f has $n lines: split it by subject"
done
for call in strcpy strcat sprintf vsprintf gets strtok system alloca; do
	grep -rnE "(^|[^_a-zA-Z>.])$call\(" src --include='*.c' && complain "banned call: $call"
done
[ "$bad" -eq 0 ] && echo "lint: clean"
exit "$bad"
