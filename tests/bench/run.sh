#!/bin/sh
# `make bench`: starts a daemon, and the peers that are installed, and runs the
# bench on them. BENCH=quick for smaller numbers, ONLY="cli bytes …" for some of
# the sections (daemon ping calls cli loops bytes many store checks net ports pull unpack builds), NO_PEERS=1.
set -eu
cd "$(dirname "$0")/../.."
. tests/bench/peers.sh
: "${B:=build}"
dir=$(mktemp -d "${TMPDIR:-/tmp}/sockerless-bench-XXXXXX")
docker=$(tests/support/docker-cli.sh build/docker-cli)
peer_pids=

# A registry with an image of 100 MB, where Debian's docker-registry and skopeo are installed.
registry_pid=
registry_start() {
	command -v docker-registry >/dev/null && command -v skopeo >/dev/null && [ -e "$B/bin/sockerless-fetch" ] || return 0
	PULL_IMAGE=$(python3 tests/bench/registry.py "$dir") || return 0
	registry_pid=$(cat "$dir/registry.pid")
	export PULL_IMAGE
}
registry_stop() {
	[ -n "$registry_pid" ] || return 0
	kill "$registry_pid" 2>/dev/null || :
	rm -rf "$(cat "$dir/registry.dir")"
}
trap 'peers_stop; registry_stop; rm -rf "$dir"' EXIT
export LAYER_TOOL="$PWD/$B/bin/layer-tool"
export DOCKER_CONFIG="$dir/config"
mkdir -p "$DOCKER_CONFIG"
peers_start >"$dir/peers"
case ${ONLY:-pull} in *pull*) registry_start ;; esac
quick=
[ "${BENCH:-}" != quick ] || quick=-q
echo "sockerless bench, $(date -u +%Y-%m-%d), $(nproc) processors, Linux $(uname -r), load $(cut -d' ' -f1-2 /proc/loadavg)"
# shellcheck disable=SC2046,SC2086
"$B/bin/bench" $quick -d "$docker" -b "$(command -v busybox)" -t "$dir" -D "$PWD/$B/bin/sockerlessd --log-level error \
	--sandbox $PWD/build/bin/sockerless-sandbox --guest $PWD/build/guest/rootfs" $(cat "$dir/peers")
