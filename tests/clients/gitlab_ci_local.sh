#!/bin/sh
# A job with artifacts and a service as gitlab-ci-local runs it: its docker commands, in their order (src/job.ts,
# src/utils.ts of 4.x).
set -u
cd "$(dirname "$0")" || exit 1
. ./lib.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/repo/sub" "$work/out"
echo source >"$work/repo/sub/file"

expect "image" 0 "" sh -c 'timeout 60 docker image inspect busybox:latest >/dev/null'
expect "build volume" 0 gcl-build d volume create gcl-build
expect "tmp volume" 0 gcl-tmp d volume create gcl-tmp
helper=$(d create --user=0:0 --mount type=volume,src=gcl-build,dst=/gcl-builds -v gcl-tmp:/tmp/gcl busybox:latest \
	sh -c 'chmod 0777 -R /gcl-builds && chown 1000:1000 -R /gcl-builds')
expect "copy into a container that never ran" 0 "" sh -c "timeout 60 docker cp '$work/repo/.' '$helper:/gcl-builds' 2>/dev/null"
expect "then it runs" 0 "" d start --attach "$helper"
expect "remove with its volumes" 0 "$helper" d rm -vf "$helper"
expect "who" 0 "0:0" d run --rm --entrypoint sh busybox:latest -c 'echo $(id -u):$(id -g)'

likely "network" '^[0-9a-f]{64}$' d network create gcl-net
service=$(d create --network gcl-net --network-alias db busybox:latest \
	sh -c 'mkdir /w; echo from-db >/w/v; exec httpd -f -p 5432 -h /w')
expect "service" 0 "$service" d start "$service"
expect "wait for it" 0 "" d run --rm --network gcl-net busybox:latest \
	sh -c 'for i in $(seq 600); do nc -z db 5432 && exit 0; sleep 0.1; done; exit 1'

job=$(d create --interactive --user=1000:1000 --network gcl-net -e CI=true --mount type=volume,src=gcl-build,dst=/gcl-builds \
	-v gcl-tmp:/tmp/gcl --workdir /gcl-builds busybox:latest sh -c 'sh /gcl-cmd')
cat >"$work/gcl-cmd" <<'SCRIPT'
set -e
cat sub/file
wget -qO- http://db:5432/v
id -u
mkdir -p artifacts
echo made >artifacts/result
SCRIPT
expect "the script goes in" 0 "" sh -c "timeout 60 docker cp '$work/gcl-cmd' '$job:/gcl-cmd' 2>/dev/null"
expect "the job" 0 "source
from-db
1000" sh -c "timeout 60 docker start --attach -i '$job' </dev/null"
expect "artifacts come out" 0 "" sh -c "timeout 60 docker cp '$job:/gcl-builds/artifacts/.' '$work/out' 2>/dev/null"
expect "they are there" 0 made cat "$work/out/result"
expect "connect a running one" 0 "" d network connect gcl-net "$(d run -d --name gcl-late busybox:latest sleep 60)"
expect "it sees the service" 0 from-db d exec gcl-late wget -qO- http://db:5432/v

for c in "$job" "$service" gcl-late; do
	expect "remove" 0 "$c" d rm -vf "$c"
done
expect "network goes" 0 gcl-net d network rm gcl-net
expect "volumes go" 0 "gcl-build
gcl-tmp" d volume rm gcl-build gcl-tmp
verdict "gitlab-ci-local's commands"
