# Sourced by run.sh: docker build, by the classic builder. tests/build has the many small cases.
mkdir -p "$dir/context/sub"
echo one >"$dir/context/one"
echo two >"$dir/context/sub/two"
cat >"$dir/context/Dockerfile" <<'END'
ARG FROM=busybox
FROM $FROM AS first
ENV A=b
ARG GREETING
RUN echo $GREETING >/greeting && echo out && echo err >&2
COPY one sub /copied/
FROM first
COPY --from=first --chown=1:2 /greeting /g
WORKDIR /copied
CMD ["cat", "one", "two", "/g"]
END
b() { DOCKER_BUILDKIT=0 timeout 180 "$docker" build "$@" 2>/dev/null; }
built() { DOCKER_BUILDKIT=0 timeout 180 "$docker" build "$@" 2>&1 >/dev/null | grep -v -e DEPRECATED -e BuildKit -e environment-variable -e '^$'; }

check_has "a build tells its steps" 0 "Step 4/10 : ARG GREETING" b --build-arg GREETING=hi -t made:1 "$dir/context"
check "what was built runs" 0 "one
two
hi" d run --rm made:1
check "owners of COPY --chown" 0 "1:2" d run --rm made:1 stat -c %u:%g /g
check_has "the second time all of it is cached" 0 "Using cache" b --build-arg GREETING=hi "$dir/context"
check "and nothing runs" 1 "" sh -c 'DOCKER_BUILDKIT=0 "$docker" build --build-arg GREETING=hi "$0/context" 2>/dev/null | grep Running' "$dir"
check_has "another argument, another image" 0 "Running in" b --build-arg GREETING=ho "$dir/context"
echo three >>"$dir/context/one"
check_has "a file that has changed is copied anew" 0 "Using cache" b --build-arg GREETING=hi -t made:2 "$dir/context"
check_has "and the image has it" 0 "three" d run --rm made:2
check_like "-q tells the id" 0 "sha256:[0-9a-f]{64}" sh -c 'DOCKER_BUILDKIT=0 "$docker" build -q --build-arg GREETING=hi "$0/context" 2>/dev/null' "$dir"
check_has "--target" 0 "Step 6/6" b --target first --build-arg GREETING=hi "$dir/context"
printf 'FROM busybox\nRUN echo no; exit 3\n' >"$dir/context/Dockerfile"
check "a command that fails ends the build" 0 "The command '/bin/sh -c echo no; exit 3' returned a non-zero code: 3" built "$dir/context"
check_has "its container is left, for a look" 0 "exit 3" d ps -a --no-trunc --filter status=exited --format '{{.Command}}'
d container prune -f >/dev/null
printf 'FROM busybox\nRUN sleep 100\n' >"$dir/context/Dockerfile"
DOCKER_BUILDKIT=0 "$docker" build "$dir/context" >/dev/null 2>&1 &
building=$!
soon sh -c '"$docker" ps --format "{{.Command}}" | grep -q sleep'
kill "$building"
check "a client that leaves stops its build" 0 "" soon sh -c '[ -z "$("$docker" ps -aq)" ]'
printf "FROM busybox\nFOO\n" >"$dir/context/Dockerfile"
check_has "a bad instruction" 0 "dockerfile parse error on line 2: unknown instruction: FOO" built "$dir/context"
d rmi -f made:1 made:2 >/dev/null

# ---- the build cache: df, builder prune, system prune. Docker's classic builder keeps no records of its steps ----
if [ -z "${oracle:-}" ]; then
	prune() { "$docker" builder prune -f "$@" 2>/dev/null | tail -n 1; }
	rows() { "$docker" system df -v --format '{{range .BuildCache}}{{.CacheType}} {{.Size}} {{.InUse}} {{.Shared}}|{{end}}'; }
	summary() { "$docker" system df --format '{{if eq .Type "Build Cache"}}{{.TotalCount}} {{.Active}} {{.Size}} {{.Reclaimable}}{{end}}' | grep .; }
	prune -a >/dev/null
	check "an empty build cache" 0 "0 0 0B 0B" summary
	mkdir -p "$dir/cache"
	printf 'FROM busybox\nRUN head -c 100000 /dev/zero >/f\nENV A=b\n' >"$dir/cache/Dockerfile"
	b -t cached:1 "$dir/cache" >/dev/null
	check "the steps of an image that has a name are shared" 0 "regular 100kB false true|regular 0B false true|" rows
	check "and take no room of their own" 0 "2 0 0B 0B" summary
	check "builder prune leaves them" 0 "Total reclaimed space: 0B" prune
	check_has "so the next build uses them" 0 "Using cache" b "$dir/cache"
	printf 'FROM busybox\nRUN head -c 200000 /dev/zero >/f; : lost\nRUN --mount=type=cache,id=cli,target=/c head -c 3000 /dev/zero >/c/f; exit 3\n' >"$dir/cache/Dockerfile"
	b --force-rm "$dir/cache" >/dev/null
	soon sh -c '"$docker" system df -v --format "{{range .BuildCache}}{{.CacheType}}|{{end}}" | grep -q cachemount'
	check_like "what a failed build leaves is the cache's own" 0 "4 0 20[0-9](\.[0-9]+)?kB 20[0-9](\.[0-9]+)?kB" summary
	check "one by its id" 0 "Total reclaimed space: 200kB" prune -a --filter id="$(d system df -v --format '{{range .BuildCache}}{{if eq .Size "200kB"}}{{.ID}}{{end}}{{end}}' 2>/dev/null)"
	check_has "prune of what is young" 0 "Total reclaimed space: 0B" prune --filter until=1h
	check_like "builder prune takes mounted caches" 0 "Total reclaimed space: [1-9].*B" prune
	check "and builder prune -a the shared ones" 0 "Total reclaimed space: 0B" prune -a
	check "none is left" 0 "0 0 0B 0B" summary
	check_has "their image is" 0 "cached" d images --format '{{.Repository}}' cached
	printf 'FROM busybox\nRUN head -c 100000 /dev/zero >/f\nENV A=b\n' >"$dir/cache/Dockerfile"
	check "the cache is forgotten" 1 "" sh -c 'DOCKER_BUILDKIT=0 "$docker" build "$0" 2>/dev/null | grep "Using cache"' "$dir/cache"
	d rmi cached:1 >/dev/null
	check_has "system prune takes dangling steps" 0 "Total reclaimed space: 1" sh -c '"$docker" system prune -f --filter until=0s | tail -n 1'
	b -t cached:2 "$dir/cache" >/dev/null
	check_has "system prune -a takes images and their steps" 0 "untagged: cached:2" d system prune -af
	check "and the cache is empty again" 0 "0 0 0B 0B" summary
fi
