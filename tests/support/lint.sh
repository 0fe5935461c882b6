#!/bin/sh
# The layer rules of docs/architecture.md, who may use which library, lengths of files and functions, and calls
# that we do not make.
set -u
bad=0
complain() { echo "lint: $*"; bad=1; }
said=$(mktemp)
trap 'rm -f "$said"' EXIT

# A folder uses only what stands before it (and itself). Those on one line do not use each other, except as listed.
may_use() {
	case $1 in
	util) echo "" ;;
	fetch) echo "util" ;;
	store | rootfs | network) echo "util" ;;
	dockerfile) echo "util" ;;
	image) echo "util store rootfs dockerfile" ;;
	registry) echo "util store rootfs image" ;;
	sandbox | agent) echo "util rootfs network" ;;
	drivers) echo "util store rootfs image network sandbox agent" ;;
	engine) echo "util store rootfs dockerfile image registry network sandbox agent drivers" ;;
	build) echo "util store rootfs dockerfile image registry drivers engine" ;;
	http) echo "util store" ;;
	api) echo "util store rootfs image registry network drivers engine build http" ;;
	daemon) echo "util store rootfs image registry network sandbox agent drivers engine build api http" ;;
	esac
}
for dir in util fetch store rootfs network dockerfile image registry sandbox agent drivers engine build http api daemon; do
	[ -d "src/$dir" ] || continue
	allowed=" $(may_use "$dir") $dir "
	grep -rHoE '^#include "[a-z]+/' "src/$dir" --include='*.[ch]' --exclude-dir=guest | while IFS= read -r line; do
		used=${line##*\"} used=${used%/}
		[ -d "src/$used" ] || continue
		case $allowed in *" $used "*) ;; *) echo "lint: ${line%%:*} uses $used/, which stands above it" ;; esac
	done
done >"$said"
for dir in src/*/; do
	dir=${dir#src/} dir=${dir%/}
	[ "$dir" != launchers ] || continue # scripts
	[ -n "$(may_use "$dir")" ] || [ "$dir" = util ] || complain "src/$dir has no place among the layers"
done
# Those who embed the library see its public headers only.
grep -HnE '^#include "' include/sockerless/*.h >>"$said"
grep -HnE '^#include "[a-z]+/' tests/embed/*.[ch] docs/examples/*.[ch] >>"$said"

# own HEADER FOLDER...: only these folders use a library.
own() {
	header=$1
	shift
	grep -rlE "^#include <$header" src --include='*.[ch]' --exclude-dir=guest | while IFS= read -r f; do
		dir=${f#src/}
		case " $* " in *" ${dir%%/*} "*) ;; *) echo "lint: $f includes <$header>, which belongs to: $*" ;; esac
	done >>"$said"
}
own 'sqlite3\.h' store
own 'microhttpd\.h' http
own 'libwebsockets\.h' agent http
own 'archive' image rootfs build
own 'gnutls/' util
own 'curl/' fetch
own 'wasm-rt\.h' sandbox
# The sandbox program and the union file system are linked without these.
for header in uv jansson; do
	grep -lE "^#include <$header\.h>" src/rootfs/*.[ch] src/sandbox/kernel/*.[ch] src/sandbox/runtime/*.[ch] |
		sed "s/\$/ includes <$header.h>, which the sandbox has not/; s/^/lint: /" >>"$said"
done

# ban FILES CALL...
ban() {
	files=$1
	shift
	for call in "$@"; do
		# shellcheck disable=SC2086
		grep -nE "(^|[^_a-zA-Z0-9>.])$call\(" $files /dev/null | grep -vE ':\s*(/?\*|//)' | sed 's/^/lint: banned: /' >>"$said"
	done
}
all=$(find src -name '*.c' -not -path 'src/sandbox/guest/*')
# What belongs to the whole process is the program's, not the library's; the sandbox and fetch are programs of their own.
library=$(find src -mindepth 2 -name '*.c' -not -path 'src/sandbox/kernel/*' -not -path 'src/sandbox/runtime/*' \
	-not -path 'src/sandbox/guest/*' -not -path 'src/fetch/*' -not -path 'src/agent/program/*')
ban "$all" strcpy strcat sprintf vsprintf gets strtok system alloca popen tmpnam mktemp
ban "$library" exit _exit quick_exit signal umask setlocale setrlimit chdir setenv putenv srand

# Versions of the API are compared in one place.
grep -nE 'API_VERSION\(|request_api_version\([a-z]+\) *[<>=]' src/api/*.c src/engine/*.c | grep -vE '^src/api/(versions|routes)\.c' |
	sed 's/$/: a comparison of versions belongs into api\/versions.c/; s/^/lint: /' >>"$said"

for f in $(find src tests include -name '*.[ch]'); do
	n=$(wc -l <"$f")
	[ "$n" -le 800 ] || complain "$f has $n lines: split it by subject"
done

[ -s "$said" ] && { cat "$said"; bad=1; }

# A function fits on a screen: longer ones are named, not refused.
for f in $all; do
	awk '/^{/ { start = FNR } /^}/ && start { if (FNR - start > 60) print "lint: note: " FILENAME ":" start ": a function of " FNR - start " lines"; start = 0 }' "$f"
done
[ "$bad" -eq 0 ] && echo "lint: clean"
exit "$bad"
