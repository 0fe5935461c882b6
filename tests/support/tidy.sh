#!/bin/sh
# clang-tidy over the given files, two at a time. A file that was clean is not looked at again until it, a header
# that it includes, or .clang-tidy changes: build/tidy holds the hashes. COMPILE: the compiler's flags.
set -u
cache=build/tidy
mkdir -p "$cache"
if [ "${1:-}" = --one ]; then
	# shellcheck disable=SC2086
	deps=$(${CC:-cc} $COMPILE -MM "$2" | tr -d '\\\n' | sed 's/^[^:]*://')
	# shellcheck disable=SC2086
	key=$(cat $deps .clang-tidy | sha256sum | cut -c1-32)
	[ -e "$cache/$key" ] && exit 0
	# shellcheck disable=SC2086
	if clang-tidy-19 --quiet "$2" -- $COMPILE 2>/dev/null >"$cache/$key.out"; then
		mv "$cache/$key.out" "$cache/$key"
		exit 0
	fi
	cat "$cache/$key.out"
	rm "$cache/$key.out"
	exit 1
fi
if printf '%s\n' "$@" | xargs -P "$(nproc)" -n 1 "$0" --one; then
	echo "tidy: $# files are clean"
else
	exit 1
fi
