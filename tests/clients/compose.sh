#!/bin/sh
# docker-compose against a running daemon (DOCKER_HOST says where): the documented commands on three services.
# Arguments: the program and what goes before its commands, as "docker-compose" or "docker compose".
# The last line sums up.
set -u
cd "$(dirname "$0")/compose" || exit 1
compose() { timeout 90 "$@"; }
passed=0 failed=0
project=suite$$
program=$*
c() { timeout 90 $program -p "$project" "$@" 2>&1 </dev/null; }

# expect NAME PATTERN COMMAND...: it succeeds and its output has the pattern (grep -E).
expect() {
	name=$1 pattern=$2
	shift 2
	if out=$("$@") && printf '%s\n' "$out" | grep -qE -- "$pattern"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'FAIL %s\n%s\n' "$name" "$out" | head -20
	fi
}
# The same, but it may take a moment to come true.
soon() {
	name=$1 pattern=$2
	shift 2
	for _ in $(seq 600); do
		out=$("$@") && printf '%s\n' "$out" | grep -qE -- "$pattern" && break
		sleep 0.1
	done
	expect "$name" "$pattern" "$@"
}
web_port() { c port web 80 | sed 's/.*://'; }
fetch() { curl -sS --max-time 30 "http://127.0.0.1:$(web_port)/" 2>&1; }
running() { c ps -q | wc -l; }
state_of() { docker inspect -f '{{.State.Status}} {{.RestartCount}} {{if .State.Health}}{{.State.Health.Status}}{{end}}' $(c ps -q "$1"); }
id_of() { c ps -q "$1"; }

expect "config" "database" c config
expect "config --services" "worker" c config --services
expect "up -d" "" c up -d
expect "three run" "^ *3$" running
soon "web answers on its published port" "^served-by-" fetch
expect "db is healthy before the worker starts" "running 0 healthy" state_of db
soon "worker reads from db by its alias" "from-the-db" c logs --tail=5 worker
expect "ps" "web" c ps
expect "port" "^127.0.0.1:[0-9]+$" c port web 80
expect "top" "httpd" c top web
expect "exec" "^hello$" c exec -T web echo hello
expect "exec with environment and user" "^1000 b$" c exec -T -e A=b -u 1000 web sh -c 'echo $(id -u) $A'
expect "exec's exit code" "^7$" sh -c "timeout 60 $program -p $project exec -T web sh -c 'exit 7' </dev/null >/dev/null 2>&1; echo \$?"
expect "run --rm, on the services' network" "from-the-db" c run --rm worker wget -qO- http://db:5432/value
followed=$(mktemp)
timeout 90 $program -p "$project" logs -f worker >"$followed" 2>&1 </dev/null &
soon "logs -f shows what comes" "from-the-db" cat "$followed"
kill $! 2>/dev/null
wait $! 2>/dev/null
rm -f "$followed"

expect "images" "busybox" c images
expect "pause" "" c pause worker
expect "paused" "^paused" state_of worker
expect "unpause" "" c unpause worker
expect "unpaused" "^running" state_of worker
expect "kill" "" c kill -s SIGKILL worker
soon "killed" "^exited" sh -c "docker inspect -f '{{.State.Status}}' \$(timeout 60 $program -p $project ps -aq worker)"
expect "start" "" c start worker
soon "started" "^running" state_of worker
expect "restart" "" c restart -t 1 web
soon "web answers again" "^served-by-" fetch
before=$(id_of worker)
expect "up changes nothing that is as asked for" "" c up -d
expect "the same container" "^$before$" id_of worker
expect "recreate" "" c up -d --force-recreate --no-deps -t 1 worker
expect "another container" "^[0-9a-f]{64}$" id_of worker
[ "$before" != "$(id_of worker)" ] && passed=$((passed + 1)) || { failed=$((failed + 1)); echo "FAIL recreate kept the container"; }
expect "scale" "" c up -d --scale worker=3 --no-recreate
expect "three workers" "^ *3$" sh -c "timeout 60 $program -p $project ps -q worker | wc -l"
expect "scale down" "" c up -d --scale worker=1 --no-recreate -t 1
expect "one worker" "^ *1$" sh -c "timeout 60 $program -p $project ps -q worker | wc -l"
events=$(mktemp)
timeout 90 $program -p "$project" events --json >"$events" 2>&1 </dev/null &
soon "events of the project" "exec_start|restart|container" sh -c "timeout 60 $program -p $project restart -t 0 worker >/dev/null 2>&1; cat $events"
kill $! 2>/dev/null
rm -f "$events"
expect "stop" "" c stop -t 1
expect "nothing runs" "^ *0$" sh -c "docker ps -q --filter label=com.docker.compose.project=$project | wc -l"
expect "start all" "" c start
soon "web answers once more" "^served-by-" fetch
expect "rm -fsv of one" "" c rm -fsv worker
expect "down -v" "" c down -v -t 1
expect "no container is left" "^ *0$" sh -c "docker ps -aq --filter label=com.docker.compose.project=$project | wc -l"
expect "no network is left" "^ *0$" sh -c "docker network ls -q --filter label=com.docker.compose.project=$project | wc -l"
expect "no volume is left" "^ *0$" sh -c "docker volume ls -q --filter label=com.docker.compose.project=$project | wc -l"

echo "$($program version --short 2>/dev/null | head -1): $passed passed, $failed failed"
[ "$failed" -eq 0 ]
