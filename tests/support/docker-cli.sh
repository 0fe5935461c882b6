#!/bin/sh
# Prints the path of a docker CLI: the one in PATH, else one unpacked out of
# Debian's docker.io package into DIR. Starts no daemon.
set -eu
dir=$1
command -v docker && exit 0
mkdir -p "$dir"
exec 9>"$dir/.lock"
flock 9 # two test programs may want it at once
if [ ! -x "$dir/usr/bin/docker" ]; then
	(cd "$dir" && apt-get download -qq docker.io >/dev/null && dpkg-deb -x docker.io_*.deb .)
fi
echo "$dir/usr/bin/docker"
