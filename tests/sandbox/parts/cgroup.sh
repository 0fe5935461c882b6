# Sourced by run.sh: limits by a cgroup of the container's own, where this user may make one.

stop_daemon
unset SOCKERLESS_CGROUP
start_daemon || exit 1
d run -d --name held --pids-limit 30 --cpus 0.2 busybox sh -c 'while :; do :; done' >/dev/null
pid=$(d inspect -f '{{.State.Pid}}' held)
if grep -q 'sockerless-' "/proc/$pid/cgroup"; then
	group=$(find /sys/fs/cgroup -maxdepth 4 -name "sockerless-*-$(d inspect -f '{{.Id}}' held | cut -c1-12)" 2>/dev/null)
	check "pids.max, with room for who is about to end" 0 "46" sh -c 'for g in $1; do cat "$g/pids.max" 2>/dev/null; done | head -1' - "$group"
	d update --pids-limit 40 held >/dev/null
	check "docker update reaches it" 0 "" soon sh -c 'for g in $1; do cat "$g/pids.max" 2>/dev/null; done | grep -qx 56' - "$group"
	a=$(awk '{ print $14 + $15 }' "/proc/$pid/stat") began=$(date +%s%N)
	sleep 2
	r=$((($(awk '{ print $14 + $15 }' "/proc/$pid/stat") - a) * 10000000 / (($(date +%s%N) - began) / 1000)))
	check "the quota is kept, or nearly" 0 "" sh -c '[ $1 -le 230 ] || echo $1' - $r
	d rm -f held >/dev/null
	check "it goes with the container, before that is told" 0 "" sh -c 'for g in $1; do [ ! -d "$g" ] || echo "$g"; done' - "$group"
	d run -d --pids-limit 30 busybox sleep 1000 >/dev/null
	kill -9 "$daemon_pid"
	wait "$daemon_pid" 2>/dev/null
	zygote=${group%-*} zygote=${zygote##*-}
	check "a killed daemon leaves none" 0 "" sh -c 'for i in $(seq 1000); do [ -d "/proc/$1" ] || break; sleep 0.05; done
		find /sys/fs/cgroup -maxdepth 4 -name "sockerless-$1-*" 2>/dev/null' - "$zygote"
	start_daemon || exit 1
else
	echo "sandbox: no cgroup can be made here: not tested"
	d rm -f held >/dev/null
fi
