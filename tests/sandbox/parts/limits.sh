# Sourced by run.sh: what a container may use, and what it is told when it may not.

check "memory: who takes too much is killed" 0 "137 true" sh -c "
	'$docker' run --name greedy --memory 32m busybox sh -c 'x=\$(head -c 100000000 /dev/zero | tr \"\\0\" x); echo got it'
	echo \$? \$('$docker' inspect -f '{{.State.OOMKilled}}' greedy); '$docker' rm greedy >/dev/null"
check "memory: who does not, is not" 0 "5000000 false" sh -c "
	'$docker' run --name modest --memory 64m busybox sh -c 'x=\$(head -c 5000000 /dev/zero | tr \"\\0\" x); echo \${#x}' | tr '\\n' ' '
	'$docker' inspect -f '{{.State.OOMKilled}}' modest; '$docker' rm modest >/dev/null"
check "pids" 0 "limited" d run --rm --pids-limit 10 busybox sh -c '(for i in $(seq 30); do sleep 1 & done) 2>&1 | grep -q "can.t fork" && echo limited'
check "open files" 0 "20 20" d run --rm --ulimit nofile=20:20 busybox sh -c 'exec 2>/dev/null
	echo $(ulimit -n) $(for i in $(seq 3 40); do (eval "exec $i</dev/null") || { echo $i; break; }; done)'
check "file size" 0 "1024" d run --rm busybox sh -c '(ulimit -f 2; trap "" XFSZ; head -c 5000 /dev/zero >/tmp/f) 2>/dev/null; stat -c %s /tmp/f'

# Without room for the guest's 8 GiB of address space: a reason, no silence.
mkdir -p "$dir/upper"
check_has "no address space" 126 "address space" sh -c "
	ulimit -v 4000000; build/bin/sandbox-run '$dir/sockerless-sandbox' build/guest/rootfs '$dir/upper' true"
