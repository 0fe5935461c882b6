#!/bin/sh
# Makes build/sockerless_VERSION_ARCH.deb: an install below /usr and a control file whose dependencies are read
# from the programs themselves. VERSION and MAKE come from the Makefile.
set -eu
arch=$(dpkg --print-architecture)
root=build/deb
rm -rf "$root"
mkdir -p "$root/DEBIAN"
# Root's ownership without being root: the archive says so (--root-owner-group).
$MAKE -s install PREFIX=/usr DESTDIR="$root"
strip --strip-unneeded "$root"/usr/bin/* "$root"/usr/lib/libsockerless.so.*.*.*
gzip -9n "$root"/usr/share/man/man8/*.8

# dpkg-shlibdeps wants to be in a source package.
mkdir -p build/deb-source/debian
printf 'Source: sockerless\n\nPackage: sockerless\nArchitecture: any\n' >build/deb-source/debian/control
depends=$(cd build/deb-source && fetch=../deb/usr/bin/sockerless-fetch && [ -e $fetch ] || fetch=
	dpkg-shlibdeps -O ../deb/usr/bin/sockerlessd $fetch ../deb/usr/lib/libsockerless.so.*.*.* |
	sed 's/^shlibs:Depends=//')
cat >"$root/DEBIAN/control" <<EOF
Package: sockerless
Version: $VERSION
Architecture: $arch
Maintainer: The sockerless authors <sockerless@localhost>
Section: admin
Priority: optional
Installed-Size: $(du -sk "$root/usr" | cut -f1)
Depends: $depends
Description: Docker engine that runs containers in a WebAssembly sandbox
 A daemon that serves the Docker Engine API on a Unix socket and runs
 containers in a sandbox of its own, without Docker, root or user namespaces;
 with the library that it is made of.
EOF
dpkg-deb --root-owner-group --build "$root" "build/sockerless_${VERSION}_$arch.deb"
