# Tests beside the suites: the embedding example. Included by the top Makefile.

.PHONY: test-embed

# Only what an installed library offers: no -Isrc.
EMBED_OBJ := $(B)/tests/embed/embed.o $(B)/tests/embed/fake.o
$(EMBED_OBJ): $(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) -std=c11 -D_GNU_SOURCE -Iinclude $(WARN) $(CFLAGS) $(SANFLAGS) -MMD -MP -c $< -o $@

$(B)/bin/embed-shared: $(EMBED_OBJ) $(LIB_DIR)/libsockerless.so
	$(CC) $(CFLAGS) $(SANFLAGS) $(LDFLAGS) $(EMBED_OBJ) -o $@ -L$(LIB_DIR) -lsockerless -Wl,-rpath,$(abspath $(LIB_DIR)) \
		-luv -lpthread

$(B)/bin/embed-static: $(EMBED_OBJ) $(LIB_DIR)/libsockerless.a
	$(CC) $(CFLAGS) $(SANFLAGS) $(LDFLAGS) $^ -o $@ $(PKG_L) -lpthread -lutil

test-embed: all lib $(B)/bin/embed-shared $(B)/bin/embed-static ## a program that embeds the library, driven by the docker CLI
	@B=$(B) tests/embed/run.sh
	$(if $(SAN),,@tests/embed/install.sh)

-include $(EMBED_OBJ:.o=.d)
