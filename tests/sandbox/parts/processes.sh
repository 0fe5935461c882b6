# Sourced by run.sh: process tables, orphans, zombies, /proc, exec.

check "pid 1 and its children" 0 "1 0 2 1" d run --rm busybox sh -c 'echo $$ $PPID $(sh -c "echo \$\$ \$PPID")'
check "orphans come to pid 1" 0 "1" d run --rm busybox sh -c \
	'sh -c "sleep 100 & echo \$! >/tmp/pid"; awk "/^PPid/ { print \$2 }" /proc/$(cat /tmp/pid)/status'
check "pid 1 reaps orphans" 0 "1" d run --rm busybox sh -c \
	'for i in 1 2 3 4 5; do sh -c "sleep 0.05 &"; done
	for i in $(seq 1000); do sleep 0.05; set -- /proc/[0-9]*; [ $# -gt 1 ] || break; done; echo $#'
check "a pid 1 that does not wait keeps zombies" 0 "Z Z" sh -c "
	'$docker' run -d --name zombies busybox sh -c 'sh -c \"sleep 1 & sleep 1 &\"; exec sleep 100' >/dev/null
	for i in \$(seq 1000); do z=\$('$docker' exec zombies sh -c 'grep -h ^State /proc/[0-9]*/status' | grep -o Z); [ \${#z} -lt 3 ] || break; done; echo \$z"
check "--init reaps them" 0 "0" sh -c "
	'$docker' run -d --init --name reaped busybox sh -c 'sh -c \"sleep 0.1 & sleep 0.1 &\"; exec sleep 100' >/dev/null
	for i in \$(seq 1000); do \"$docker\" top reaped | grep -q 'sleep 0.1\|sh -c' || break; done
	for i in \$(seq 1000); do z=\$('$docker' exec reaped sh -c 'grep -h ^State /proc/[0-9]*/status' | grep -c Z); [ \$z -gt 0 ] || break; done; echo \$z; '$docker' rm -f zombies reaped >/dev/null"
d run -d --name other busybox sleep 100 >/dev/null
check "children that nobody waits for leave nothing" 0 "1" d run --rm --pids-limit 50 busybox sh -c \
	'trap "" CHLD; for i in $(seq 120); do sleep 100 & kill -9 $!; while kill -0 $! 2>/dev/null; do :; done; done
	for i in $(seq 1000); do set -- /proc/[0-9]*; [ $# -gt 1 ] || break; sleep 0.05; done; echo $#'
check "kill reaches only this container, and not its pid 1" 0 "137 alive true" sh -c "
	echo \$('$docker' run --rm busybox sh -c 'sleep 100 & kill -9 -1; wait \$! 2>/dev/null; echo \$? alive') \$('$docker' inspect -f '{{.State.Running}}' other)"
d rm -f other >/dev/null
check "a thousand forks and execs leave nothing" 0 "4 1" d run --rm busybox sh -c \
	'i=0; while [ $i -lt 1000 ]; do /bin/true; i=$((i+1)); done; set -- /proc/self/fd/*; fds=$#; set -- /proc/[0-9]*; echo $fds $#'
check "a thousand execs in one process" 0 "done" d run --rm busybox sh -c \
	'echo "n=\$1; [ \$n -gt 0 ] || { echo done; exit; }; exec sh /tmp/again \$((n - 1))" >/tmp/again; exec sh /tmp/again 1000'
check_has "too long a list of arguments" 126 "Argument list too long" d run --rm busybox sh -c \
	'x=$(head -c 100000 /dev/zero | tr "\0" x); exec env $(for i in $(seq 30); do echo $x; done) true'
check "a long list of arguments" 0 "20000" d run --rm busybox sh -c 'set -- $(seq 20000); sh -c "echo \$#" sh "$@"'
check "deep recursion is a fault of its own" 0 "139 alive" d run --rm busybox sh -c \
	'sh -c "f() { f; }; f" 2>/dev/null; echo $? alive'
check "a native file by a bare name" 126 "" d run --rm busybox sh -c \
	'cd /tmp; printf "\177ELF" >foreign; chmod +x foreign; PATH= foreign 2>/dev/null'
check "an applet by a bare name" 0 "/tmp" d run --rm busybox sh -c \
	'cd /tmp; printf "\177ELF" >pwd; chmod +x pwd; PATH=: exec pwd'
check "set-user-ID programs" 0 "wall: must be suid to work properly
well" d run --rm busybox sh -c 'cp /bin/busybox /tmp/wall; setuidgid 1000 /tmp/wall </dev/null
	chmod 4755 /tmp/wall; setuidgid 1000 /tmp/wall </dev/null && echo well'
check "a fork bomb can be removed" 0 "gone" sh -c "
	'$docker' run -d --name bomb --pids-limit 300 busybox sh -c 'b() { b & b & wait; }; b' >/dev/null; sleep 1
	timeout 180 '$docker' rm -f bomb >/dev/null && echo gone"

# ---- /proc ----
check "names of the host" 0 "abc abc Linux" d run --rm --hostname abc busybox sh -c \
	'echo $(cat /proc/sys/kernel/hostname) $(hostname) $(cat /proc/sys/kernel/ostype)'
check "what systems say of themselves" 0 "0 2147483647 0 64" d run --rm busybox sh -c \
	'cd /proc/sys; echo $(cat net/ipv4/ping_group_range net/ipv4/ip_unprivileged_port_start kernel/ngroups_max)'
check "environ" 0 "A=b c" d run --rm -e "A=b c" busybox sh -c 'tr "\0" "\n" </proc/self/environ | grep ^A='
check "every file of /proc can be read" 0 "" d run --rm busybox sh -c 'find /proc -type f ! -perm 0 -exec cat {} + >/dev/null'
check "nothing of the host's /proc" 1 "" sh -c "'$docker' run --rm busybox grep -rl '$daemon_pid' /proc/self/status /proc/1/stat /proc/mounts"
check "times of other processes" 0 "yes" d run --rm busybox sh -c \
	'(while :; do :; done) & for i in $(seq 1000); do sleep 0.1; set -- $(cat /proc/$!/stat); [ $(($14 + $15)) -le 20 ] || break; done
	[ $(($14 + $15)) -gt 20 ] && echo yes; kill -9 $!'
check "a busy process is running, a sleeping one asleep" 0 "R S" d run --rm busybox sh -c "$until_so"'
	(while :; do :; done) & a=$!; sleep 100 & b=$!; u is $b S; u is $a R; echo $(state $a) $(state $b); kill -9 $a $b'
check "top shows who is busy" 0 "busy" sh -c "'$docker' run --rm busybox sh -c '(while :; do :; done) & top -b -n2 -d1 | tail -n +7 | grep -v top; kill -9 \$!' |
	awk '\$7 > 20 { print \"busy\"; exit }  \$8 > 20 { print \"busy\"; exit }'"
check "tools that read /proc" 0 "" d run --rm busybox sh -c '{ ps && free && mount && df && uptime && pidof sh && pgrep sh && netstat -tn; } >/dev/null'
check "killall" 143 "" d run --rm busybox sh -c "$until_so"'
	tail -f /dev/null & until pidof tail >/dev/null; do sleep 0.05; done; killall tail; wait $! 2>/dev/null'

# ---- who is watched when watchers die ----
d run -d --name orphaned busybox sh -c 'sleep 100 & sleep 100' >/dev/null
supervisor=$(awk '/^PPid/ { print $2 }' "/proc/$(d inspect -f '{{.State.Pid}}' orphaned)/status")
kill -9 "$supervisor"
check "the container of a killed supervisor has ended" 0 "137" d wait orphaned
check "and left no process but the zygote" 0 "" soon sh -c "[ \$(for p in /proc/[0-9]*; do readlink \$p/exe; done 2>/dev/null | grep -c '$dir/sockerless-sandbox') = 1 ]"
d rm orphaned >/dev/null

# ---- one file, made by many at once ----
check "who appends to a file that another makes meanwhile appends" 0 "3000" d run --rm busybox sh -c '
	for i in $(seq 500); do for k in 1 2 3 4 5 6; do (echo $k >>/tmp/f.$i) & done; wait; done; cat /tmp/f.* | wc -l'
