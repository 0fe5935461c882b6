/* Times and durations: what is accepted can be written and read again. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "util/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), written[CLOCK_RFC3339_MAX];
	int64_t ns, again;

	if (clock_parse_timestamp(text, 1700000000000000000, &ns) == 0) {
		clock_format_rfc3339_fixed(ns, written);
		FUZZ_CHECK(clock_parse_timestamp(written, 0, &again) == 0 && again == ns);
		clock_format_rfc3339(ns, written);
		if (ns != 0) /* which is Go's zero time */
			FUZZ_CHECK(clock_parse_timestamp(written, 0, &again) == 0 && again == ns);
	}
	clock_parse_duration(text, &ns);
	free(text);
	return 0;
}
