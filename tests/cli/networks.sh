# Sourced by run.sh: docker network in its documented ways, and what run says of networks.

# ---- create, ls, inspect ----
check_like "create" 0 "[0-9a-f]{64}" d network create plain
check_like "create with everything" 0 "[0-9a-f]{64}" d network create -d bridge --subnet 10.61.0.0/16 --ip-range 10.61.5.0/24 \
	--gateway 10.61.5.254 --aux-address router=10.61.5.1 --label a=b --label c -o x=y --internal --attachable all
check "inspect shows it" 0 "bridge local true true map[a:b c:] map[x:y]
10.61.0.0/16 10.61.5.0/24 10.61.5.254" d network inspect all -f '{{.Driver}} {{.Scope}} {{.Internal}} {{.Attachable}} {{.Labels}} {{.Options}}
{{range .IPAM.Config}}{{.Subnet}} {{.IPRange}} {{.Gateway}}{{end}}'
check "create --ipv6" 0 "true 2" sh -c '"$docker" network create --ipv6 --subnet 10.62.0.0/24 --subnet fd62::/64 six >/dev/null
	"$docker" network inspect six -f "{{.EnableIPv6}} {{len .IPAM.Config}}"'
check "create --config-only and --config-from" 0 "config 10.63.0.0/24" sh -c '
	"$docker" network create --config-only --subnet 10.63.0.0/24 config >/dev/null
	"$docker" network create --config-from config configured >/dev/null
	"$docker" network inspect configured -f "{{.ConfigFrom.Network}} {{range .IPAM.Config}}{{.Subnet}}{{end}}"'
check "ls" 0 "all bridge config configured plain six" sh -c 'echo $("$docker" network ls --format "{{.Name}}" -f name=al -f name=bridge -f name=config -f name=plain -f name=six | sort)'
check "ls -q --no-trunc" 0 "64" sh -c 'id=$("$docker" network ls -q --no-trunc -f name=plain); echo ${#id}'
check "ls -f type" 0 "bridge host none" sh -c 'echo $("$docker" network ls -f type=builtin --format "{{.Name}}" | sort)'
check "ls -f label, driver" 0 "all" d network ls -f label=a=b -f driver=bridge --format '{{.Name}}'
check_like "create: the name is taken" 1 "Error response from daemon: network with name plain already exists(\|exit status 1)?" d network create plain
check_has "create: the subnet is taken" 1 "Pool overlaps with other one on this address space" d network create --subnet 10.61.7.0/24 over
check_has "create: bad subnet" 1 "invalid" d network create --subnet 10.0.0/8 bad
check_has "create: unknown driver" 1 "nosuch" d network create -d nosuch bad
check_has "inspect: no such" 1 "nope not found" d network inspect nope

# ---- containers ----
d run -d --name one --network plain --network-alias uno --hostname h1 busybox sleep 1000 >/dev/null
check_like "run --network: an address" 0 "172\.[0-9]+\.[0-9]+\.[0-9]+|192\.168\.[0-9]+\.[0-9]+" \
	d inspect one -f '{{.NetworkSettings.Networks.plain.IPAddress}}'
check "inspect of the network shows it" 0 "one" d network inspect plain -f '{{range .Containers}}{{.Name}}{{end}}'
# The oracle calls each network dangling.
ours check "ls -f dangling" 0 "false true" sh -c '
	"$docker" network ls -f dangling=true --format "{{.Name}}" | grep -qx plain && a=true || a=false
	"$docker" network ls -f dangling=true --format "{{.Name}}" | grep -qx six && b=true || b=false; echo $a $b'
mac="--mac-address 02:42:00:00:00:09" # since API 1.44; the oracle makes one of the address
[ -z "${oracle:-}" ] || mac=
check_like "run --ip, --ip6, --mac-address" 0 "10.62.0.9 fd62::9 02:42:(00:00|0a:3e):00:09" sh -c '
	"$docker" run -d --name fixed --network six --ip 10.62.0.9 --ip6 fd62::9 $1 busybox sleep 1000 >/dev/null
	"$docker" inspect fixed -f "{{with .NetworkSettings.Networks.six}}{{.IPAddress}} {{.GlobalIPv6Address}} {{.MacAddress}}{{end}}"' sh "$mac"
check_has "run --ip: taken" 125 "Address already in use" d run --rm --network six --ip 10.62.0.9 busybox true
check_like "run --ip: outside" 125 ".*(no configured subnet contains IP address 10.1.1.1|Invalid address 10.1.1.1: It does not belong to any of this network.s subnets).*" d run --rm --network six --ip 10.1.1.1 busybox true
check_like "run --ip on the bridge" 125 ".*(user-defined|user defined) networks only.*" d run --rm --ip 172.17.0.9 busybox true
check_has "run: bad --mac-address" 125 "zz is not a valid mac address" d run --rm --mac-address zz busybox true
check_has "run: no such network" 125 "network nosuch not found" d run --rm --network nosuch busybox true
check "connect and disconnect" 0 "plain six
plain" sh -c 'names() { echo $("$docker" inspect one -f "{{range \$n, \$e := .NetworkSettings.Networks}}{{\$n}} {{end}}"); }
	"$docker" network connect --alias eins --ip 10.62.0.20 six one && names; "$docker" network disconnect six one && names'
check_has "connect twice" 1 "endpoint with name one already exists in network plain" d network connect plain one
check_has "disconnect: not connected" 1 "is not connected to network six" d network disconnect six one
check_has "disconnect -f: no such container" 1 "endpoint nosuch not found" d network disconnect -f plain nosuch
check "ps -f network" 0 "one" d ps -f network=plain --format '{{.Names}}'
check_like "rm: in use" 1 '.*network plain (has active endpoints \(name:"one"|id [0-9a-f]* has active endpoints).*' d network rm plain
check_has "rm: predefined" 1 "bridge is a pre-defined network and cannot be removed" d network rm bridge

# ---- files ----
check "/etc/hosts, --add-host, host-gateway" 0 "1.2.3.4	extra
172.17.0.1	gate" d run --rm --add-host extra:1.2.3.4 --add-host gate:host-gateway busybox grep -E 'extra|gate' /etc/hosts
check "--hostname, --domainname" 0 "h.example.org h" d run --rm --hostname h --domainname example.org busybox sh -c 'grep -o "h\.example.*" /etc/hosts'
check "--dns, --dns-search, --dns-option" 0 "nameserver 9.9.9.9
options timeout:1
search s.org" d run --rm --dns 9.9.9.9 --dns-search s.org --dns-option timeout:1 busybox sh -c 'grep -v "^#" /etc/resolv.conf | grep . | sort'
check "a network of one's own has its own name server" 0 "nameserver 127.0.0.11" d run --rm --network plain busybox grep nameserver /etc/resolv.conf
check "--network container:" 0 "h1" d run --rm --network container:one busybox cat /etc/hostname
check "--link" 0 "1" sh -c '"$docker" run -d --name linked busybox sleep 1000 >/dev/null
	"$docker" run --rm --link linked:peer busybox grep -c "peer .* linked" /etc/hosts 2>/dev/null'

check "--link is a name too" 0 "/linked" sh -c '"$docker" create --name linker --link linked:peer --link linked:other busybox sleep 1000 >/dev/null 2>&1
	"$docker" inspect --format "{{.Name}}" linker/peer'
check "ps --no-trunc shows it" 0 "linked,linker/other,linker/peer" d ps --no-trunc --filter name=linked --format '{{.Names}}'
check "ps shows the own name" 0 "linked" d ps --filter name=linked --format '{{.Names}}'
check "exec by a link's name" 0 "there" d exec linker/peer echo there
check "rm --link" 0 "linker/peer" d rm --link linker/peer
check "rm --link: gone" 0 "[/linked:/linker/other] linked,linker/other" sh -c '
	echo "$("$docker" inspect --format "{{.HostConfig.Links}}" linker) $("$docker" ps --no-trunc --filter name=linked --format "{{.Names}}")"'
check_has "rm --link: a link that is none" 1 "No such container: linker/peer" d rm --link linker/peer
check_has "rm --link: not a link" 1 "Conflict, cannot remove the default link name of the container" d rm --link linked
d rm linker >/dev/null

# ---- ports ----
d run -d --name ports -p 127.0.0.1::80 -p 127.0.0.1:0:81/udp --expose 82 busybox sleep 1000 >/dev/null
check_like "port" 0 "80/tcp -> 127.0.0.1:[0-9]+\|81/udp -> 127.0.0.1:[0-9]+" d port ports
check_like "port of one" 0 "127.0.0.1:[0-9]+" d port ports 81/udp
check_like "ps shows them" 0 "82/tcp, 127.0.0.1:[0-9]+->80/tcp, 127.0.0.1:[0-9]+->81/udp" d ps -f name=ports --format '{{.Ports}}'
check_has "port: none" 1 "o public port '90" d port ports 90
taken=$(d port ports 80)
check_has "a taken port" 125 "Bind for $taken failed: port is already allocated" d run --rm --name taker -p "$taken:80" busybox true
check "-P" 0 "1" sh -c '"$docker" run -d --name all -P --expose 7000 busybox sleep 1000 >/dev/null; "$docker" port all | grep -c "0.0.0.0"'
check_has "--network host discards them" 0 "Published ports are discarded when using host network mode" d create --name hosted --network host -p 80 busybox true

# ---- events, prune, rm ----
check "events" 0 "create connect disconnect destroy" sh -c 'since=$(date +%s.%N); "$docker" network create told >/dev/null
	"$docker" run --rm --network told busybox true; "$docker" network rm told >/dev/null
	echo $("$docker" events --since "$since" --until "$(date +%s.%N)" -f type=network -f network=told --format "{{.Action}}")'
d rm -f one fixed linked ports all hosted >/dev/null
check "prune -f --filter" 0 "Deleted Networks:
all" d network prune -f --filter label=a=b
check "rm several" 0 "plain
six" d network rm plain six
check_has "rm: a configuration in use" 1 'configuration network "config" is in use' d network rm config
check "rm both" 0 "configured
config" d network rm configured config
check "rm -f: no such" 0 "" d network rm -f nope
