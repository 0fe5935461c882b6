# Sourced by run.sh: starts Docker's and Podman's own engines, where they are
# installed, on private sockets and data roots below $dir, each with the image
# `busybox` made of Debian's busybox-static. Prints "NAME SOCKET PID" for each.
# They are compared with, never needed.
peer_image() { # SOCKET: busybox and its links, as an image
	mkdir -p "$dir/image/bin" "$dir/image/tmp" "$dir/image/dev" "$dir/image/proc"
	cp "$(command -v busybox)" "$dir/image/bin/busybox"
	for applet in $(busybox --list); do
		[ -e "$dir/image/bin/$applet" ] || ln -s busybox "$dir/image/bin/$applet"
	done
	tar -C "$dir/image" -cf - . | DOCKER_HOST="unix://$1" "$docker" import - busybox >/dev/null
}

peer_ready() { # SOCKET
	for _ in $(seq 200); do
		curl -s --unix-socket "$1" http://d/_ping >/dev/null && return 0
		sleep 0.1
	done
	return 1
}

peers_start() {
	peer_pids=
	[ "$(id -u)" = 0 ] && command -v busybox >/dev/null && command -v curl >/dev/null || return 0
	if command -v dockerd >/dev/null && [ -z "${NO_PEERS:-}" ]; then
		mkdir -p "$dir/peer"
		dockerd -H "unix://$dir/peer/docker.sock" --data-root "$dir/peer/data" --exec-root "$dir/peer/exec" \
			--pidfile "$dir/peer/pid" --bridge=none --iptables=false >"$dir/peer/log" 2>&1 &
		peer_pids="$peer_pids $!"
		if peer_ready "$dir/peer/docker.sock" && peer_image "$dir/peer/docker.sock"; then
			echo "dockerd $dir/peer/docker.sock $!"
		fi
	fi
	if command -v podman >/dev/null && [ -z "${NO_PEERS:-}" ]; then
		mkdir -p "$dir/podman"
		cat >"$dir/podman/containers.conf" <<-END
			[engine]
			runtime="runc"
			cgroup_manager="cgroupfs"
			events_logger="file"
			[containers]
			log_driver="k8s-file"
			default_ulimits=["nofile=16384:16384","nproc=32768:32768"]
		END
		CONTAINERS_CONF="$dir/podman/containers.conf" podman --root "$dir/podman/root" --runroot "$dir/podman/run" \
			system service --time=0 "unix://$dir/podman/podman.sock" >"$dir/podman/log" 2>&1 &
		peer_pids="$peer_pids $!"
		if peer_ready "$dir/podman/podman.sock" && peer_image "$dir/podman/podman.sock"; then
			echo "podman $dir/podman/podman.sock $!"
		fi
	fi
}

peers_stop() {
	for pid in $peer_pids; do
		kill "$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
	done
	umount "$dir/podman/root/overlay" 2>/dev/null || : # podman leaves it mounted
	return 0
}
