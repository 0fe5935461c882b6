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
# C++ programs include the headers too.
echo '#include <sockerless/sockerless.h>' | clang-19 -x c++ -fsyntax-only "-I$prefix/include" - || fail "not C++"
rm "$prefix/shared" "$prefix/static"
${MAKE:-make} -s uninstall PREFIX="$prefix" >/dev/null
left=$(find "$prefix" ! -type d)
[ -z "$left" ] || fail "left behind: $left"
echo "install: clean"
