#!/bin/sh
# The binary interface: the shared library offers what the headers declare, no more and no less, under its version; every
# public struct that a program and the library hand each other says its size; no layout changes unnoticed (abi.txt).
# GOLDEN=1 writes abi.txt anew.
set -eu
B=${B:-build}
lib=$B/lib/libsockerless.so
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
fail() { echo "abi: $*"; exit 1; }

# Headers without comments, in one piece.
cat include/sockerless/*.h | perl -0pe 's|/\*.*?\*/||gs' >"$tmp/headers"
perl -0ne 'print "$1\n" while /\bSOCKERLESS_API\b[^;]*?\b(sockerless_[a-z0-9_]+)\(/g' "$tmp/headers" | sort >"$tmp/declared"
nm -D --defined-only --with-symbol-versions "$lib" | awk '$2 == "T" { print $3 }' | sort >"$tmp/versioned"
sed 's/@@.*//' "$tmp/versioned" >"$tmp/offered"
diff "$tmp/declared" "$tmp/offered" || fail "the headers (<) and the library (>) differ"
! grep -v '@@SOCKERLESS_' "$tmp/versioned" || fail "names without a version"
! nm -D --defined-only "$lib" | awk '$2 != "T" && $2 != "A"' | grep . || fail "data is exported"
sed -n 's/^\t\(sockerless_[a-z_]*\);/\1/p' src/sockerless.sym | sort | diff "$tmp/declared" - || fail "sockerless.sym"

version=$(sed -n 's/^.define SOCKERLESS_VERSION "\(.*\)\..*"/\1/p' include/sockerless/version.h)
soname=$(readelf -d "$lib" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
[ "$soname" = "libsockerless.so.$version" ] || [ "$soname" = "libsockerless.so.${version%%.*}" ] || fail "soname $soname"

perl -0ne 'print "$1\n" while /^struct (sockerless_[a-z_]+) \{/mg' "$tmp/headers" | sort >"$tmp/structs"
perl -0ne 'print "$1\n" while /^struct (sockerless_[a-z_]+) \{\s*size_t size;/mg' "$tmp/headers" | sort |
	diff "$tmp/structs" - || fail "a struct that does not begin with its size"

# Sizes, and where each member lies, as the compiler has it.
{
	echo '#include <stddef.h>'
	echo '#include <stdio.h>'
	echo '#include <sockerless/sockerless.h>'
	echo 'static void show(const char *what, size_t n) { printf("%s %zu%c", what, n, 10); }'
	echo 'int main(void) {'
	while read -r s; do
		echo "show(\"$s\", sizeof(struct $s));"
		S=$s perl -0ne 'my $s = $ENV{S}; /^struct $s \{(.*?)^\};/ms; my $b = $1;
			for (split /;/, $b) { s/\((\*\w+)\)\(.*\)/$1/s; s/\[.*?\]//g;
				for (split /,/) { print "show(\"  $1\", offsetof(struct $s, $1));\n" if /(\w+)\s*$/; } }' "$tmp/headers"
	done <"$tmp/structs"
	echo 'return 0; }'
} >"$tmp/layout.c"
${CC:-cc} -Iinclude "$tmp/layout.c" -o "$tmp/layout"
{ "$tmp/layout"; echo; cat "$tmp/versioned"; } >"$tmp/abi.txt"
[ "${GOLDEN:-}" != 1 ] || cp "$tmp/abi.txt" tests/embed/abi.txt
[ "$(uname -m)" != x86_64 ] || diff tests/embed/abi.txt "$tmp/abi.txt" || fail "the interface has changed: GOLDEN=1 if that is meant"
echo "abi: $(wc -l <"$tmp/declared") functions, $(wc -l <"$tmp/structs") structs"
