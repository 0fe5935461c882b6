# The agent for arm64, cross-built by clang against Debian's arm64 libraries, and run under qemu. Included by the top
# Makefile. Not a part of `check`: 80 MB are fetched once.

.PHONY: agent-arm64 test-agent-arm64

ARM      := build/arm64
ARM_ROOT := $(ARM)/sysroot/root
AGENT_ARM64 := $(ARM)/bin/sockerless-agent
ARM_OBJ  := $(AGENT_SRC:%.c=$(ARM)/%.o)
ARM_CC   := clang-19 --target=aarch64-linux-gnu --sysroot=$(ARM_ROOT)
ARM_L    := -luv_a -larchive -ljansson -lgnutls -lhogweed -ltasn1 -lgmp -lzstd -llzma -lnettle -lbz2 -lz -lpthread -lutil

agent-arm64: $(AGENT_ARM64) ## the agent for arm64

$(ARM)/sysroot/.made: src/arm64-sysroot.sh
	rm -rf $(ARM)/sysroot
	src/arm64-sysroot.sh $(ARM)/sysroot qemu-user-static
	@touch $@

$(ARM_OBJ): $(ARM)/%.o: %.c $(ARM)/sysroot/.made
	@mkdir -p $(@D)
	$(ARM_CC) $(STD) $(WARN) -O2 -g -ffunction-sections -fdata-sections -MMD -MP -c $< -o $@

$(AGENT_ARM64): $(ARM_OBJ)
	@mkdir -p $(@D)
	$(ARM_CC) -static -fuse-ld=lld -Wl,--gc-sections $^ -o $@ $(ARM_L)

# The emulator under the name that the tests start.
$(ARM)/bin/run: $(AGENT_ARM64)
	printf '#!/bin/sh\nexec "%s" "%s" "$$@"\n' "$(abspath $(ARM_ROOT))/usr/bin/qemu-aarch64-static" "$(abspath $(AGENT_ARM64))" >$@
	chmod +x $@

test-agent-arm64: all $(ARM)/bin/run ## the agent for arm64, under qemu: the protocol, TLS, a daemon's sessions
	@readelf -h $(AGENT_ARM64) | grep -q AArch64
	@AGENT=$(abspath $(ARM)/bin/run) B=$(B) tests/agent/run.py arm64

-include $(ARM_OBJ:.o=.d)
