/* .dockerignore: the first line of the input is a path, the rest are patterns. What leaves a directory out leaves out
 * what is in it, unless a pattern brings something back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dockerfile/ignore.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), *end = strchr(text, '\n'), below[4200];
	struct error err = { 0 };
	struct ignore *g;

	if (end && end - text < 4000) {
		*end = '\0';
		if (ignore_parse(end + 1, &g, &err) == 0) {
			snprintf(below, sizeof(below), "%s/below", text);
			if (ignore_matches(g, text) && !ignore_has_exceptions(g))
				FUZZ_CHECK(ignore_matches(g, below));
			FUZZ_CHECK(!ignore_matches(g, "."));
			ignore_free(g);
		} else {
			FUZZ_CHECK(err.code < 0 && err.message[0]);
		}
	}
	free(text);
	return 0;
}
