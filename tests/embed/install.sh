#!/bin/sh
# Installs below a prefix of its own, builds the example against what was installed, and uninstalls to the last file.
set -eu
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
fail() { echo "install: $*"; exit 1; }

${MAKE:-make} -s install PREFIX="$prefix" >/dev/null
"$prefix/bin/sockerlessd" --version >/dev/null || fail "sockerlessd does not run"
grep -q "ExecStart=$prefix/bin/sockerlessd" "$prefix/lib/systemd/system/sockerlessd.service" || fail "the unit names another path"
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
# shellcheck disable=SC2046
${CC:-cc} tests/embed/*.c $(pkg-config --cflags --libs sockerless) -luv -lpthread -o "$prefix/shared"
# shellcheck disable=SC2046
${CC:-cc} tests/embed/*.c $(pkg-config --cflags sockerless) "$prefix/lib/libsockerless.a" \
	$(pkg-config --libs $(pkg-config --print-requires-private sockerless)) -lpthread -lutil -o "$prefix/static"
LD_LIBRARY_PATH="$prefix/lib" "$prefix/shared" || [ $? -eq 2 ] || fail "the example does not run"
"$prefix/static" || [ $? -eq 2 ] || fail "the static example does not run"
# The examples as docs/embedding.md says it.
# shellcheck disable=SC2046
for example in cloud_backend host_processes; do
	dir=$prefix/share/doc/sockerless/examples
	[ "$example" = host_processes ] || more=$dir/cloud.c
	${CC:-cc} -D_GNU_SOURCE "$dir/$example.c" ${more:+"$more"} $(pkg-config --cflags --libs sockerless) -luv -lpthread -o "$prefix/$example" ||
		fail "$example is not to be built from what is installed"
	rm "$prefix/$example"
	more=
done
# C++ programs include the headers too.
echo '#include <sockerless/sockerless.h>' | clang-19 -x c++ -fsyntax-only "-I$prefix/include" - || fail "not C++"
rm "$prefix/shared" "$prefix/static"
${MAKE:-make} -s uninstall PREFIX="$prefix" >/dev/null
left=$(find "$prefix" ! -type d)
[ -z "$left" ] || fail "left behind: $left"
# Into a root of its own: nothing but paths below it is touched, and what is installed speaks of PREFIX alone.
destdir=$prefix/root
${MAKE:-make} -s install PREFIX=/opt/engine DESTDIR="$destdir" >/dev/null
outside=$(find "$destdir" ! -type d ! -path "$destdir/opt/engine/*")
[ -z "$outside" ] || fail "outside of PREFIX: $outside"
grep -q '^prefix=/opt/engine$' "$destdir/opt/engine/lib/pkgconfig/sockerless.pc" || fail "sockerless.pc names another place"
wrong=$(grep -rlI "$prefix" "$destdir" || true)
[ -z "$wrong" ] || fail "names DESTDIR: $wrong"
[ "$(PKG_CONFIG_PATH="$destdir/opt/engine/lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$destdir" pkg-config --variable=libdir sockerless)" ] ||
	fail "pkg-config"
${MAKE:-make} -s uninstall PREFIX=/opt/engine DESTDIR="$destdir" >/dev/null
left=$(find "$prefix" ! -type d)
[ -z "$left" ] || fail "left behind in DESTDIR: $left"
echo "install: clean"
