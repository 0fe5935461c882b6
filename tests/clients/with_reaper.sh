#!/bin/sh
# A testcontainers suite (the first argument, a shell command) with its reaper on, and what the reaper does after it:
# what the suite has left goes, and then the reaper itself. The second argument: how long it waits for a client to come
# back; the suite for Go is connected only while it has a container.
set -u
# Inside a container it would look for published ports at the gateway of the default bridge: here it is the same host.
export TESTCONTAINERS_HOST_OVERRIDE=localhost
export TESTCONTAINERS_RYUK_RECONNECTION_TIMEOUT="${2:-2s}" RYUK_RECONNECTION_TIMEOUT="${2:-2s}"
sh -c "$1"
status=$?
for _ in $(seq 600); do
	left=$(docker ps -aq --filter label=org.testcontainers=true | wc -l)
	nets=$(docker network ls -q --filter label=org.testcontainers=true | wc -l)
	[ "$left$nets" = 00 ] && break
	sleep 0.1
done
[ "$left$nets" = 00 ] && exit $status
echo "FAIL the reaper left $left containers and $nets networks"
docker ps -a
docker logs "$(docker ps -aq --filter label=org.testcontainers.ryuk=true | head -1)" 2>&1 | tail -20
exit 1
