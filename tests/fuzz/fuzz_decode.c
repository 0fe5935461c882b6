/* Bodies of requests, through the decoder and the table of versions; and any JSON through the table of replies. The
 * first byte chooses the schema, the second the version. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "api/versions.h"
#include "engine/schema.h"

static const struct {
	const struct decode_type *type;
	enum body body;
} bodies[] = {
	{ &schema_container_create, BODY_CONTAINER_CREATE },
	{ &schema_container_update, BODY_CONTAINER_UPDATE },
	{ &schema_exec_create, BODY_EXEC_CREATE },
	{ &schema_exec_start, BODY_EXEC_START },
	{ &schema_volume_create, BODY_COUNT },
};
enum { BODIES = sizeof(bodies) / sizeof(bodies[0]) };

/* What was decoded is decoded: the second time changes nothing. */
static void check_decoded(json_t *body, const struct decode_type *type)
{
	struct error err = { 0 };
	json_t *again = NULL;

	FUZZ_CHECK(decode_json(body, type, &again, &err) == 0);
	FUZZ_CHECK(json_equal(body, again));
	json_decref(again);
}

static void check_request(json_t *body, const struct decode_type *type, enum body which, int version)
{
	json_t *warnings = json_array();
	struct error err = { 0 };
	int r = versions_request(which, body, version, warnings, &err);

	FUZZ_CHECK(r == 0 ? err.code == 0 : err.cls == ERROR_INVALID && *err.message);
	if (r == 0)
		check_decoded(body, type);
	json_decref(warnings);
}

static void check_replies(json_t *any, int version)
{
	for (int shape = 0; shape < SHAPE_COUNT; shape++) {
		json_t *reply = json_deep_copy(any), *kept = json_pack("{s:O}", "Config", reply);

		versions_shape(shape, reply, API_VERSION_MAX);
		versions_shape(shape, kept, version);
		versions_shape(shape, reply, version);
		json_decref(kept);
		json_decref(reply);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t which = size > 2 ? data[0] % BODIES : 0;
	int version = size > 2 ? API_VERSION(1, 24 + data[1] % 32) : 0;
	json_t *in = size > 2 ? json_loadb((const char *)data + 2, size - 2, 0, NULL) : NULL, *body = NULL;
	struct error err = { 0 };
	int r;

	if (!in)
		return 0;
	r = decode_json(in, bodies[which].type, &body, &err);
	FUZZ_CHECK(r == 0 ? body != NULL : !body && err.cls == ERROR_INVALID && *err.message);
	if (r == 0) {
		check_decoded(body, bodies[which].type);
		if (bodies[which].body < BODY_COUNT)
			check_request(body, bodies[which].type, bodies[which].body, version);
	}
	json_decref(body);
	check_replies(in, version);
	json_decref(in);
	return 0;
}
