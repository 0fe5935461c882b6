# The library as others see it, and its way onto a system: install, uninstall, deb.
# Included by the top Makefile.

VERSION  := $(shell sed -n 's/^.define SOCKERLESS_VERSION "\(.*\)"/\1/p' include/sockerless/version.h)
# Before 1.0 a minor number may change the ABI, afterwards only the major one.
SOVERSION := $(shell echo $(VERSION) | sed 's/^0\.\([0-9]*\)\..*/0.\1/; s/^\([1-9][0-9]*\)\..*/\1/')
SO_NAME  := libsockerless.so.$(SOVERSION)
SO_FILE  := libsockerless.so.$(VERSION)
LIB_DIR  := $(B)/lib
UNITDIR  ?= $(PREFIX)/lib/systemd/system

.PHONY: lib install uninstall deb

lib: $(LIB_DIR)/libsockerless.a $(LIB_DIR)/libsockerless.so $(LIB_DIR)/sockerless.pc ## the embeddable library, static and shared

# One object whose internal names are local, so that they cannot clash with the program's.
$(LIB_DIR)/sockerless.o: $(LIB_OBJ)
	@mkdir -p $(@D)
	$(LD) -r $^ -o $@
	objcopy --localize-hidden $@

$(LIB_DIR)/libsockerless.a: $(LIB_DIR)/sockerless.o
	rm -f $@ && ar rcs $@ $^

# Always the shared libraries: static ones need not be position-independent.
SO_L := $(shell pkg-config --libs $(LIBS))
$(LIB_DIR)/$(SO_FILE): $(LIB_OBJ) src/sockerless.sym
	@mkdir -p $(@D)
	$(CC) -shared -Wl,-soname,$(SO_NAME) -Wl,--version-script,src/sockerless.sym $(if $(SAN),,-Wl,-z,defs) \
		$(CFLAGS) $(SANFLAGS) $(LDFLAGS) $(LIB_OBJ) -o $@ $(SO_L) -lpthread -lutil

$(LIB_DIR)/libsockerless.so: $(LIB_DIR)/$(SO_FILE)
	ln -sf $(SO_FILE) $(LIB_DIR)/$(SO_NAME)
	ln -sf $(SO_NAME) $@

# Names PREFIX: made anew each time, replaced when it differs.
$(LIB_DIR)/sockerless.pc: src/sockerless.pc.in always
	@mkdir -p $(@D)
	@sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|; s|@LIBS@|$(LIBS)|' $< >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
always:
.PHONY: always

# ---- install: what uninstall removes is the same list ----

INSTALLED := bin/sockerlessd bin/sockerless-sandbox bin/sockerless-agent $(if $(FETCH),bin/sockerless-fetch) lib/libsockerless.a lib/$(SO_FILE) lib/$(SO_NAME) lib/libsockerless.so \
	lib/pkgconfig/sockerless.pc $(patsubst include/%,include/%,$(wildcard include/sockerless/*.h)) \
	share/man/man8/sockerlessd.8 $(patsubst docs/%,share/doc/sockerless/%,$(wildcard docs/*.md docs/examples/*))

GUEST_FILES := rootfs rootfs.diff-id rootfs.tar

install: all lib ## programs, library, headers, guest, docs and systemd units below PREFIX
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin lib/pkgconfig include/sockerless share/sockerless share/man/man8 \
		share/doc/sockerless/examples) $(DESTDIR)$(UNITDIR)
	install -d $(DESTDIR)$(PREFIX)/share/sockerless/launchers
	install src/launchers/* $(DESTDIR)$(PREFIX)/share/sockerless/launchers
	install $(B)/bin/sockerlessd $(SANDBOX) $(AGENT) $(FETCH) $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(LIB_DIR)/libsockerless.a $(LIB_DIR)/$(SO_FILE) $(DESTDIR)$(PREFIX)/lib
	ln -sf $(SO_FILE) $(DESTDIR)$(PREFIX)/lib/$(SO_NAME)
	ln -sf $(SO_NAME) $(DESTDIR)$(PREFIX)/lib/libsockerless.so
	install -m 644 $(LIB_DIR)/sockerless.pc $(DESTDIR)$(PREFIX)/lib/pkgconfig
	install -m 644 include/sockerless/*.h $(DESTDIR)$(PREFIX)/include/sockerless
	install -m 644 docs/sockerlessd.8 $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 644 docs/*.md $(DESTDIR)$(PREFIX)/share/doc/sockerless
	install -m 644 docs/examples/* $(DESTDIR)$(PREFIX)/share/doc/sockerless/examples
	rm -rf $(GUEST_FILES:%=$(DESTDIR)$(PREFIX)/share/sockerless/%)
	cp -a $(GUEST_FILES:%=$(GUEST)/%) $(DESTDIR)$(PREFIX)/share/sockerless/
	for u in service socket; do \
		sed 's|@PREFIX@|$(PREFIX)|' src/daemon/systemd/sockerlessd.$$u >$(DESTDIR)$(UNITDIR)/sockerlessd.$$u && \
		chmod 644 $(DESTDIR)$(UNITDIR)/sockerlessd.$$u || exit 1; \
	done

uninstall: ## removes what install put there, and nothing else
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/,$(INSTALLED)) $(addprefix $(DESTDIR)$(UNITDIR)/sockerlessd.,service socket)
	rm -rf $(GUEST_FILES:%=$(DESTDIR)$(PREFIX)/share/sockerless/%) $(DESTDIR)$(PREFIX)/share/sockerless/launchers
	-rmdir $(addprefix $(DESTDIR)$(PREFIX)/,include/sockerless share/sockerless share/doc/sockerless/examples share/doc/sockerless) 2>/dev/null

deb: ## a binary package, build/sockerless_VERSION_ARCH.deb
	@VERSION=$(VERSION) MAKE="$(MAKE)" src/package-deb.sh
