# Sourced: starts a daemon of build variant $B on a private socket and data
# root in $dir, and stops it. Sets DOCKER_HOST, $docker, $daemon_pid.
: "${B:=build}"
dir=$(mktemp -d "${TMPDIR:-/tmp}/sockerless-cli-XXXXXX")
export DOCKER_HOST="unix://$dir/docker.sock"
export DOCKER_CONFIG="$dir/config"
mkdir -p "$DOCKER_CONFIG"
docker=$(tests/support/docker-cli.sh build/docker-cli)

# A program file of this run's own, so that its processes can be told from others'.
cp build/bin/sockerless-sandbox "$dir/sockerless-sandbox"

from_host() { "$@"; } # where published ports are: the oracle's are elsewhere

start_daemon() {
	# No test asks the Internet for an image: nobody answers there.
	https_proxy=${daemon_proxy-http://127.0.0.1:9} "$B/bin/sockerlessd" -H "$DOCKER_HOST" --data-root "$dir/data" --sandbox "$dir/sockerless-sandbox" \
		--guest build/guest/rootfs "$@" >>"$dir/log" 2>&1 &
	daemon_pid=$!
	for _ in $(seq 600); do
		"$docker" version >/dev/null 2>&1 && return 0
		kill -0 "$daemon_pid" 2>/dev/null || break
		sleep 0.05
	done
	cat "$dir/log" >&2
	return 1
}

stop_daemon() {
	[ -n "${daemon_pid:-}" ] || return 0
	left=$("$docker" ps -q 2>/dev/null) # would have ten seconds to obey
	# shellcheck disable=SC2086
	[ -z "$left" ] || "$docker" kill $left >/dev/null 2>&1
	kill "$daemon_pid" 2>/dev/null
	wait "$daemon_pid"
	daemon_status=$?
	daemon_pid=
	return 0
}

clean_up() {
	stop_daemon
	rm -rf "$dir"
}
