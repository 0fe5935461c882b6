# sockerless-fetch, the registry client: its own program, so that libcurl is not in the daemon. Without libcurl there is
# no such program, and the daemon says so. Included by the top Makefile.

CURL_C     := $(shell pkg-config --cflags libcurl 2>/dev/null)
CURL_L     := $(shell pkg-config --libs libcurl 2>/dev/null)
FETCH      := $(if $(CURL_L),$(B)/bin/sockerless-fetch)
FETCH_SRC  := $(wildcard src/fetch/*.c)
FETCH_UTIL := $(addprefix $(B)/src/util/,alloc.o buf.o cleanup.o clock.o digest.o error.o tag.o)
# These need no libcurl: the fuzz targets and unit tests link them.
FETCH_PURE := $(addprefix $(B)/src/fetch/,challenge.o events.o manifest.o name.o platform.o refusal.o)

$(B)/bin/sockerless-fetch: $(FETCH_SRC:%.c=$(B)/%.o) $(FETCH_UTIL)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(SANFLAGS) $(LDFLAGS) $^ -o $@ $(CURL_L) $(shell pkg-config --libs jansson gnutls) -lpthread

-include $(FETCH_SRC:%.c=$(B)/%.d)
