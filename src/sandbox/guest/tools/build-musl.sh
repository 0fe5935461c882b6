#!/bin/sh
# musl for the guest: the x32 port's headers with our files in place of its
# assembly, installed with the kernel's headers into SYSROOT.
#
# usage: build-musl.sh GUEST_DIR MUSL_SOURCE SYSROOT   (MUSL_SOURCE is changed)
set -eu
guest=$1 source=$2 sysroot=$3
llvm=/usr/lib/llvm-19/bin

cd "$source"
rm -rf arch/wasm32
cp -r arch/x32 arch/wasm32
# long double is double, as in or1k's port; port I/O and x87 states are not for us.
cp arch/or1k/bits/float.h arch/wasm32/bits/float.h
rm -f arch/wasm32/bits/fenv.h arch/wasm32/bits/io.h
mkdir -p src/signal/wasm32
cp src/signal/x32/getitimer.c src/signal/x32/setitimer.c src/signal/wasm32/
cp "$guest"/musl/arch/* arch/wasm32/
cp -r "$guest"/musl/src/. src/
cp "$guest"/musl/include/setjmp.h include/setjmp.h

cat >config.mak <<MAK
ARCH = wasm32
CC = $guest/tools/guest-cc
AR = $llvm/llvm-ar
RANLIB = $llvm/llvm-ranlib
CFLAGS_AUTO = -O2 -pipe
COMPAT_SRC_DIRS =
prefix = $sysroot
MAK
# guest-cc looks into the sysroot first; musl's own internal headers must win.
GUEST_SYSROOT=/nonexistent make -s -j"$(nproc)" lib/libc.a
make -s install-headers
mkdir -p "$sysroot/lib"
cp lib/libc.a "$sysroot/lib/"
GUEST_SYSROOT=$sysroot "$guest/tools/guest-cc" -c "$guest/musl/start.c" -o "$sysroot/lib/start.o"

for d in linux asm-generic mtd; do
	[ ! -d /usr/include/$d ] || cp -r /usr/include/$d "$sysroot/include/"
done
cp -r "/usr/include/$(gcc -print-multiarch)/asm" "$sysroot/include/"
