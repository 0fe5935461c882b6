# Sourced by run.sh: sockets as BusyBox's programs use them, in a network with nobody else on it. The calls one by
# one are in socket_calls.c (make test-walls).

mkdir -p "$dir/net-upper"
# box SCRIPT [OPTION...]: as the main process of a sandbox with a network of its own; its output in one line
box() {
	script=$1
	shift
	timeout 180 "$B/bin/sandbox-run" -N "$@" "$dir/sockerless-sandbox" build/guest/rootfs "$dir/net-upper" sh -c "$script" </dev/null |
		tr '\n' ' ' | sed 's/ $/\n/'
}
# In the scripts: until somebody listens.
until_listening='l() { for i in $(seq 3000); do netstat -ln${2:-t} | grep -q ":$1 " && return; sleep 0.02; done; }'

check "no network, no sockets" 0 "Address family not supported by protocol" sh -c "
	timeout 180 $B/bin/sandbox-run '$dir/sockerless-sandbox' build/guest/rootfs '$dir/net-upper' nc 127.0.0.1 1 2>&1 | sed 's/.*: //'"

# ---- what there is ----
check "interfaces by ioctl" 0 "eth0 172.17.0.2 172.17.255.255 255.255.0.0 lo 127.0.0.1 255.0.0.0" box \
	'ifconfig | sed -nE "s/^([a-z0-9]+) .*/\1/p; s/.*inet addr:([0-9.]+) +Bcast:([0-9.]+) +Mask:([0-9.]+).*/\1 \2 \3/p; s/.*inet addr:([0-9.]+) +Mask:([0-9.]+).*/\1 \2/p"'
check "interfaces by netlink" 0 "127.0.0.1/8 ::1/128 172.17.0.2/16" box "ip addr | awk '/inet/ { print \$2 }'"
check "routes by netlink and /proc" 0 "172.17.0.0/16 dev eth0 scope link src 172.17.0.2 172.17.0.0 255.255.0.0" box \
	"echo \$(ip route) \$(route -n | awk '/eth0/ { print \$1, \$3 }')"
check "nothing of it can be changed" 0 "2 1 2 1" box 'exec 2>/dev/null
	ip link set eth0 down; echo $?; ifconfig eth0 10.0.0.1; echo $?; ip addr add 10.0.0.1/8 dev lo; echo $?
	route add default gw 172.17.0.1; echo $?'
check "names of services" 0 "http" box "$until_listening"'
	nc -l -p 80 & l 80; netstat -lt | sed -n "s/.*:\(http\) .*/\1/p"; kill -9 $!'

# ---- TCP ----
check "a server that forks, its files, its refusals" 0 "hello hello hello same 404 refused" box "$until_listening"'
	mkdir -p /tmp/www; cd /tmp/www; echo hello >index.html; head -c 3000000 /dev/urandom >big
	httpd -p 8080 -h /tmp/www; l 8080
	for host in 127.0.0.1 172.17.0.2 "[::1]"; do wget -qO- "http://$host:8080/"; done
	[ "$(wget -qO- http://127.0.0.1:8080/big | md5sum)" = "$(md5sum <big)" ] && echo same
	wget -qO- http://127.0.0.1:8080/none 2>&1 | grep -o 404
	wget -qO- http://127.0.0.1:8081/ 2>&1 | grep -o refused'
check "both ways, and each end closed by itself" 0 "to server to client" box "$until_listening"'
	echo to client | nc -l -p 999 >/tmp/got & l 999; echo to server | nc 127.0.0.1 999 >/tmp/back; wait; cat /tmp/got /tmp/back'
check "standard streams are the socket, over exec" 0 "1 2 3" box "$until_listening"'
	nc -lk -p 1000 -e cat & l 1000; for i in 1 2 3; do echo $i | nc 127.0.0.1 1000; done; kill -9 $!'
check "inetd's way" 0 "hello" box "$until_listening"'
	echo "7777 stream tcp nowait root /bin/echo echo hello" >/tmp/inetd.conf
	inetd -f /tmp/inetd.conf & l 7777; nc 127.0.0.1 7777 </dev/null; kill $!'
check "telnetd: a terminal over the network" 0 "seen /dev/pts/N" box "$until_listening"'
	telnetd -F -p 2323 -l /bin/sh & l 2323; rm -f /tmp/told
	(echo "echo se\"\"en; tty; exit"; for i in $(seq 3000); do grep -q ^/dev/pts /tmp/told && break; sleep 0.02; done) | nc 127.0.0.1 2323 >/tmp/told
	</tmp/told sed -nE "s/^(seen).*/\1/p; s,^(/dev/pts/)[0-9]+.*,\1N,p"; kill $!'
check "who listens" 0 "LISTEN 0.0.0.0:1001" box "$until_listening"'
	nc -lk -s 0.0.0.0 -p 1001 & l 1001; netstat -lnt | awk "/:1001 / { print \$6, \$4 }"; kill -9 $!'
check "a port is free when its process is killed" 0 "again" box "$until_listening"'
	nc -l -p 1002 & l 1002; kill -9 $!; wait 2>/dev/null; echo again | nc -l -p 1002 & l 1002; nc 127.0.0.1 1002 </dev/null'
check "nobody listens, and who listened is killed" 0 "1 1" box "$until_listening"'
	exec 2>/dev/null; nc 127.0.0.1 1003; echo $?; nc -l -p 1003 & l 1003; kill -9 $!; wait; nc 127.0.0.1 1003; echo $?'
check "signals in the middle of accept" 0 "100 well" box "$until_listening"'
	trap "n=\$((n+1))" USR1; n=0; echo well | nc -l -p 1004 >/tmp/got & l 1004
	for i in $(seq 100); do kill -USR1 $$; done; echo $n; nc 127.0.0.1 1004 </dev/null; wait'
check "a thousand connections leave nothing" 0 "1000 3" box "$until_listening"'
	tcpsvd 127.0.0.1 1005 echo x & s=$!; l 1005; n=0
	while [ $n -lt 1000 ] && [ "$(nc 127.0.0.1 1005 </dev/null)" = x ]; do n=$((n+1)); done; echo $n
	set -- /proc/self/fd/*; echo $(($# - 1)); kill $s'

# ---- UDP, ICMP ----
check "datagrams and their answers" 0 "one two" box "$until_listening"'
	udpsvd 127.0.0.1 1006 cat & l 1006 u
	for word in one two; do until echo $word | nc -u -w 1 127.0.0.1 1006 | grep $word; do :; done; done; kill $!'
check "ping" 0 "2 packets transmitted, 2 packets received, 0% packet loss 1 packets transmitted, 1 packets received, 0% packet loss" box '
	ping -q -c 2 -i 0.1 127.0.0.1 | grep packets; ping -q -c 1 ::1 | grep packets'
check "ping of nobody" 0 "100%" box 'ping -q -c 1 -W 1 172.17.0.99 2>/dev/null | grep -o "100%" || echo "100%"'

# ---- AF_UNIX ----
check "sockets by path" 0 "srwxr-xr-x hello 1 busy" box '
	rm -f /tmp/s; tcpsvd local:/tmp/s 0 echo hello & for i in $(seq 3000); do nc local:/tmp/s </dev/null >/dev/null && break; sleep 0.02; done
	ls -l /tmp/s | cut -c1-10; nc local:/tmp/s </dev/null; tcpsvd local:/tmp/s 0 true 2>&1 | grep -o "in use" | sed "s/.*/busy/" >/tmp/busy
	kill $!; wait; nc local:/tmp/s </dev/null; echo $?; cat /tmp/busy'
check "a path that may not be written to" 0 "1 yes 0" box '
	rm -f /tmp/t; tcpsvd local:/tmp/t 0 echo yes & for i in $(seq 3000); do nc local:/tmp/t </dev/null >/dev/null && break; sleep 0.02; done
	chmod 700 /tmp/t; setuidgid 1000 nc local:/tmp/t </dev/null; echo $?; chmod 777 /tmp/t
	setuidgid 1000 nc local:/tmp/t </dev/null; echo $?; kill $!'
check "syslogd and logger" 0 "hello" box '
	syslogd -n -O /tmp/messages & for i in $(seq 3000); do [ -S /var/run/log ] && break; sleep 0.02; done
	logger hello; for i in $(seq 3000); do grep -q hello /tmp/messages && break; sleep 0.02; done; grep -o "hello$" /tmp/messages; kill $!'

# ---- leaving a network ----
check "who sleeps on a connection over it is woken, nobody else" 0 "172.17.0.2 127.0.0.1 refused" box "$until_listening"'
	tcpsvd 0 1010 sh -c "echo >>/tmp/begun; cat 2>/dev/null; echo \$TCPREMOTEADDR | cut -d: -f1 >>/tmp/ended" & l 1010; rm -f /tmp/ended /tmp/begun
	lines() { for i in $(seq 3000); do [ "$(wc -l 2>/dev/null <$1)" = $2 ] && break; sleep 0.02; done; }
	(lines /tmp/ended 1 | nc 127.0.0.1 1010) & (lines /tmp/ended 2 | nc 172.17.0.2 1010) &
	lines /tmp/begun 2; touch /leave; lines /tmp/ended 2; cat /tmp/ended
	nc 172.17.0.2 1010 </dev/null && echo reached || echo refused' -D
