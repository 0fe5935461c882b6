# Sourced instead of daemon.sh: starts a real dockerd as the one to test, with
# the same functions and variables, so that the suite need not know the
# difference. Needs root, dockerd and a static busybox in PATH.
#
# The daemon gets a network namespace of its own (nsenter, not `ip netns exec`,
# which mounts /sys anew and hides the cgroups from it).
dir=$(mktemp -d "${TMPDIR:-/tmp}/oracle-XXXXXX")
export DOCKER_HOST="unix://$dir/docker.sock"
export DOCKER_CONFIG="$dir/config"
mkdir -p "$DOCKER_CONFIG"
docker=$(tests/support/docker-cli.sh build/docker-cli)
netns="oracle$$"
oracle=yes

# Runs a command where the daemon's published ports are.
from_host() { nsenter --net="/run/netns/$netns" "$@"; }

# The same tree as our image, with a native busybox in place of ours.
import_busybox() {
	mkdir "$dir/image" && cp -a build/guest/rootfs/. "$dir/image/" || return 1
	cp "$(command -v busybox)" "$dir/image/bin/busybox"
	busybox --list-full | while read -r applet; do
		[ -e "$dir/image/$applet" ] || [ -L "$dir/image/$applet" ] || ln -s /bin/busybox "$dir/image/$applet"
	done
	tar -C "$dir/image" -c . | "$docker" import -c 'CMD ["sh"]' \
		-c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - busybox:latest >/dev/null
}

start_daemon() {
	[ -e "/run/netns/$netns" ] || {
		ip netns add "$netns" && nsenter --net="/run/netns/$netns" ip link set lo up
	} || return 1
	nsenter --net="/run/netns/$netns" dockerd -H "$DOCKER_HOST" --data-root "$dir/data" --exec-root "$dir/exec" \
		--pidfile "$dir/pid" >>"$dir/log" 2>&1 &
	daemon_pid=$!
	for _ in $(seq 300); do
		"$docker" version >/dev/null 2>&1 && break
		sleep 0.1
	done
	[ -d "$dir/image" ] || import_busybox || {
		tail "$dir/log" >&2
		return 1
	}
}

stop_daemon() {
	[ -n "${daemon_pid:-}" ] || return 0
	ids=$("$docker" ps -aq)
	# shellcheck disable=SC2086
	[ -z "$ids" ] || "$docker" rm -fv $ids >/dev/null
	kill "$daemon_pid" 2>/dev/null
	wait "$daemon_pid"
	daemon_status=$?
	daemon_pid=
	return 0
}

clean_up() {
	stop_daemon
	ip netns del "$netns" 2>/dev/null
	umount -R "$dir"/* 2>/dev/null
	rm -rf "$dir"
}
