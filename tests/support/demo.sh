#!/bin/sh
# A short tour of real containers through the docker CLI.
set -eu
cd "$(dirname "$0")/../.."
. tests/support/daemon.sh
trap clean_up EXIT
start_daemon
tour() {
	printf '\n$ docker %s\n' "$*"
	"$docker" "$@"
}
tour version --format 'client {{.Client.Version}}, server {{.Server.Platform.Name}} {{.Server.Version}}'
tour images
tour run --rm busybox sh -c 'for i in 1 2 3; do echo $i; done | while read x; do echo "got $x"; done'
tour run -d --name web busybox sh -c 'trap "echo bye; exit 0" TERM; echo ready; while :; do sleep 0.2; done'
tour exec web ps
tour run --rm -u 1000 busybox id
tour stop web
tour logs web
tour ps -a
tour rm web
