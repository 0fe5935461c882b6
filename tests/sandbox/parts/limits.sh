# Sourced by run.sh: what a container may use, and what it is told when it may not.

check "memory: who takes too much is killed" 0 "137 true" sh -c "
	'$docker' run --name greedy --memory 32m busybox sh -c 'x=\$(head -c 100000000 /dev/zero | tr \"\\0\" x); echo got it'
	echo \$? \$('$docker' inspect -f '{{.State.OOMKilled}}' greedy); '$docker' rm greedy >/dev/null"
check "memory: who does not, is not" 0 "5000000 false" sh -c "
	'$docker' run --name modest --memory 64m busybox sh -c 'x=\$(head -c 5000000 /dev/zero | tr \"\\0\" x); echo \${#x}' | tr '\\n' ' '
	'$docker' inspect -f '{{.State.OOMKilled}}' modest; '$docker' rm modest >/dev/null"
check "memory: pid 1 is killed when it is the largest, at once" 0 "137 true" sh -c "
	'$docker' run --name burst --memory 32m busybox dd if=/dev/zero of=/dev/null bs=300M count=1 2>/dev/null
	echo \$? \$('$docker' inspect -f '{{.State.OOMKilled}}' burst); '$docker' rm burst >/dev/null"
check "memory: another than pid 1" 0 "137 still here
0 true" sh -c "
	'$docker' run --name greedy --memory 32m busybox sh -c 'dd if=/dev/zero of=/dev/null bs=300M count=1 2>/dev/null; echo \$? still here' 2>&1 | grep -v Killed
	'$docker' inspect -f '{{.State.ExitCode}} {{.State.OOMKilled}}' greedy; '$docker' rm greedy >/dev/null"
check "memory: a burst that fits" 0 "0 false" sh -c "
	'$docker' run --name fits --memory 64m busybox dd if=/dev/zero of=/dev/null bs=40M count=1 2>/dev/null
	echo \$? \$('$docker' inspect -f '{{.State.OOMKilled}}' fits); '$docker' rm fits >/dev/null"
d run -d --name together --memory 32m busybox sh -c 'for i in $(seq 8); do (x=$(head -c 6000000 /dev/zero | tr "\0" x); sleep 1000) & done; wait' >/dev/null
told_oom() { d events --since 10m --until "$(date +%s.%N)" --filter container=together --filter event=oom --format '{{.Action}}' | grep -q oom; }
check "memory: many together" 0 "" soon told_oom
d kill together >/dev/null
check "memory: and inspect tells it" 0 "true" d inspect -f '{{.State.OOMKilled}}' together
d rm together >/dev/null
# Needs the kernel's word for shared pages, which it has for root only.
[ "$(id -u)" != 0 ] || check "memory: what a fork shares counts once" 0 "1 1 1 1 1 1 false" sh -c "
	'$docker' run --name shared --memory 48m busybox sh -c 'x=\$(head -c 10000000 /dev/zero | tr \"\\0\" x); for i in 1 2 3 4 5 6; do (sleep 1; echo 1) & done; wait' | tr '\n' ' '
	'$docker' inspect -f '{{.State.OOMKilled}}' shared; '$docker' rm shared >/dev/null"
check "memory: the event comes while the container lives" 0 "oom,die" sh -c "
	since=\$(date +%s.%N)
	'$docker' run --name told --memory 32m busybox sh -c 'dd if=/dev/zero of=/dev/null bs=300M count=1 2>/dev/null; true' >/dev/null 2>&1
	'$docker' events --since \$since --until \$(date +%s.%N) --filter container=told --filter event=oom --filter event=die --format '{{.Action}}' | paste -sd,
	'$docker' rm told >/dev/null"

check "pids" 0 "limited" d run --rm --pids-limit 10 busybox sh -c '(for i in $(seq 30); do sleep 1000 & done) 2>&1 | grep -q "can.t fork" && echo limited'
# A bomb of each kind ends at its limits, and who lives beside it goes on as before: no exec takes a second.
d run -d --name neighbour busybox sleep 1000 >/dev/null
d run -d --name bomb --pids-limit 40 --memory 48m busybox sleep 1000 >/dev/null
d exec -d bomb sh -c 'while :; do tail /dev/zero; done'
d exec -d bomb sh -c 'b() { b | b & }; while :; do (b); sleep 0.2; done'
# What else the machine does is measured along: by a client's question to the daemon, which needs none of the sandbox.
ms() { echo $(($(date +%s%N) / 1000000)); }
slowest=0 most=0
for _ in $(seq 20); do
	began=$(ms)
	d version >/dev/null
	asked=$(ms)
	d exec neighbour true
	took=$(($(ms) - asked - 4 * (asked - began)))
	[ "$took" -le "$slowest" ] || slowest=$took
	n=$(d top bomb -o pid | tail -n +2 | wc -l)
	[ "$n" -le "$most" ] || most=$n
done
check "bombs: beside them an exec takes less than a second, and what any client takes" 0 "" sh -c '[ "$1" -lt 1000 ] || echo "$1"' sh "$slowest"
check "bombs: never more processes than there may be" 0 "" [ "$most" -le 40 ]
check "bombs: pid 1, which did nothing, lives" 0 "true" d inspect -f '{{.State.Running}}' bomb
d rm -f bomb neighbour >/dev/null

# ---- processors ----
# Loops that never rest; small shares, which a busy machine can give all the same.
d run -d --name loop --cpus 0.2 busybox sh -c 'while :; do /bin/true; done & while :; do :; done' >/dev/null
pid=$(d inspect -f '{{.State.Pid}}' loop)
used() { # hundredths of a second of all its processes, those that ended too
	# shellcheck disable=SC2046 # a list of files
	cat $(for p in $pid $(cat "/proc/$pid/task/$pid/children"); do echo "/proc/$p/stat"; done) 2>/dev/null |
		sed 's/.*) //' | awk '{ s += $12 + $13 + $14 + $15 } END { print s }'
}
# On a busy machine there may be less to be had: the kernel tells how long the main process has waited for a processor
# beside how long it has had one.
waited() { cut -d' ' -f1,2 "/proc/$pid/schedstat" 2>/dev/null || echo 1 0; }
share_is() { # share_is FROM TO: in thousandths of a processor, over three seconds
	a=$(used) began=$(date +%s%N) before=$(waited)
	sleep 3
	r=$((($(used) - a) * 10000000 / (($(date +%s%N) - began) / 1000)))
	least=$(echo "$before $(waited)" | awk -v from="$1" '{ had = $3 - $1; print (had > 0 ? int(from * had / (had + $4 - $2)) : 0) }')
	[ $r -ge "$least" ] && [ $r -le "$2" ] || echo "$r of $least"
}
soon sh -c '[ "$(cut -d" " -f1 "/proc/$1/schedstat")" -gt 200000000 ]' sh "$pid"
check "--cpus: a fifth, within a tenth" 0 "" share_is 140 220
d update --cpus 0.1 loop >/dev/null
check "docker update --cpus, live" 0 "" share_is 60 125
d rm -f loop >/dev/null
check "--cpus: nobody hears of it" 0 "T R 143" d run --rm --cpus 0.3 busybox sh -c "$until_so"'
	(while :; do :; done) 2>/dev/null & p=$!; sleep 0.3; kill -STOP $p; u is $p T; sleep 0.3; a=$(state $p)
	kill -CONT $p; u is $p R && b=R
	kill $p; wait $p 2>/dev/null; echo $a $b $?'
check "--cpus: a sleep is as long as it was to be" 0 "slept" d run --rm --cpus 0.1 busybox sh -c '
	(while :; do :; done) & p=$!; for i in 1 2 3 4 5; do sleep 0.1 || echo cut short; done; kill $p; echo slept' 2>/dev/null
check "--cpuset-cpus" 0 "1" d run --rm --cpuset-cpus 0 busybox nproc
if [ "$(nproc)" -gt 1 ]; then
	d run -d --name pinned --cpuset-cpus 0 busybox sleep 1000 >/dev/null
	d update --cpuset-cpus 0-1 pinned >/dev/null
	check "docker update --cpuset-cpus, live" 0 "2" d exec pinned nproc
	d rm -f pinned >/dev/null
fi
d run -d --name light --cpu-shares 512 busybox sleep 1000 >/dev/null
check "--cpu-shares is a weight" 0 "  3" ps -o ni= -p "$(d inspect -f '{{.State.Pid}}' light)"
d rm -f light >/dev/null

# ---- ulimits ----
check "ulimit -a" 0 "1 100 3906 1 0 5" d run --rm --ulimit fsize=1000 --ulimit cpu=1:2 --ulimit nproc=5:6 --ulimit core=0 --ulimit stack=4000000 \
	--ulimit nofile=100:200 busybox sh -c 'echo $(ulimit -f) $(ulimit -n) $(ulimit -s) $(ulimit -t) $(ulimit -c) $(ulimit -u)'
check "hard limits, which root cannot raise either" 0 "200 6 no" d run --rm --ulimit nproc=5:6 --ulimit nofile=100:200 busybox sh -c '
	echo $(ulimit -Hn) $(ulimit -Hu) $(ulimit -n 201 2>/dev/null && echo yes || echo no)'
check "fsize is enforced" 0 "153 1000" d run --rm --ulimit fsize=1000 busybox sh -c 'head -c 5000 /dev/zero 2>/dev/null >/tmp/f; echo $? $(stat -c %s /tmp/f)' 2>/dev/null
check "cpu is enforced: XCPU, then KILL" 0 "152 137" d run --rm --ulimit cpu=1:2 busybox sh -c 'exec 2>/dev/null
	(while :; do :; done); echo -n "$? "; (trap "" XCPU; while :; do :; done); echo $?'
check_has "nproc is enforced, of one user" 2 "can't fork" d run --rm -u 7 --ulimit nproc=3 busybox sh -c 'sleep 1000 & sleep 1000 & sleep 1000 & sleep 1000'
check "data is enforced" 0 "1" d run --rm --ulimit data=20000000 busybox sh -c 'dd if=/dev/zero of=/dev/null bs=30M count=1 2>/dev/null; echo $?'
check "open files" 0 "20 20" d run --rm --ulimit nofile=20:20 busybox sh -c 'exec 2>/dev/null
	echo $(ulimit -n) $(for i in $(seq 3 40); do (eval "exec $i</dev/null") || { echo $i; break; }; done)'
check "file size" 0 "1024" d run --rm busybox sh -c '(ulimit -f 2; trap "" XFSZ; head -c 5000 /dev/zero >/tmp/f) 2>/dev/null; stat -c %s /tmp/f'

# Without room for the guest's 8 GiB of address space: a reason, no silence.
mkdir -p "$dir/upper"
check_has "no address space" 126 "address space" sh -c "
	ulimit -v 4000000; build/bin/sandbox-run '$dir/sockerless-sandbox' build/guest/rootfs '$dir/upper' true"
