#!/bin/sh
# Builds the whole guest into DIR, which appears complete or not at all.
#
# usage: build-guest.sh GUEST_DIR DIR MUSL_VERSION BUSYBOX_VERSION
# leaves in DIR: libguest.a, busybox.wasm, applets.txt, applets.inc, rootfs/, rootfs.diff-id, tests/
set -eu
guest=$1 dir=$2 musl=$3 busybox=$4
[ ! -e "$dir" ] || exit 0
# A compiler given to the outer make is not the guest's.
unset MAKEFLAGS MAKEOVERRIDES MFLAGS CC

mkdir -p "$(dirname "$dir")"
work=$(mktemp -d "$dir.XXXXXX")
trap 'rm -rf "$work"' EXIT
log=$work/log
out=$work/out
mkdir "$out"

step() {
	echo "guest: $1"
	shift
	"$@" >"$log" 2>&1 || {
		tail -n 40 "$log" >&2
		exit 1
	}
}
translate() {
	wasm2c "$out/busybox.wasm" -n busybox -o "$work/busybox.c" &&
		awk -f "$guest/tools/weave.awk" "$work/busybox.c" >"$work/woven.c"
}
compile() {
	flags="-std=gnu11 -O2 -fno-strict-aliasing -fstack-clash-protection -I$work -I$out -I$guest/../.."
	gcc $flags -w -c "$work/woven.c" -o "$work/woven.o" &&
		gcc $flags -Wall -c "$guest/module.c" -o "$work/module.o" &&
		ar rcs "$out/libguest.a" "$work/woven.o" "$work/module.o"
}
keep_tests() {
	mkdir -p "$out/tests/shell"
	cp -r "$work/busybox-$busybox/testsuite" "$out/tests/"
	cp -r "$work/busybox-$busybox/shell/ash_test" "$out/tests/shell/"
	cp "$work/busybox-$busybox/.config" "$out/tests/"
}

step "fetching the sources of musl $musl and busybox $busybox" \
	"$guest/tools/fetch-sources.sh" "$work" "musl=$musl" "busybox=$busybox"
step "building musl" "$guest/tools/build-musl.sh" "$guest" "$work/musl-$musl" "$work/sysroot"
step "building busybox" "$guest/tools/build-busybox.sh" "$guest" "$work/busybox-$busybox" "$work/sysroot"
cp "$work/busybox-$busybox/busybox_unstripped" "$out/busybox.wasm"
step "translating to C" translate
step "making tables" "$guest/tools/make-tables.sh" "$work/busybox-$busybox" "$work/busybox.c" "$out"
step "compiling the translation" compile
step "making the root file system" "$guest/tools/make-rootfs.sh" "$out/applets.txt" "$out/rootfs"
step "keeping BusyBox's tests" keep_tests
rm -f "$out/constants.inc"
# Somebody else may have been faster: theirs is as good.
mv -T "$out" "$dir" 2>/dev/null || [ -d "$dir" ]
