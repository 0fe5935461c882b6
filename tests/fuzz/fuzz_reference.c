/* Image references: what is accepted must be accepted again in its normal form. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "image/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), *tagged;
	struct reference ref, again;
	struct error err = { 0 };

	if (reference_parse(text, &ref, &err) == 0) {
		FUZZ_CHECK(memchr(ref.name, '\0', sizeof(ref.name)) && memchr(ref.tag, '\0', sizeof(ref.tag)) &&
			   memchr(ref.digest, '\0', sizeof(ref.digest)));
		tagged = reference_tagged(&ref);
		FUZZ_CHECK(reference_parse(tagged, &again, &err) == 0);
		FUZZ_CHECK(strcmp(again.name, ref.name) == 0);
		free(tagged);
		tagged = reference_whole(text);
		FUZZ_CHECK(tagged && reference_parse(tagged, &again, &err) == 0);
		FUZZ_CHECK(strcmp(again.domain, ref.domain) == 0 && strcmp(again.path, ref.path) == 0);
		free(tagged);
	} else {
		FUZZ_CHECK(err.code < 0 && err.message[0]);
	}
	free(text);
	return 0;
}
