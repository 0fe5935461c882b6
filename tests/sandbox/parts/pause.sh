# Sourced by run.sh: docker pause stops everything, and nobody inside can tell.

size() { d cp -q "$1:$2" - | tar xOf - | wc -c; }

d run -d --name ticking busybox sh -c 'trap "echo chld >>/tmp/chld" CHLD
	(while :; do echo >>/tmp/n; done) & sleep 1000 & echo $! >/tmp/stopped; kill -STOP $!
	while :; do wait %1 2>/dev/null; echo woken >>/tmp/chld; done' >/dev/null
# It has stopped its child, has heard of that, and waits again.
soon d exec ticking sh -c "grep -q chld /tmp/chld && [ -s /tmp/n ] && $until_so; is \$(cat /tmp/stopped) T"
soon d exec ticking sh -c ': >/tmp/chld; sleep 0.3; [ ! -s /tmp/chld ]'
d pause ticking >/dev/null
a=$(size ticking /tmp/n)
sleep 0.5
b=$(size ticking /tmp/n)
check "paused: nothing moves" 0 "same" sh -c "[ '$a' = '$b' ] && [ '$a' -gt 0 ] && echo same"
d unpause ticking >/dev/null
goes_on() { [ "$(size ticking /tmp/n)" -gt "$b" ]; }
check "unpaused: it goes on" 0 "" soon goes_on
check "whom the guest had stopped stays stopped" 0 "T" d exec ticking sh -c 'cut -d" " -f3 /proc/$(cat /tmp/stopped)/stat'
for _ in 1 2 3 4 5; do
	d pause ticking >/dev/null && d unpause ticking >/dev/null
done
sleep 0.3
check "a parent hears nothing of it" 0 "0" size ticking /tmp/chld
d rm -f ticking >/dev/null

# Nor where twenty others want its processor, so that each feels the end of the pause late.
d run -d --name ticking --cpuset-cpus 0 busybox sh -c 'trap "echo chld >>/tmp/chld" CHLD
	for i in $(seq 20); do (while :; do :; done) & done; : >/tmp/chld; echo ready; while :; do wait %1; done' >/dev/null
soon has_logged ticking ready
for _ in 1 2 3 4 5 6; do
	d pause ticking >/dev/null && d unpause ticking >/dev/null
	sleep 0.5
done
check "on a busy processor neither" 0 "0" size ticking /tmp/chld
d rm -f ticking >/dev/null

# A child that was to end during the pause may end before its parent has heard that it goes on.
d run -d --name awaiting --cpuset-cpus 0 busybox sh -c 'for i in $(seq 20); do (while :; do :; done) & done
	for i in $(seq 1000); do sleep 0.3 & wait $!; echo "awaited $i"; done' >/dev/null
soon has_logged awaiting "awaited 1"
for _ in 1 2 3 4 5 6; do
	d pause awaiting >/dev/null
	sleep 0.5
	d unpause awaiting >/dev/null
done
n=$(d logs awaiting | wc -l)
check "a child's end is not lost" 0 "" soon has_logged_times awaiting awaited $((n + 2))
d rm -f awaiting >/dev/null

d run -d --name forking busybox sh -c 'while :; do /bin/true; echo x >>/tmp/x; done' >/dev/null
soon d exec forking test -s /tmp/x
d pause forking >/dev/null
a=$(size forking /tmp/x)
sleep 0.5
check "a process that forks is caught with its children" 0 "$a" size forking /tmp/x
check "stop of a paused container" 0 "forking" d stop -t 1 forking
d rm forking >/dev/null

# An interactive shell with a job in the background, paused in the middle: no word of a stopped job.
d run -dit --name asking busybox sh >/dev/null
cat >"$dir/ask.exp" <<'END'
set timeout 60
spawn -noecho $env(docker) attach asking
send "sleep 3 &\r"
expect "# "
send "echo ready-\$((1+1))\r"
expect "ready-2\r\n"
exec $env(docker) pause asking
exec sleep 0.5
exec $env(docker) unpause asking
send "jobs; echo asked-\$((1+1))\r"
expect -re "Stopped" { puts "NOTICED"; exit 1 } "asked-2\r\n" { puts "unnoticed" } timeout { puts "no answer"; exit 1 }
send "wait; echo waited-\$((1+1))\r"
expect -re "Stopped" { puts "NOTICED"; exit 1 } "waited-2\r\n" { puts "waited" } timeout { puts "no end"; exit 1 }
END
check_has "an interactive shell does not notice" 0 "unnoticed" env docker="$docker" expect "$dir/ask.exp"
d rm -f asking >/dev/null
