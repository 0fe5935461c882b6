#!/bin/sh
# Prints the path of a specification of the Engine API: the one that Debian's
# golang-github-docker-docker-dev has, unpacked into DIR. Nothing when it cannot be had.
set -eu
dir=$1
find_it() { find "$dir" -path '*/docker/api/swagger.yaml' 2>/dev/null | head -1; }
if [ -z "$(find_it)" ]; then
	mkdir -p "$dir"
	(cd "$dir" && apt-get download -qq golang-github-docker-docker-dev >/dev/null 2>&1 &&
		dpkg-deb -x golang-github-docker-docker-dev_*.deb .) || true
fi
find_it
