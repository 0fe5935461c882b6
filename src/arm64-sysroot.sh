#!/bin/sh
# arm64-sysroot.sh DIRECTORY [PACKAGE…]: Debian's arm64 libraries that the agent is linked with, and PACKAGEs of this
# machine's own architecture, unpacked there. Nothing is installed: neither root nor a foreign architecture of dpkg's is needed.
set -eu
dir=$1
shift
wanted="libc6-dev libgcc-12-dev linux-libc-dev libcrypt-dev libuv1-dev libjansson-dev libarchive-dev libgnutls28-dev nettle-dev
	libgmp-dev libtasn1-6-dev libzstd-dev liblzma-dev libbz2-dev zlib1g-dev"
mkdir -p "$dir/apt/lists/partial" "$dir/apt/cache/archives/partial" "$dir/debs"
dir=$(cd "$dir" && pwd)
: >"$dir/apt/status"

# get ARCHITECTURE PACKAGE…
get() {
	architecture=$1
	shift
	set -- -q -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" -o Dir::State::Lists="$dir/apt/lists" \
		-o Dir::State::status="$dir/apt/status" -o Dir::Cache="$dir/apt/cache" -o APT::Sandbox::User=root -- "$@"
	options=
	while [ "$1" != -- ]; do
		options="$options $1"
		shift
	done
	shift
	# shellcheck disable=SC2086
	apt-get $options update >"$dir/apt/log" 2>&1 || { cat "$dir/apt/log" && exit 1; }
	# shellcheck disable=SC2086
	(cd "$dir/debs" && apt-get $options download "$@" >>"$dir/apt/log" 2>&1) || { cat "$dir/apt/log" && exit 1; }
}

# shellcheck disable=SC2086
get arm64 $wanted
[ $# -eq 0 ] || get "$(dpkg --print-architecture)" "$@"
for deb in "$dir"/debs/*.deb; do
	dpkg-deb -x "$deb" "$dir/root"
done
rm -rf "$dir/debs" "$dir/apt"
find "$dir/root/usr/bin" -name "qemu-*" ! -name qemu-aarch64-static -delete # 400 MB of other machines
