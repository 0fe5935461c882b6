/* ?filters= of lists: both shapes, and everything that is neither. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "api/filters.h"
#include "http/internal.h"

static bool never(const void *object, const char *value)
{
	return object == value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const known[] = { "label", "label!", "name", "until", "dangling", "status", NULL };
	struct query query = { (char *)"filters", fuzz_text(data, size) };
	struct request req = { .queries = &query, .nqueries = 1 };
	struct error err = { 0 };
	json_t *filters = filters_parse(&req, known, &err), *labels = json_pack("{s:s}", "a", "b");
	int64_t until;
	bool flag;

	FUZZ_CHECK(filters ? err.code == 0 : err.code < 0);
	if (filters) {
		filters_any(filters, "name", never, "x");
		filters_labels(filters, labels);
		filters_bool(filters, "dangling", true, &flag, &err);
		filters_until(filters, &until, &err);
		filters_has(filters, "status");
	}
	json_decref(filters);
	json_decref(labels);
	free(query.value);
	return 0;
}
