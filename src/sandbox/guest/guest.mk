# The guest: musl and BusyBox from Debian's source packages, compiled to
# WebAssembly, translated to C, compiled into libguest.a. See README.md here.
#
#   make -f src/sandbox/guest/guest.mk GUEST_OUT=build/guest
#
# The result is kept in GUEST_CACHE under a hash of everything that goes in, so
# only the first build of a version takes minutes.

GUEST_DIR   := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
SRC_DIR     := $(abspath $(GUEST_DIR)/../..)
GUEST_OUT   ?= build/guest
GUEST_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/sockerless/guest

GUEST_MUSL    := 1.2.3
GUEST_BUSYBOX := 1.35.0

GUEST_INPUTS := $(sort $(shell find $(GUEST_DIR) -type f -not -name README.md)) \
	$(SRC_DIR)/sandbox/runtime/woven.h $(SRC_DIR)/sandbox/kernel/module.h
GUEST_KEY    := $(shell { cd $(GUEST_DIR) && cat $(GUEST_INPUTS); clang-19 --version; wasm2c --version; gcc --version; } \
	2>&1 | sha256sum | cut -c1-32)

.PHONY: guest
guest: $(GUEST_OUT)/key-$(GUEST_KEY)

$(GUEST_OUT)/key-$(GUEST_KEY):
	@$(GUEST_DIR)/tools/build-guest.sh $(GUEST_DIR) $(GUEST_CACHE)/$(GUEST_KEY) $(GUEST_MUSL) $(GUEST_BUSYBOX)
	@rm -rf $(GUEST_OUT) && mkdir -p $(GUEST_OUT) && cp -a $(GUEST_CACHE)/$(GUEST_KEY)/. $(GUEST_OUT)/ && touch $@
