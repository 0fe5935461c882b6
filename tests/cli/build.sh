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
b() { DOCKER_BUILDKIT=0 timeout 60 "$docker" build "$@" 2>/dev/null; }
built() { DOCKER_BUILDKIT=0 timeout 60 "$docker" build "$@" 2>&1 >/dev/null | grep -v -e DEPRECATED -e BuildKit -e environment-variable -e '^$'; }

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
check "a client that leaves stops its build" 0 "gone" sh -c 'for _ in $(seq 100); do [ -z "$("$docker" ps -aq)" ] && echo gone && exit; sleep 0.1; done'
printf "FROM busybox\nFOO\n" >"$dir/context/Dockerfile"
check_has "a bad instruction" 0 "dockerfile parse error on line 2: unknown instruction: FOO" built "$dir/context"
d rmi -f made:1 made:2 >/dev/null
