/* Where a name leads: nothing in it may change the URL that is made of it. */
#include "fetch/name.h"
#include "fuzz/fuzz.h"
#include "util/digest.h"
#include "util/tag.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	struct error err = { 0 };
	struct name name;

	if (name_split(text, &name, &err) == 0) {
		FUZZ_CHECK(name.domain[0] && name.path[0]);
		FUZZ_CHECK(!strpbrk(name.domain, "/?#@ \r\n\t%") && !strpbrk(name.path, "?#@: \r\n\t%") &&
			   !strstr(name.path, ".."));
	} else {
		FUZZ_CHECK(err.message[0]);
	}
	tag_is_valid(text);
	digest_is_valid(text);
	free(text);
	return 0;
}
