#!/bin/sh
# `make bench`: starts a daemon, and the peers that are installed, and runs the
# bench on them. BENCH=quick for smaller numbers, ONLY="cli bytes …" for some of
# the sections (daemon ping calls cli loops bytes many store checks net ports), NO_PEERS=1.
set -eu
cd "$(dirname "$0")/../.."
. tests/bench/peers.sh
: "${B:=build}"
dir=$(mktemp -d "${TMPDIR:-/tmp}/sockerless-bench-XXXXXX")
docker=$(tests/support/docker-cli.sh build/docker-cli)
peer_pids=
trap 'peers_stop; rm -rf "$dir"' EXIT
export LAYER_TOOL="$PWD/$B/bin/layer-tool"
export DOCKER_CONFIG="$dir/config"
mkdir -p "$DOCKER_CONFIG"
peers_start >"$dir/peers"
quick=
[ "${BENCH:-}" != quick ] || quick=-q
echo "sockerless bench, $(date -u +%Y-%m-%d), $(nproc) processors, Linux $(uname -r), load $(cut -d' ' -f1-2 /proc/loadavg)"
# shellcheck disable=SC2046,SC2086
"$B/bin/bench" $quick -d "$docker" -b "$(command -v busybox)" -t "$dir" -D "$PWD/$B/bin/sockerlessd --log-level error \
	--sandbox $PWD/build/bin/sockerless-sandbox --guest $PWD/build/guest/rootfs" $(cat "$dir/peers")
