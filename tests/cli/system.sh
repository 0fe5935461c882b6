# Sourced by run.sh: the daemon as a whole, and what it has not: system, events, context, plug-ins, clusters, registries.
d run --name sy1 busybox sh -c 'head -c 3000 /dev/zero >/f' >/dev/null
d run -d --name sy2 -v syv:/v -l keep=yes busybox sh -c 'head -c 2000 /dev/zero >/v/f; exec sleep 1000' >/dev/null
soon sh -c '"$docker" exec sy2 test -s /v/f'

# ---- df ----
check "df's kinds" 0 "Images Containers Local Volumes Build Cache" sh -c 'echo $("$docker" system df --format "{{.Type}}")'
check "df's containers" 0 "2 1 3kB" sh -c '"$docker" system df --format "{{if eq .Type \"Containers\"}}{{.TotalCount}} {{.Active}} {{.Size}}{{end}}" | grep .'
check "df's volumes" 0 "1 1 2kB 0B (0%)" sh -c '"$docker" system df --format "{{if eq .Type \"Local Volumes\"}}{{.TotalCount}} {{.Active}} {{.Size}} {{.Reclaimable}}{{end}}" | grep .'
check "df's build cache" 0 "0 0 0B 0B" sh -c '"$docker" system df --format "{{if eq .Type \"Build Cache\"}}{{.TotalCount}} {{.Active}} {{.Size}} {{.Reclaimable}}{{end}}" | grep .'
check_has "df -v: images" 0 "busybox" d system df -v
check "df -v: volumes" 0 "syv 1 2kB" sh -c 'echo $("$docker" system df -v | grep "^syv ")'
check_has "df -v: containers" 0 "sy1" d system df -v

# ---- info, version ----
check "info" 0 "linux inactive 2" d info -f '{{.OSType}} {{.Swarm.LocalNodeState}} {{.Containers}}'
check_has "info as text" 0 "Server Version:" d info
check "version's two sides" 0 "linux linux" d version -f '{{.Client.Os}} {{.Server.Os}}'
check_has "info's mistakes" 64 "template parsing error" d info -f '{{'

# ---- events ----
since=$(date +%s)
until [ "$(date +%s)" -gt "$since" ]; do sleep 0.05; done
d run --rm --name sy3 -l told=yes busybox true
end=$(date +%s) # of the last event's second
until [ "$(date +%s)" -gt "$end" ]; do sleep 0.05; done
events() { d events --since "$since" --until "$(date +%s)" "$@"; }
check "events as JSON" 0 "container die 0" sh -c '"$docker" events --since '"$since"' --until $(date +%s) --format json --filter event=die --filter container=sy3 |
	sed "s/.*\"exitCode\":\"\([0-9]*\)\".*/container die \1/"'
check "events by label" 0 "create attach start die destroy" sh -c 'echo $("$docker" events --since '"$since"' --until $(date +%s) --filter label=told=yes --filter type=container --format "{{.Action}}")'
check "events by label of none" 0 "" events --filter label=told=no
check "events by image" 0 "sy3" sh -c '"$docker" events --since '"$since"' --until $(date +%s) --filter image=busybox --filter event=start --filter container=sy3 --format "{{.Actor.Attributes.name}}"'
check_has "events as text" 0 "container start" events --filter container=sy3
check_has "events of a time that is none" 1 "failed to parse value" d events --since nonsense --until 1

# ---- contexts are the CLI's own ----
DOCKER_CONFIG=$dir/contexts
export DOCKER_CONFIG
mkdir -p "$DOCKER_CONFIG"
endpoint=${DOCKER_HOST:-unix:///var/run/docker.sock}
check_has "context create" 0 "here" d context create here --docker "host=$endpoint" --description "a test"
check "context ls" 0 "default here" sh -c 'unset DOCKER_HOST; echo $("$docker" context ls -q)'
check "context inspect" 0 "$endpoint" d context inspect here -f '{{.Endpoints.docker.Host}}'
check "a command in a context" 0 "sy1" sh -c 'unset DOCKER_HOST; "$docker" --context here ps -a --filter name=sy1 --format "{{.Names}}"'
check "context show" 0 "here" sh -c 'unset DOCKER_HOST; DOCKER_CONTEXT=here "$docker" context show'
check_has "context update" 0 "here" d context update here --description "another"
check_has "context rm" 0 "here" d context rm here
unset DOCKER_CONFIG

# ---- what is not here says so in Docker's words ----
no_manager='Error response from daemon: This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.'
check "service ls" 1 "$no_manager" d service ls
check "node ls" 1 "$no_manager" d node ls
check "secret ls" 1 "$no_manager" d secret ls
check "config ls" 1 "$no_manager" d config ls
check "swarm leave" 1 "Error response from daemon: This node is not part of a swarm" d swarm leave
check "swarm update" 1 "$no_manager" d swarm update --autolock
ours check_has "swarm init" 1 "sockerless has no cluster manager" d swarm init # Docker becomes a swarm
check "plugin ls" 0 "" d plugin ls -q
check_has "plugin inspect" 1 'plugin "nosuch" not found' d plugin inspect nosuch
check_has "plugin rm" 1 'plugin "nosuch" not found' d plugin rm nosuch
ours check_has "plugin install" 1 "plugins are not supported" d plugin install --grant-all-permissions a/b # Docker asks a registry
check_has "login" 1 "connection refused" sh -c 'echo p | "$docker" --config "$0/login" login -u u --password-stdin 127.0.0.1:9' "$dir"
check_has "push" 1 "An image does not exist locally with the tag: 127.0.0.1:9/nosuchimage" d push 127.0.0.1:9/nosuchimage
check_has "search" 1 "connection refused" d search 127.0.0.1:9/x
ours check_has "BuildKit's own container" 125 "DOCKER_BUILDKIT=0" d run moby/buildkit:buildx-stable-1

# ---- prune ----
check "builder prune" 0 "Total reclaimed space: 0B" sh -c '"$docker" builder prune -f 2>/dev/null | tail -n 1'
check_like "prune with a filter that is none" 1 ".*[Ii]nvalid filter.*" d container prune -f --filter nope=1
check "prune of what is old" 0 "Total reclaimed space: 0B" d container prune -f --filter until=1h
check "container prune" 0 "Total reclaimed space: 3kB" sh -c '"$docker" container prune -f | tail -n 1'
check "what runs stays" 0 "sy2" d ps -a --filter name=sy --format '{{.Names}}'
d create --name sy4 -l keep=yes busybox true >/dev/null
d create --name sy5 busybox true >/dev/null
check "container prune by label" 0 "sy4" sh -c '"$docker" container prune -f --filter label!=keep >/dev/null; "$docker" ps -a --filter name=sy4 --filter name=sy5 --format "{{.Names}}"'
d rm -f sy4 >/dev/null
d create --name sy8 busybox true >/dev/null
d network create sysnet >/dev/null
d volume create syx >/dev/null
check_has "system prune" 0 "sysnet" d system prune -f
check "it took what was unused, and left volumes" 0 "sy2 syv syx" sh -c 'echo $("$docker" ps -a --filter name=sy --format "{{.Names}}") $("$docker" volume ls -q --filter name=sy)'
check_has "system prune with volumes" 0 "Total reclaimed space" d system prune -af --volumes --filter label=nosuch
d volume rm syx >/dev/null

# ---- docker container, by its long names ----
check "container create" 0 "created" sh -c '"$docker" container create --name sy6 busybox sh -c "echo hi; exec sleep 1000" >/dev/null; "$docker" container inspect -f "{{.State.Status}}" sy6'
check "container start" 0 "sy6" d container start sy6
soon has_logged sy6 hi
check "container logs" 0 "hi" d container logs sy6
check_has "container top" 0 "sleep 1000" d container top sy6
check "container exec" 0 "in" d container exec sy6 echo in
check "container cp" 0 "root:x:0:0" sh -c '"$docker" container cp sy6:/etc/passwd - | tar -xO | grep -o "^root:x:0:0"'
check "container rename" 0 "/sy7" sh -c '"$docker" container rename sy6 sy7; "$docker" container inspect -f "{{.Name}}" sy7'
check "container pause, unpause" 0 "sy7 paused sy7 running" sh -c 'for w in pause unpause; do "$docker" container $w sy7; "$docker" container inspect -f "{{.State.Status}}" sy7; done | tr "\n" " " | sed "s/ $//"'
check_has "container stats" 0 "sy7" d container stats --no-stream --format '{{.Name}}' sy7
check "container port" 0 "" d container port sy7
check "container update" 0 "sy7" d container update --restart no sy7
check "container restart" 0 "sy7" d container restart -t 0 sy7
check "container kill" 0 "sy7" d container kill sy7
check "container wait" 0 "137" d container wait sy7
check "container ls" 0 "sy7" sh -c '"$docker" container ls -a -n 1 --format "{{.Names}}"'
check_has "container diff" 0 "" d container diff sy7
check "container export" 0 "etc/passwd" sh -c '"$docker" container export sy7 | tar -t | grep -x etc/passwd'
check "container attach of what has ended" 1 "You cannot attach to a stopped container, start it first" d container attach sy7
check "container stop of what has ended" 0 "sy7" d container stop sy7
check "container rm" 0 "sy7" d container rm sy7
check "container run" 0 "ran" d container run --rm busybox echo ran

# ---- docker image ----
check "image tag, ls" 0 "syi:1" sh -c '"$docker" image tag busybox syi:1; "$docker" image ls --format "{{.Repository}}:{{.Tag}}" syi'
check "image ls by reference" 0 "syi:1" d image ls --filter 'reference=sy*:1' --format '{{.Repository}}:{{.Tag}}'
check "image ls of dangling ones" 0 "" d image ls -q --filter dangling=true --filter label=nosuch
check_has "image ls before one that is none" 1 "No such image" d image ls --filter before=nosuch
check "image ls -q --no-trunc" 0 "same" sh -c '[ "$("$docker" image ls -q --no-trunc syi)" = "$("$docker" image inspect -f "{{.Id}}" busybox)" ] && echo same'
check_has "image ls --digests" 0 "DIGEST" d image ls --digests
check_has "image ls as JSON" 0 '"Repository":"syi"' d image ls --format json syi
check "image inspect of two" 0 "linux linux" sh -c 'echo $("$docker" image inspect -f "{{.Os}}" busybox syi:1)'
check_has "image inspect of none" 1 "No such image: nosuch:latest" d image inspect nosuch
check "image rm" 0 "Untagged: syi:1" d image rm syi:1
check "image prune" 0 "Total reclaimed space: 0B" d image prune -f

# ---- docker volume ----
check "volume create" 0 "sya" d volume create --label kind=test sya
check "volume ls by label, name, driver" 0 "sya sya sya" sh -c 'for f in label=kind=test name=sya driver=local; do "$docker" volume ls -q --filter $f --filter name=sya; done | tr "\n" " " | sed "s/ $//"'
check "volume ls of dangling ones" 0 "sya" d volume ls -q --filter dangling=true --filter name=sy
check "volume ls of used ones" 0 "syv" d volume ls -q --filter dangling=false --filter name=sy
check "volume ls as JSON" 0 "sya" sh -c '"$docker" volume ls --format json --filter name=sya | sed "s/.*\"Name\":\"\([a-z]*\)\".*/\1/"'
check "volume inspect" 0 "local test" d volume inspect -f '{{.Driver}} {{.Labels.kind}}' sya
check_has "volume rm of a used one" 1 "volume is in use" d volume rm syv
ours check "volume prune of all" 0 "Total reclaimed space: 0B" sh -c '"$docker" volume prune -af --filter label=kind=test | tail -n 1'
ours check_has "volume inspect of none" 1 "no such volume" d volume inspect sya

d rm -fv sy2 >/dev/null
d volume rm syv >/dev/null
