# Sourced by run.sh: bytes between containers, from the host, and where none may pass.
d network create front >/dev/null
d network create back >/dev/null
d network create --internal inside >/dev/null
d run -d --name web --network front --network-alias www -p 127.0.0.1::8080 busybox \
	sh -c 'mkdir /w; echo hello >/w/index.html; exec httpd -f -p 8080 -h /w' >/dev/null
fetch() { d run --rm --network "$1" busybox wget -T 60 -qO- "http://$2:8080/"; }
web=$(d inspect web -f '{{.NetworkSettings.Networks.front.IPAddress}}')
soon fetch front web
check "by name" 0 "hello" fetch front web
check "by alias" 0 "hello" fetch front www
check "by short id" 0 "hello" fetch front "$(d inspect web -f '{{slice .Id 0 12}}')"
check "by address" 0 "hello" fetch front "$web"
check_has "another network does not know the name" 1 "bad address" fetch back web
check_has "nor reaches the address" 1 "can't connect" fetch back "$web"
check_has "nor does the default bridge" 1 "can't connect" fetch bridge "$web"
check "none has only itself" 1 "wget: can't connect to remote host (1.2.3.4): Network unreachable" \
	d run --rm --network none busybox wget -T 60 -qO- http://1.2.3.4/
check_has "an internal network has no way out" 1 "Network unreachable" d run --rm --network inside busybox wget -T 60 -qO- http://1.2.3.4/
check "the loopback is its own" 0 "hello" d exec web wget -qO- http://127.0.0.1:8080/
check_has "and no one else's" 1 "Connection refused" d run --rm --network front busybox wget -qO- http://127.0.0.1:8080/
check "--network container: shares it" 0 "hello" d run --rm --network container:web busybox wget -qO- http://127.0.0.1:8080/
check "a published port, from the host" 0 "hello" from_host curl -s -m 60 "http://$(d port web 8080)/"

# ---- IPv6, and what netstat shows ----
d network create --ipv6 --subnet 10.64.0.0/24 --subnet fd64::/64 six >/dev/null
d run -d --name six --network six busybox sh -c 'mkdir /w; echo six >/w/index.html; nc -ll -p 9000 -e cat & nc -ll -p 9001 -e dd if=/dev/zero bs=64k count=16 & exec httpd -f -p 8080 -h /w' >/dev/null
d run -d --name ask --network six busybox sleep 1000 >/dev/null
six=$(d inspect six -f '{{.NetworkSettings.Networks.six.GlobalIPv6Address}}')
soon d exec ask wget -T 60 -qO- "http://[$six]:8080/"
listens() { d exec "$1" netstat -lnt | grep -q ":$2 "; }
soon listens six 9000
soon listens six 9001
check "by IPv6 address" 0 "six" d exec ask wget -T 60 -qO- "http://[$six]:8080/"
check_has "names have IPv6 addresses too" 0 "$six" d exec ask nslookup six
check "ping by IPv6" 0 "1 packets received" sh -c '"$docker" exec ask ping6 -c 1 six | grep -o "1 packets received"'
check_has "on another network the IPv6 address is not reached" 1 "can't connect" fetch front "[$six]"
check "1 MB of a connection" 0 "1048576" d exec ask sh -c 'nc six 9001 -e sh -c "wc -c >/n"; cat /n'
check_like "stats count it, where it came from and where to" 0 "ask 1\.[01].MB / .*\|six .* / 1\.[01].MB" \
	sh -c '"$docker" stats --no-stream --format "{{.Name}} {{.NetIO}}" ask six | sort'
check "and so does /proc/net/dev" 0 "true" sh -c '"$docker" exec ask awk "/eth0/ { print (\$2 > 1048576 && \$2 < 1200000 ? \"true\" : \$2) }" /proc/net/dev'
d exec -d ask nc "$six" 9000 -e sleep 1000
d exec -d ask nc 10.64.0.2 9000 -e sleep 1000
connected() { d exec "$1" netstat -tn | grep -c ESTABLISHED; }
has_connected() { [ "$(connected "$1")" = "$2" ]; }
soon has_connected ask 2
soon has_connected six 2
check "netstat: who asked" 0 "10.64.0.2:9000 $six:9000" sh -c 'echo $("$docker" exec ask netstat -tn | awk "/ESTABLISHED/ { print \$5 }" | sort)'
check "netstat: who was asked" 0 "2" connected six
check "/proc/net/tcp has the same address" 0 "1" sh -c '"$docker" exec ask grep -c "0300400A:.... 0200400A:2328 01 " /proc/net/tcp'
d exec ask killall sleep
soon has_connected six 0
check "netstat: when the other side has gone" 1 "0" connected six
d rm -f six ask >/dev/null
d network rm six >/dev/null

# ---- connect and disconnect while it runs ----
d run -d --name mover busybox sleep 1000 >/dev/null
d network connect front mover
check "connected, it is reached" 0 "hello" d exec mover wget -T 60 -qO- http://www:8080/
d network disconnect front mover
check_has "disconnected, it is not" 1 "bad address" d exec mover wget -T 60 -qO- http://www:8080/
check_has "nor by address" 1 "can't connect" d exec mover wget -T 60 -qO- "http://$web:8080/"

# ---- links ----
check "--link on the bridge reaches by its alias" 0 "1 packets received" sh -c '
	"$docker" run --rm --link mover:peer busybox ping -c 1 peer 2>/dev/null | grep -o "1 packets received"'
check "--link on a network of one's own" 0 "hello" d run --rm --network front --link web:mine busybox wget -T 60 -qO- http://mine:8080/

# ---- a restart ----
d restart -t 0 web >/dev/null
soon fetch front web
check "after a restart, by name" 0 "hello" fetch front web
check "and by its port" 0 "hello" from_host curl -s -m 60 "http://$(d port web 8080)/"
port=$(d port web 8080)
d rm -f web mover >/dev/null
check "the port is free again" 7 "" from_host curl -s -m 60 "http://$port/"
d network rm front back inside >/dev/null

[ -z "${oracle:-}" ] || return 0 # what follows is of our host and our daemon

# ---- the host's own services, and a second daemon ----
mkdir -p "$dir/www" && echo "host" >"$dir/www/index.html"
python3 -u -m http.server --bind 127.0.0.1 --directory "$dir/www" 0 >"$dir/served" 2>&1 &
server=$!
soon grep -q port "$dir/served"
private=$(sed -n 's/.* port \([0-9]*\).*/\1/p' "$dir/served" | head -n1)
check "the host reaches its own service" 0 "host" curl -s -m 60 "http://127.0.0.1:$private/"
check_has "a container does not, at its own loopback" 1 "Connection refused" d run --rm busybox wget -T 60 -qO- "http://127.0.0.1:$private/"
check_has "nor through the gateway" 1 "can't connect" d run --rm busybox wget -T 60 -qO- "http://172.17.0.1:$private/"
check "a container listens on a port that the host uses" 0 "inside" d run --rm busybox sh -c "
	mkdir /w && echo inside >/w/index.html && httpd -p $private -h /w && wget -qO- http://127.0.0.1:$private/"
check_has "but it cannot be published there" 125 "address already in use" d run --rm -p "127.0.0.1:$private:80" busybox true
check "and the host's service still answers" 0 "host" curl -s -m 60 "http://127.0.0.1:$private/"
kill $server

"$B/bin/sockerlessd" -H "unix://$dir/second.sock" --data-root "$dir/second" --sandbox "$dir/sockerless-sandbox" \
	--guest build/guest/rootfs >>"$dir/log" 2>&1 &
second=$!
d2() { DOCKER_HOST="unix://$dir/second.sock" d "$@"; }
soon d2 version
content='mkdir /w && echo $0 >/w/index.html && exec httpd -f -p 8080 -h /w'
d run -d --name twin busybox sh -c "$content" first >/dev/null
for _ in 1 2; do d2 run -d busybox sleep 600 >/dev/null; done # addresses that the first one has not
d2 run -d --name twin busybox sh -c "$content" second >/dev/null
address=$(d2 inspect -f '{{.NetworkSettings.Networks.bridge.IPAddress}}' twin)
same=$(d inspect -f '{{.NetworkSettings.Networks.bridge.IPAddress}}' twin)
check "each daemon's containers have their own world: the first" 0 "first" d run --rm busybox sh -c \
	"for i in \$(seq 1000); do wget -qO- http://$same:8080/ 2>/dev/null && exit; sleep 0.1; done"
check "the second" 0 "second" d2 run --rm busybox sh -c \
	"for i in \$(seq 1000); do wget -qO- http://$address:8080/ 2>/dev/null && exit; sleep 0.1; done"
check_has "the first does not reach the second's" 1 "can't connect" d run --rm busybox wget -T 60 -qO- "http://$address:8080/"
d rm -f twin >/dev/null
kill $second
wait $second
