# sockerless: `make demo` shows it, `make check` proves it, `make help` lists the rest.
#
# B is the build directory of a variant; SAN=address,undefined (or thread)
# builds another variant beside the plain one.

comma    := ,
SAN      ?=
B        ?= build$(if $(SAN),/san-$(firstword $(subst $(comma), ,$(SAN))))
PREFIX   ?= /usr/local
CFLAGS   ?= -O2 -g

PACKAGES := libc6-dev libuv1-dev libmicrohttpd-dev libgnutls28-dev libjansson-dev libarchive-dev libsqlite3-dev libwebsockets-dev \
	libwebsockets-evlib-uv \
	libcmocka-dev pkg-config gcc binutils procps xz-utils \
	clang-19 lld-19 llvm-19 libclang-rt-19-dev-wasm32 wabt clang-format-19 clang-tidy-19 valgrind dpkg-dev patch \
	libcurl4-gnutls-dev expect curl openssl bubblewrap crun proot uidmap busybox-static python3 python3-yaml libzstd-dev liblzma-dev libbz2-dev zlib1g-dev
LIBS     := libuv libmicrohttpd jansson libarchive sqlite3 gnutls zlib
PKG_C    := $(shell pkg-config --cflags $(LIBS))

# Of libarchive we need tar and four compressions; the shared one loads XML, ICU and C++ at every
# start of the daemon (5 ms, 3 MB). So the static one, where all is there that its parts need.
ARCHIVE_A := $(wildcard $(shell $(CC) -print-file-name=libarchive.a))
ARCHIVE_L := $(if $(ARCHIVE_A),$(shell pkg-config --libs libzstd liblzma nettle bzip2 zlib 2>/dev/null || \
	pkg-config --libs libzstd liblzma nettle zlib 2>/dev/null && echo -lbz2))
PKG_L    := $(if $(ARCHIVE_L),$(shell pkg-config --libs $(filter-out libarchive,$(LIBS))) $(ARCHIVE_A) $(ARCHIVE_L) -Wl$(comma)--gc-sections,\
	$(shell pkg-config --libs $(LIBS)))

# Loaded by name at the first WebSocket (src/http/websocket.c): it and OpenSSL are not for every start.
WEBSOCKETS_SO := $(shell readelf -d "$$($(CC) -print-file-name=libwebsockets.so)" 2>/dev/null | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')

WARN     := -Wall -Wextra -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes -Werror
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
# What ThreadSanitizer has to be told of libuv.
SAN_OBJ  := $(if $(filter thread,$(SAN)),$(B)/tests/support/tsan.o)
STD      := -std=c11 -D_GNU_SOURCE -Isrc -Iinclude -Itests -Ibuild/guest \
	-DWEBSOCKETS_SO=$(or $(WEBSOCKETS_SO),libwebsockets.so)
# Objects of the library go into the shared one as well; only its public functions are seen outside.
PIC      := -fPIC -fvisibility=hidden
COMPILE   = $(CC) $(STD) $(WARN) $(PKG_C) $(PIC) $(CFLAGS) $(SANFLAGS) -MMD -MP

# ---- what is built from what ----

# sockerless-fetch is its own program; what of it is pure is fuzzed.
LIB_SRC  := $(filter-out src/fetch/%,$(wildcard src/*/*.c))
LIB_OBJ  := $(LIB_SRC:%.c=$(B)/%.o)

# The sandbox is its own static program: kernel, runtime, union file system, guest.
# It is never built with a sanitizer: they would claim the guest's address space.
S        := build/sandbox
GUEST    := build/guest
SBX_SRC  := $(wildcard src/sandbox/kernel/*.c src/sandbox/runtime/*.c) src/sandbox/wire.c src/sandbox/program.c \
	$(filter-out src/rootfs/tar% src/rootfs/layer% src/rootfs/transfer.c,$(wildcard src/rootfs/*.c)) \
	$(addprefix src/util/,alloc.c buf.c cgroup.c cleanup.c clock.c error.c map.c)
SBX_OBJ  := $(SBX_SRC:%.c=$(S)/%.o)
SANDBOX  := build/bin/sockerless-sandbox
include src/fetch.mk
TEST_SRC := $(wildcard tests/unit/test_*.c)
TEST_BIN := $(TEST_SRC:tests/unit/%.c=$(B)/tests/%)
HEADERS  := $(wildcard src/*/*.h src/*/*/*.h include/sockerless/*.h)
C_FILES  := $(shell find src tests include docs -name '*.[ch]' -not -path 'src/sandbox/guest/*' 2>/dev/null)

.PHONY: all guest demo run bench docs docs-check test test-unit test-api golden test-agent test-cli test-oracle test-walls test-sandbox test-busybox check format \
	format-check lint tidy headers deps clean help
.DELETE_ON_ERROR:

# The agent is one static program that runs in any Linux image: parts of the library, libuv and jansson.
A        := build/agent
AGENT    := build/bin/sockerless-agent
AGENT_SRC := $(wildcard src/agent/program/*.c) $(addprefix src/agent/,base64.c conn.c dialer.c flow.c handshake.c message.c reach.c sha1.c ws.c) \
	$(filter-out src/rootfs/layer%,$(wildcard src/rootfs/*.c)) \
	$(addprefix src/util/,alloc.c buf.c cgroup.c cleanup.c clock.c error.c locale.c map.c terminal.c tls.c tls_relay.c)
AGENT_OBJ := $(AGENT_SRC:%.c=$(A)/%.o)
UV_A     := $(firstword $(wildcard $(shell $(CC) -print-file-name=libuv_a.a) $(shell $(CC) -print-file-name=libuv.a)))

# With sanitizers it is another one beside that: they want shared libraries, so it does not run in every root.
AGENT_SAN := $(if $(SAN),$(B)/bin/agent-sanitized)

all: $(B)/bin/sockerlessd $(B)/bin/sandbox-run $(SANDBOX) $(FETCH) $(AGENT) $(AGENT_SAN) $(GUEST)/rootfs.tar ## build everything

GUEST_SRC := $(shell find src/sandbox/guest -type f) src/sandbox/runtime/woven.h src/sandbox/kernel/module.h

guest: $(GUEST)/libguest.a ## the guest's userland (cached by content)

$(GUEST)/applets.inc $(GUEST)/libguest.a &: $(GUEST_SRC)
	@$(MAKE) -s -f src/sandbox/guest/guest.mk GUEST_OUT=$(GUEST)
	@touch $(GUEST)/applets.inc $(GUEST)/libguest.a

# The built-in image's layer, for docker save: as make-rootfs.sh hashed it.
$(GUEST)/rootfs.tar: $(GUEST)/libguest.a
	@tar --format=ustar --sort=name --owner=0 --group=0 --numeric-owner -C $(GUEST)/rootfs -cf $@.new .
	@echo "$$(sed 's/^sha256://' $(GUEST)/rootfs.diff-id)  $@.new" | sha256sum --check --quiet
	@mv $@.new $@

$(B)/src/sandbox/program.o $(S)/src/sandbox/program.o: $(GUEST)/applets.inc

# near.ld augments the linker's own script.
SBX_LINK := $(CC) -static -O2 -g -Wl,-T,src/sandbox/near.ld
$(SANDBOX): $(SBX_OBJ) $(GUEST)/libguest.a src/sandbox/near.ld
	@mkdir -p $(@D)
	$(SBX_LINK) $(filter-out %.ld,$^) -o $@ -lm

# The test build with a hole in the first wall: tests/sandbox/walls.sh.
DRILLED_OBJ := $(patsubst %,build/drilled/%.o,src/sandbox/kernel/worker src/sandbox/kernel/wall tests/sandbox/attacks \
	tests/sandbox/attack_network tests/sandbox/fuzz_syscalls tests/sandbox/socket_calls)
build/drilled/sockerless-sandbox: $(filter-out %/worker.o %/wall.o,$(SBX_OBJ)) $(DRILLED_OBJ) $(GUEST)/libguest.a
	$(SBX_LINK) $^ -o $@ -lm

build/drilled/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(STD) -I. $(WARN) -O2 -g -DSANDBOX_DRILLED -fno-strict-aliasing -MMD -MP -c $< -o $@

$(S)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARN) -O2 -g -fdata-sections -fno-strict-aliasing -fstack-clash-protection -MMD -MP -c $< -o $@

# getaddrinfo asks the C library of the machine that it runs on, if there is one: names in /etc/hosts and DNS need none.
$(AGENT): $(AGENT_OBJ)
	@mkdir -p $(@D)
	$(CC) -static -O2 -g -Wl,--gc-sections $^ -o $@ $(UV_A) $(ARCHIVE_A) -ljansson -lgnutls -lhogweed -ltasn1 -lgmp $(ARCHIVE_L) -lnettle -lpthread -lutil 2>&1 | \
		{ grep -vE "getaddrinfo|getpw|getgr|function .(uv_|serve_open)" || true; }
	@test -x $@

# What absent.c stands for is there.
$(B)/bin/agent-sanitized: $(patsubst %.c,$(B)/%.o,$(filter-out %/absent.c,$(AGENT_SRC)))
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(SANFLAGS) $(LDFLAGS) $^ -o $@ $(PKG_L) -lpthread -lutil

$(A)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARN) -O2 -g -ffunction-sections -fdata-sections -MMD -MP -c $< -o $@

$(B)/bin/sockerlessd: $(B)/src/main.o $(SAN_OBJ) $(B)/libsockerless.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(SANFLAGS) $(LDFLAGS) $^ -o $@ $(PKG_L) -lpthread -lutil

$(B)/bin/%: $(B)/tests/support/%.o $(B)/libsockerless.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(SANFLAGS) $(LDFLAGS) $^ -o $@ $(PKG_L) -lpthread

$(B)/bin/bench: $(patsubst %.c,$(B)/%.o,$(wildcard tests/bench/*.c))
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(SANFLAGS) $(LDFLAGS) $^ -o $@ -lpthread

$(B)/libsockerless.a: $(LIB_OBJ)
	rm -f $@ && ar rcs $@ $^

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(COMPILE) -c $< -o $@

# Other flags, other objects.
$(B)/flags: always
	@mkdir -p $(@D)
	@echo '$(COMPILE)' | cmp -s - $@ || echo '$(COMPILE)' >$@

# Shared by the unit tests: fakes that several of them use.
TEST_LIB := $(addprefix $(B)/tests/support/,recording-driver.o rootfs-fixture.o net-fixture.o layer-fixture.o http-fixture.o) $(SAN_OBJ)

$(B)/tests/%: $(B)/tests/unit/%.o $(TEST_LIB) $(FETCH_PURE) $(B)/libsockerless.a
	$(CC) $(CFLAGS) $(SANFLAGS) $(LDFLAGS) $^ -o $@ $(PKG_L) -lcmocka -lpthread

-include $(LIB_OBJ:.o=.d) $(B)/src/main.d $(wildcard $(B)/tests/support/*.d $(B)/tests/bench/*.d $(B)/src/agent/program/*.d) $(SBX_OBJ:.o=.d) $(AGENT_OBJ:.o=.d) $(DRILLED_OBJ:.o=.d) $(TEST_SRC:%.c=$(B)/%.d)
.PRECIOUS: $(B)/%.o

# ---- tests ----

test: test-unit test-embed test-api test-build test-cli ## all tests of this variant

test-api: all ## the Engine API, to the byte (tests/api)
	@B=$(B) tests/api/run.py

golden: all ## write the golden files anew; look at the diff
	@GOLDEN=1 B=$(B) tests/api/run.py

# Where they cannot be had, the tests that need them say so. Slurm's are 3.5 MB.
AGENT_PACKAGES := bubblewrap crun proot uidmap busybox-static debootstrap iproute2 iptables openssh-client \
	munge slurmctld slurmd slurm-client slurm-wlm-basic-plugins
test-agent: all ## agents and launchers: real ones, with what breaks them (tests/agent)
	@SERVICES=no tests/support/install-packages.sh $(AGENT_PACKAGES) || echo "agent: not all could be installed that is tested with"
	@B=$(B) tests/agent/run.py

test-cli: all ## the real docker CLI against a real daemon
	@B=$(B) tests/cli/run.sh

test-oracle: all ## the CLI suite against a real dockerd, where one is installed (root)
	@if [ "$$(id -u)" -ne 0 ] || ! command -v dockerd >/dev/null || ! command -v busybox >/dev/null; then \
		echo "oracle: skipped: it needs root, dockerd and busybox-static"; \
	else ORACLE=1 tests/cli/run.sh; fi

test-walls: all build/drilled/sockerless-sandbox ## the sandbox's second wall, attacked
	@tests/sandbox/walls.sh

test-sandbox: all ## processes, signals, terminals, pauses, limits as a guest sees them
	@B=$(B) tests/sandbox/run.sh

test-busybox: all ## BusyBox's own test suites, in containers
	@B=$(B) tests/sandbox/busybox-suites.sh

test-unit: $(TEST_BIN) test-fuzz-corpora ## the cmocka binaries, and what fuzzing has found
	@tests/support/run-units.sh $(TEST_BIN)

check: deps ## install what is needed, then everything: headers, lint, tests, sanitizers
	$(MAKE) all headers lint format-check docs-check
	$(MAKE) test test-agent test-walls test-sandbox test-busybox test-registry test-images check-clients
	$(MAKE) test test-registry SAN=address,undefined
	B=build/san-address AGENT=$(CURDIR)/build/san-address/bin/agent-sanitized tests/agent/run.py protocol driver launchers tls routes kills

include src/package.mk src/arm64.mk tests/tests.mk

# ---- showing and running ----

demo: deps ## a tour of real containers
	@$(MAKE) all
	@tests/support/demo.sh

run: all ## a daemon in the foreground
	@echo "export DOCKER_HOST=unix://$(CURDIR)/build/run/docker.sock"
	@mkdir -p build/run
	@exec $(B)/bin/sockerlessd -H unix://$(CURDIR)/build/run/docker.sock --data-root $(CURDIR)/build/run/data

bench: all $(B)/bin/bench $(B)/bin/layer-tool ## the budgets, measured, beside dockerd and podman where they are installed
	@B=$(B) tests/bench/run.sh

docs: $(B)/bin/route-table ## the tables of the API mapping, out of the route table
	@sed '/^<!-- made by/,$$d' docs/docker_api_mapping.md >build/mapping.md && $(B)/bin/route-table >>build/mapping.md
	@mv build/mapping.md docs/docker_api_mapping.md

docs-check: $(B)/bin/route-table
	@sed -n '/^<!-- made by/,$$p' docs/docker_api_mapping.md >build/mapping.is && $(B)/bin/route-table | diff - build/mapping.is

# ---- the look of the code ----

headers: ## every header compiles alone
	@for h in $(if $(CURL_L),$(HEADERS),$(filter-out src/fetch/%,$(HEADERS))); do \
		echo "#include \"$$h\"" | $(CC) $(STD) -I. $(WARN) $(PKG_C) -fsyntax-only -x c - || exit 1; \
	done; echo "headers: $(words $(HEADERS)) compile alone"

lint: ## layer rules, file lengths, banned calls
	@tests/support/lint.sh

TIDY_FILES := src/main.c $(LIB_SRC) $(if $(CURL_L),$(FETCH_SRC)) $(wildcard src/sandbox/kernel/*.c src/sandbox/runtime/*.c tests/*/*.c)
tidy: $(GUEST)/applets.inc ## clang-tidy; a file that was clean is looked at again when it changes
	@COMPILE='$(STD) -I. $(PKG_C) $(CURL_C)' tests/support/tidy.sh $(TIDY_FILES)

format: ## lay the code out
	clang-format-19 -i $(C_FILES)

format-check:
	clang-format-19 --dry-run -Werror $(C_FILES)

# ---- housekeeping ----

deps: ## install missing Debian packages (root or sudo)
	@tests/support/install-packages.sh $(PACKAGES)

clean: ## remove what was built
	rm -rf build

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16
