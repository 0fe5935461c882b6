#!/bin/bash
# What run.sh has booted, from within: prints failures and a last line that counts.
export DOCKER_HOST=unix:///run/sockerless/docker.sock HOME=/root
passed=0 failed=0
is() {
	if [ "$2" = "$3" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'FAIL %s\n  expected: %s\n  got:      %s\n' "$1" "$2" "$3"
	fi
}
daemon() { systemctl is-active sockerlessd.service; }

is "the socket comes with the boot" active "$(systemctl is-active sockerlessd.socket)"
is "the daemon does not" inactive "$(daemon)"
is "the socket is nobody else's" "600 root" "$(stat -c '%a %U' /run/sockerless/docker.sock)"
is "a client starts it" 200 "$(curl -s -o /dev/null -w '%{http_code}' --unix-socket /run/sockerless/docker.sock http://d/_ping)"
is "and it is told as ready" "active notify" "$(daemon) $(systemctl show -p Type --value sockerlessd)"
is "the state is nobody else's" 700 "$(stat -c %a /var/lib/sockerless)"
is "a container in the sandbox" hello "$(docker run --rm busybox echo hello 2>/dev/null)"
is "with limits" limited "$(docker run --rm --pids-limit 20 --cpus 0.5 -m 64m busybox echo limited 2>/dev/null)"
is "its cgroup is delegated" "cpu pids" "$(systemctl show -p DelegateControllers --value sockerlessd)"
docker run -d --name web -p 127.0.0.1:8099:80 busybox sh -c 'echo page >index.html; exec httpd -f -p 80' >/dev/null
for _ in $(seq 50); do [ "$(curl -s http://127.0.0.1:8099/)" ] && break; sleep 0.1; done
is "a published port" page "$(curl -s http://127.0.0.1:8099/)"
docker run --rm -v /etc:/e busybox sh -c 'echo written >/e/by-container'
is "a bind mount of /etc" written "$(cat /etc/by-container)"
docker run -d --name always --restart always busybox sleep 600 >/dev/null 2>&1
docker run -d --name polite busybox sh -c 'trap "exit 5" TERM; while :; do sleep 0.1; done' >/dev/null
sleep 0.5
systemctl restart sockerlessd
is "restarted" active "$(daemon)"
is "a container had its time to end" "exited 5" "$(docker inspect -f '{{.State.Status}} {{.State.ExitCode}}' polite)"
for _ in $(seq 50); do [ "$(docker inspect -f '{{.State.Status}}' always)" = running ] && break; sleep 0.1; done
is "one that is to run always runs" running "$(docker inspect -f '{{.State.Status}}' always)"
kill -9 "$(systemctl show -p MainPID --value sockerlessd)"
sleep 1
is "killed, it is started again" 1 "$(systemctl show -p NRestarts --value sockerlessd)"
is "and the socket has waited" running "$(docker inspect -f '{{.State.Status}}' always)"
docker rm -f always >/dev/null
systemctl stop sockerlessd.service 2>/dev/null
is "stopped" inactive "$(daemon)"
is "nothing is left of it" 0 "$(pgrep -c sockerless)"
is "but for the socket, that starts it again" hello "$(docker run --rm busybox echo hello 2>&1)"
is "no complaint in the journal" "" "$(journalctl -u sockerlessd -p warning --no-pager -q | grep -vE 'Unknown key .DelegateSubgroup|status=9/KILL|Killing process|result .signal')"
echo "systemd: $passed passed, $failed failed"
