#!/bin/sh
# A job with a container and a service as GitHub's actions/runner starts it: its docker commands, in their order
# (Runner.Worker, DockerCommandManager). The program itself needs GitHub to talk to, so it cannot run here.
set -u
cd "$(dirname "$0")" || exit 1
. ./lib.sh
label=a1b2c3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/_temp" "$work/repo" "$work/externals"
echo checkout >"$work/repo/file"

likely "version" '^1\.[0-9]+$' d version --format '{{.Server.APIVersion}}'
expect "containers of an earlier job" 0 "" d ps --all --quiet --no-trunc --filter "label=$label"
expect "networks of an earlier job" 0 "" d network prune --force --filter "label=$label"
likely "network" '^[0-9a-f]{64}$' d network create --label "$label" "github_network_$label"
likely "login" '^Login|unauthorized|registry|Error' sh -c "echo x | timeout 60 docker --config '$work' login --password-stdin -u u localhost:1 2>&1; true"

job=$(d create --name "job_$label" --label "$label" --workdir /__w/repo --network "github_network_$label" \
	--network-alias jobalias -e "HOME=/github/home" -e GITHUB_ACTIONS=true -e CI=true \
	-v /var/run/docker.sock:/var/run/docker.sock -v "$work":/__w -v "$work/externals":/__e:ro -v "$work/_temp":/__t \
	--entrypoint tail busybox:latest -f /dev/null)
likely "create" '^[0-9a-f]{64}$' echo "$job"
service=$(d create --name "svc_$label" --label "$label" --network "github_network_$label" --network-alias web -p 8000 \
	--health-cmd 'wget -qO- http://127.0.0.1:8000/ || exit 1' --health-interval 200ms --health-retries 50 \
	busybox:latest sh -c 'mkdir /w; echo service >/w/index.html; exec httpd -f -p 8000 -h /w')
expect "start the service" 0 "$service" d start "$service"
likely "ps of what runs" "^$service Up" d ps --all --filter "id=$service" --filter status=running --no-trunc --format '{{.ID}} {{.Status}}'
expect "start the job" 0 "$job" d start "$job"
likely "ps of the job" "^$job Up" d ps --all --filter "id=$job" --filter status=running --no-trunc --format '{{.ID}} {{.Status}}'
likely "its PATH" '^PATH=/usr/local/sbin' d inspect --format '{{range .Config.Env}}{{println .}}{{end}}' "$job"
for _ in $(seq 600); do
	health=$(d inspect --format '{{if .Config.Healthcheck}}{{print .State.Health.Status}}{{end}}' "$service")
	[ "$health" = healthy ] && break
	sleep 0.1
done
expect "the service is healthy" 0 healthy echo "$health"
expect "the job has no health" 0 "" d inspect --format '{{if .Config.Healthcheck}}{{print .State.Health.Status}}{{end}}' "$job"
likely "port" '^8000/tcp -> 0\.0\.0\.0:[0-9]+' d port "$service"
port=$(d port "$service" 8000/tcp | head -1 | sed 's/.*://')
expect "the service from the host" 0 service curl -sS --max-time 60 "http://127.0.0.1:$port/"

expect "which system" 0 "" sh -c "timeout 60 docker exec '$job' sh -c 'cat /etc/*release | grep ^ID' 2>/dev/null; true"
expect "a step reads the checkout" 0 checkout d exec -i --workdir /__w/repo -e HOME -e KEY=value "$job" sh -e -c 'cat file'
expect "environment by name" 0 "from outside" env KEY="from outside" timeout 60 docker exec -i -e KEY "$job" sh -c 'echo $KEY'
expect "a script on the mounted path" 0 "in the script" sh -c \
	"echo 'echo in the script' >'$work/_temp/step.sh' && timeout 60 docker exec -i --workdir /__w/repo '$job' sh -e /__t/step.sh"
expect "what a step wrote is on the host" 0 "" d exec -i "$job" sh -c 'echo out >/__w/repo/out'
expect "there" 0 out cat "$work/repo/out"
expect "a step that fails" 4 "" d exec -i "$job" sh -c 'exit 4'
expect "the service by its alias" 0 service d exec -i "$job" wget -qO- http://web:8000/
expect "read-only externals" 1 "touch: /__e/x: Read-only file system" d exec -i "$job" touch /__e/x
expect "a container action" 0 "args a b" d run --name "action_$label" --label "$label" --workdir /github/workspace --rm \
	-e INPUT_X=1 --network "github_network_$label" -v /var/run/docker.sock:/var/run/docker.sock -v "$work/repo":/github/workspace \
	busybox:latest echo args a b
expect "logs of the service" 0 "" d logs --details "$service"

for c in "$job" "$service"; do
	expect "remove" 0 "$c" d rm --force "$c"
done
expect "remove the network" 0 "github_network_$label" d network rm "github_network_$label"
verdict "actions/runner's commands"
