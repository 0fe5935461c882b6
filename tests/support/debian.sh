#!/bin/sh
# Prints the path of a tar of a whole small Debian, with its true owners and capabilities, or (argument "large") of one of
# more than 20,000 files; made once by debootstrap and kept. Where that
# cannot be: why, on stderr, and 1. DEBIAN_MIRROR: another mirror; IMAGES_CACHE: where it is kept.
set -u
suite=bookworm variant=--variant=minbase
[ "${1:-}" != large ] || variant=--include=build-essential,ca-certificates,curl,git,iputils-ping,locales,man-db,openssh-client,perl,python3-dev,vim
cache=${IMAGES_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sockerless}
debian=$cache/debian-$(echo "$suite $variant" | sha256sum | cut -c1-16).tar
mkdir -p "$cache" && exec 9>"$debian.lock" && flock 9 || exit 1 # another one may be making it
if [ ! -e "$debian" ]; then
	[ "$(id -u)" -eq 0 ] || { echo "debootstrap needs root" >&2; exit 1; }
	"$(dirname "$0")/install-packages.sh" debootstrap >/dev/null
	dir=$(mktemp -d) && chmod 755 "$dir"
	trap 'rm -rf "$dir" "$debian.$$"' EXIT
	if ! debootstrap "$variant" "$suite" "$dir/root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$dir/log" 2>&1; then
		echo "it cannot be had: $(tail -n 1 "$dir/log")" >&2
		exit 1
	fi
	rm -f "$dir"/root/var/cache/apt/archives/*.deb
	tar --numeric-owner --xattrs --xattrs-include='*' -C "$dir/root" -cf "$debian.$$" . && mv "$debian.$$" "$debian" || exit 1
fi
echo "$debian"
