# Sourced by run.sh: the daemon killed in the middle of work on images. Nothing that is in use is lost, and what nobody
# needs is gone after the next start.
. tests/images/lib.sh
make_kinds
# shellcheck disable=SC2086
d save -o "$dir/crash.tar" $kinds
head -c 3000000 /dev/urandom >"$dir/noise"
tar cf "$dir/noise.tar" -C "$dir" noise

# A registry with an image of several layers, whose downloads and unpackings take their time.
registry_port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
remote=127.0.0.1:$registry_port/noisy:1
cat >"$dir/registry.yml" <<END
{"version": 0.1, "log": {"level": "error"}, "storage": {"filesystem": {"rootdirectory": "$dir/registry"}}, "http": {"addr": "127.0.0.1:$registry_port"}}
END
OTEL_TRACES_EXPORTER=none docker-registry serve "$dir/registry.yml" >"$dir/registry.log" 2>&1 &
registry_pid=$!
mkdir -p "$dir/context"
for n in 1 2 3 4; do head -c 12000000 /dev/urandom >"$dir/context/noise$n"; done
cat >"$dir/context/Dockerfile" <<'END'
FROM busybox
COPY noise1 noise2 /a/
COPY noise3 /b/
RUN rm /a/noise1; head -c 300000 /dev/urandom >/c; mkdir /d; ln /a/noise2 /d/hard
COPY noise4 /a/
END
export DOCKER_BUILDKIT=0
d build -qt "$remote" "$dir/context" >/dev/null 2>&1
soon d push -q "$remote"
remote_id=$(d image inspect -f '{{.Id}}' "$remote")
check "the registry has the image" 0 "127.0.0.1:$registry_port/noisy:1" d push -q "$remote"

kill_daemon() {
	kill -9 "$daemon_pid"
	wait "$daemon_pid" 2>/dev/null
	daemon_pid=
}
lives() { kill -0 "$daemon_pid" 2>/dev/null; }
# Each kind of work in a loop of its own, until there is no daemon any more.
loads() { while lives; do "$docker" load -qi "$dir/crash.tar"; done >/dev/null 2>&1; }
imports() { while lives; do "$docker" import "$dir/noise.tar" "noise:$(date +%N)"; done >/dev/null 2>&1; }
commits() {
	while lives; do
		"$docker" run --name crasher busybox sh -c 'head -c 300000 /dev/urandom >/x' && "$docker" commit crasher crashed:1
		"$docker" rm -f crasher
	done >/dev/null 2>&1
}
pulls() { while lives; do "$docker" pull -q "$remote" && "$docker" rmi -f "$remote"; done >/dev/null 2>&1; }
builds() { while lives; do "$docker" build -q --no-cache -t "built:$(date +%N)" "$dir/context"; done >/dev/null 2>&1; }
removes() { while lives; do "$docker" image ls -aq | shuf | head -n 3 | xargs -r "$docker" rmi -f; "$docker" image prune -f; done >/dev/null 2>&1; }

rest() { # no work goes on in the background any more
	soon sh -c "! ls '$dir/data/tmp' | grep -q ."
	stop_daemon
}
unusable() {
	d image ls -aq --no-trunc | sort -u | while read -r id; do
		d save "$id" | tar tf - >/dev/null 2>&1 || echo "$id cannot be saved"
		d create --name "use" "$id" true >/dev/null && d export use | tar tf - >/dev/null 2>&1 || echo "$id cannot be used"
		d rm use >/dev/null
	done
}
# The check itself sees what it is for.
rest
echo stray >"$dir/data/blobs/sha256/$(echo stray | sha256sum | cut -d' ' -f1)"
mv "$dir/data/rootfs/$(ls "$dir/data/rootfs" | grep -v empty | head -n 1)" "$dir/data/rootfs/stray"
check "the check finds a blob and a directory too many, and one too few" 1 "3" sh -c "tests/images/fsck.py '$dir/data' >'$dir/fsck'; r=\$?; wc -l <'$dir/fsck'; exit \$r"
rm -rf "$dir/data"
start_daemon
for round in 1 2 3 4 5 6 7 8; do
	workers=
	for work in loads imports commits removes pulls $([ $((round % 2)) -eq 0 ] || echo builds); do
		$work &
		workers="$workers $!"
	done
	sleep "$((round % 3)).$((round * 37 % 100))"
	kill_daemon
	# shellcheck disable=SC2086
	wait $workers
	start_daemon
	check "round $round: every image is whole" 0 "" unusable
	rest
	check "round $round: nothing is missing, and nothing is left" 0 "" tests/images/fsck.py "$dir/data"
	start_daemon
	check "round $round: the next pull goes well" 0 "$remote" d pull -q "$remote"
	check "round $round: and brings the image" 0 "$remote_id" d image inspect -f '{{.Id}}' "$remote"
	check "round $round: what it downloaded does not stay beside the store" 0 "" soon sh -c "! ls '$dir/data/downloads' | grep -q ."
done
d rm -f crasher >/dev/null 2>&1
d builder prune -af >/dev/null 2>&1
d container prune -f >/dev/null
d image prune -af >/dev/null
check "everything can be removed" 0 "busybox:latest" d image ls -a --format '{{.Repository}}:{{.Tag}}'
rest
check "and leaves nothing" 0 "" tests/images/fsck.py "$dir/data"
check "no blob, no directory but the empty one" 0 "empty" sh -c "ls '$dir/data/blobs/sha256' '$dir/data/rootfs' | grep -v : | grep ."
has_kinds=
start_daemon
kill "$registry_pid"
wait "$registry_pid" 2>/dev/null
