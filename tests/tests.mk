# Tests beside the suites: the embedding example, fuzz targets, valgrind, coverage. Included by the top Makefile.

.PHONY: test-build test-images check-clients test-registry test-embed test-fuzz-corpora fuzz fuzz-run test-valgrind coverage

# Only what an installed library offers: no -Isrc.
EMBED_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard tests/embed/*.c))
$(EMBED_OBJ): $(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) -std=c11 -D_GNU_SOURCE -Iinclude $(WARN) $(CFLAGS) $(SANFLAGS) -MMD -MP -c $< -o $@

$(B)/bin/embed-shared: $(EMBED_OBJ) $(SAN_OBJ) $(LIB_DIR)/libsockerless.so
	$(CC) $(CFLAGS) $(SANFLAGS) $(LDFLAGS) $(filter %.o,$^) -o $@ -L$(LIB_DIR) -lsockerless -Wl,-rpath,$(abspath $(LIB_DIR)) \
		-luv -lpthread

$(B)/bin/embed-static: $(EMBED_OBJ) $(SAN_OBJ) $(LIB_DIR)/libsockerless.a
	$(CC) $(CFLAGS) $(SANFLAGS) $(LDFLAGS) $^ -o $@ $(PKG_L) -lpthread -lutil

# The examples of docs/embedding.md: as a reader would build them, but for the warnings.
EXAMPLE_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard docs/examples/*.c))
$(EXAMPLE_OBJ): $(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) -std=c11 -D_GNU_SOURCE -Iinclude $(WARN) $(CFLAGS) $(SANFLAGS) -MMD -MP -c $< -o $@

$(B)/bin/cloud_backend: $(B)/docs/examples/cloud_backend.o $(B)/docs/examples/cloud.o $(SAN_OBJ) $(LIB_DIR)/libsockerless.so
	$(CC) $(CFLAGS) $(SANFLAGS) $(LDFLAGS) $(filter %.o,$^) -o $@ -L$(LIB_DIR) -lsockerless \
		-Wl,-rpath,$(abspath $(LIB_DIR)) -lpthread

$(B)/bin/host_processes: $(B)/docs/examples/host_processes.o $(SAN_OBJ) $(LIB_DIR)/libsockerless.a
	$(CC) $(CFLAGS) $(SANFLAGS) $(LDFLAGS) $^ -o $@ $(PKG_L) -lpthread -lutil

EMBED_BIN := $(addprefix $(B)/bin/,embed-shared embed-static cloud_backend host_processes)
test-embed: all lib $(EMBED_BIN) ## programs that embed the library, driven by the docker CLI
	@B=$(B) tests/embed/run.sh
	@B=$(B) tests/embed/examples.sh
	@B=$(B) tests/embed/abi.sh
	$(if $(SAN),,@tests/embed/install.sh)

-include $(EMBED_OBJ:.o=.d) $(EXAMPLE_OBJ:.o=.d)

test-build: all ## Dockerfiles: two hundred cases of what is built of them (tests/build)
	@B=$(B) tests/build/run.py

test-images: all ## images against skopeo, umoci, podman and a whole Debian; the daemon killed at work on them
	@B=$(B) tests/images/run.sh

.PHONY: test-systemd
test-systemd: deb ## the Debian package under a real systemd, in a container of systemd-nspawn's (root)
	@tests/systemd/run.sh

check-clients: all ## compose, SDKs, testcontainers, act and runners against a real daemon; a table
	@B=$(B) tests/clients/run.sh

test-registry: all ## the registry client against Debian's docker-registry and one that misbehaves
	@SERVICES=no tests/support/install-packages.sh docker-registry skopeo apache2-utils openssl python3
	@B=$(B) tests/registry/run.py

# ---- fuzzing: tests/fuzz/fuzz_NAME.c over pure code ----

# Each target twice: with replay.c, over its corpus, as a part of test-unit; and with libFuzzer, in build/fuzz.
FUZZ_SECONDS ?= 20
FUZZ_NAMES   := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_REPLAYS := $(FUZZ_NAMES:%=$(B)/fuzz/replay-%)
FUZZ_BIN     := $(FUZZ_NAMES:%=$(B)/fuzz/fuzz-%)

$(B)/fuzz/replay-%: $(B)/tests/fuzz/fuzz_%.o $(B)/tests/fuzz/root.o $(B)/tests/fuzz/replay.o $(FETCH_PURE) $(B)/libsockerless.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(SANFLAGS) $(LDFLAGS) $^ -o $@ $(PKG_L) -lpthread

$(B)/fuzz/fuzz-%: $(B)/tests/fuzz/fuzz_%.o $(B)/tests/fuzz/root.o $(FETCH_PURE) $(B)/libsockerless.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(SANFLAGS) -fsanitize=fuzzer $(LDFLAGS) $^ -o $@ $(PKG_L) -lpthread

test-fuzz-corpora: $(FUZZ_REPLAYS)
	@for name in $(FUZZ_NAMES); do \
		out=$$($(B)/fuzz/replay-$$name tests/fuzz/corpus/$$name 2>&1) || { echo "$$out"; echo "FAIL fuzz corpus $$name"; exit 1; }; \
	done; echo "fuzz corpora: $(words $(FUZZ_NAMES)) replayed"

fuzz: ## libFuzzer on every parser, FUZZ_SECONDS each (20)
	@tests/support/install-packages.sh libclang-rt-19-dev
	$(MAKE) B=build/fuzz CC=clang-19 SAN=address,undefined CFLAGS="-O1 -g -fsanitize=fuzzer-no-link" fuzz-run

# New inputs stay in the build directory; a finding is copied into the corpus by hand, with its fix.
fuzz-run: $(FUZZ_BIN)
	@for name in $(FUZZ_NAMES); do \
		mkdir -p $(B)/corpus/$$name && \
		$(B)/fuzz/fuzz-$$name -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -timeout=5 -rss_limit_mb=1024 -verbosity=0 \
			-print_final_stats=1 -artifact_prefix=$(B)/finding-$$name- $(B)/corpus/$$name tests/fuzz/corpus/$$name \
			>$(B)/$$name.log 2>&1 || { cat $(B)/$$name.log; echo "FAIL fuzz $$name"; exit 1; }; \
		echo "fuzz $$name: $$(sed -n 's/.*number_of_executed_units: *//p' $(B)/$$name.log) inputs"; \
	done

-include $(wildcard $(B)/tests/fuzz/*.d)
.PRECIOUS: $(B)/%.o

# ---- valgrind ----

VALGRIND := valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite --trace-children=no

test-valgrind: $(TEST_BIN) $(B)/bin/embed-static ## the cmocka binaries, and the lives of an embedded server, under valgrind
	@RUN="$(VALGRIND)" LIMIT=600 tests/support/run-units.sh $(TEST_BIN)
	@for what in lives "cycles"; do \
		dir=$$(mktemp -d); \
		$(VALGRIND) $(B)/bin/embed-static $$what 5 $$dir build/bin/sockerless-sandbox build/guest/rootfs 2>$$dir/log || \
			{ cat $$dir/log; exit 1; }; rm -rf $$dir; \
	done; echo "embed: clean under valgrind"

# ---- ThreadSanitizer ----

# A report fails the suite that meets it. Above 28 random bits of an address gcc 12's runtime finds no room for its shadow.
TSAN_RUN := $(if $(filter 29 30 31 32,$(shell cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null)),setarch -R)
.PHONY: test-threads
test-threads: ## the unit, embedding, registry and API suites under ThreadSanitizer
	$(TSAN_RUN) $(MAKE) SAN=thread test-unit test-embed test-registry test-api

# ---- coverage ----

COV := build/coverage
coverage: ## which lines the unit, API and embedding suites reach, by gcov
	$(MAKE) B=$(COV) CFLAGS="-O0 -g --coverage -fprofile-update=atomic" all lib test-unit test-api $(COV)/bin/embed-shared \
		$(COV)/bin/embed-static
	@B=$(COV) tests/embed/run.sh
	@B=$(COV) tests/support/coverage.sh
