#!/bin/sh
# act runs the workflow beside this file on a running daemon (DOCKER_HOST says where), its images by -P onto the
# built-in one. Argument: the program. The last line sums up.
set -u
act=$1
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"; docker rmi -f web-service >/dev/null 2>&1' EXIT
cp -r "$here/act/.github" "$work/"
cd "$work" || exit 1
# A service has no command of its own in a workflow: its image has one.
docker create --name act-root busybox:latest >/dev/null && docker export act-root | docker import \
	-c 'CMD ["sh","-c","mkdir /w; echo from the service >/w/index.html; exec httpd -f -p 8000 -h /w"]' - web-service >/dev/null
docker rm act-root >/dev/null
export HOME="$work/home"
mkdir -p "$HOME" artifacts
git init -q . && git add -A && git -c user.name=test -c user.email=test@localhost commit -qm workflow
out=$(timeout 600 "$act" push -P ubuntu-latest=busybox:latest --pull=false --no-cache-server \
	--container-daemon-socket - --artifact-server-path "$work/artifacts" --artifact-server-addr 127.0.0.1 2>&1)
status=$?
passed=0 failed=0
holds() { # NAME PATTERN
	if printf '%s\n' "$out" | grep -qE -- "$2"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL $1"
	fi
}
[ $status -eq 0 ] && passed=1 || { failed=1 && printf '%s\n' "$out"; }
holds "a file made by one step is there in the next" '\| artifact'
holds "a job's output reaches another, matrix 1" '\| matrix 1 version 1\.2\.3'
holds "a job's output reaches another, matrix 2" '\| matrix 2 version 1\.2\.3'
holds "a step with its own directory" '\| /tmp'
holds "a service answers by its name" '\| from the service'
holds "a job in a container of its own" '\| root 0'
[ "$(printf '%s\n' "$out" | grep -c 'Job succeeded')" -eq 4 ] && passed=$((passed + 1)) ||
	{ failed=$((failed + 1)) && echo "FAIL four jobs succeed"; }
[ -n "$(find artifacts -type f -name 'note*')" ] && passed=$((passed + 1)) ||
	{ failed=$((failed + 1)) && echo "FAIL the artifact arrived"; }
for _ in $(seq 600); do
	left=$(docker ps -aq --filter name=act-ci | wc -l)
	[ "$left" -eq 0 ] && break
	sleep 0.1
done
[ "$left" -eq 0 ] && passed=$((passed + 1)) || { failed=$((failed + 1)) && echo "FAIL $left containers are left"; }
echo "act $("$act" --version 2>/dev/null | sed 's/.* //'): $passed passed, $failed failed"
[ $failed -eq 0 ]
