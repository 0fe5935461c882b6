/* The messages between the daemon and the sandbox: anything may come from the other side. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "sandbox/wire.h"
#include "util/buf.h"

static struct wire_reader reader(const uint8_t *data, size_t size)
{
	return (struct wire_reader){ .data = data, .len = size };
}

/* What was read can be written, and reads the same. */
static void check_spawn(const struct wire_spawn *spawn)
{
	struct wire_spawn again;
	struct wire_reader r;
	struct buf b;

	buf_init(&b, WIRE_MAX_BYTES);
	wire_put_spawn(&b, spawn);
	r = reader((const uint8_t *)b.data, b.len);
	FUZZ_CHECK(wire_get_spawn(&r, &again) == 0);
	FUZZ_CHECK(again.uid == spawn->uid && again.ngroups == spawn->ngroups && again.nrlimits == spawn->nrlimits);
	wire_spawn_done(&again);
	buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_reader r;
	struct wire_setup setup;
	struct wire_spawn spawn;
	char **words;

	r = reader(data, size);
	if (wire_get_setup(&r, &setup) == 0)
		wire_setup_done(&setup);
	r = reader(data, size);
	if (wire_get_spawn(&r, &spawn) == 0) {
		check_spawn(&spawn);
		wire_spawn_done(&spawn);
	}
	r = reader(data, size);
	words = wire_get_strv(&r);
	FUZZ_CHECK(!words || !r.failed);
	free(words);
	wire_get_u64(&r);
	FUZZ_CHECK(r.pos <= r.len);
	return 0;
}
