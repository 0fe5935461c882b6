#!/bin/sh
# BusyBox for the guest: defconfig, our differences, clang, our link script.
#
# usage: build-busybox.sh GUEST_DIR BUSYBOX_SOURCE SYSROOT   (source is changed)
# leaves BUSYBOX_SOURCE/busybox_unstripped, a WebAssembly module
set -eu
guest=$1 source=$2
export GUEST_SYSROOT="$3"
llvm=/usr/lib/llvm-19/bin

cd "$source"
make -s defconfig >/dev/null
# The last word about an option counts: drop defconfig's before ours.
sed -nE 's/^(# )?(CONFIG_[A-Z0-9_]+)(=| is not set).*/\2/p' "$guest/busybox/config" | while read -r option; do
	sed -i -E "/^(# )?$option(=| is not set)/d" .config
done
grep -E '^(# )?CONFIG_' "$guest/busybox/config" >>.config
yes n 2>/dev/null | make -s oldconfig >/dev/null
cp "$guest/tools/trylink" scripts/trylink
make -s -j"$(nproc)" SKIP_STRIP=y CC="$guest/tools/guest-cc" LD="$guest/tools/guest-ld" HOSTCC=gcc \
	AR=$llvm/llvm-ar NM=$llvm/llvm-nm STRIP=true OBJCOPY=true busybox_unstripped
