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
# The socket is there after the installation and after each boot; the daemon comes with the first client.
cat >"$root/DEBIAN/postinst" <<'EOF'
#!/bin/sh
set -e
[ "$1" = configure ] || exit 0
if command -v systemctl >/dev/null; then
	[ -n "$2" ] || systemctl -q enable sockerlessd.socket || true
	if [ -d /run/systemd/system ]; then
		systemctl daemon-reload
		systemctl start sockerlessd.socket || true
		systemctl try-restart sockerlessd.service || true
	fi
fi
EOF
cat >"$root/DEBIAN/prerm" <<'EOF'
#!/bin/sh
set -e
if [ "$1" = remove ] && command -v systemctl >/dev/null; then
	[ ! -d /run/systemd/system ] || systemctl stop sockerlessd.socket sockerlessd.service || true
	systemctl -q disable sockerlessd.socket sockerlessd.service || true
fi
EOF
cat >"$root/DEBIAN/postrm" <<'EOF'
#!/bin/sh
set -e
[ ! -d /run/systemd/system ] || systemctl daemon-reload || true
[ "$1" != purge ] || rm -rf /var/lib/sockerless
EOF
chmod 755 "$root/DEBIAN/postinst" "$root/DEBIAN/prerm" "$root/DEBIAN/postrm"
dpkg-deb --root-owner-group --build "$root" "build/sockerless_${VERSION}_$arch.deb"
