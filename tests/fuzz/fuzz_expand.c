/* Words of a Dockerfile: an expansion keeps its cap, and what holds nothing special stays as it is. */
#include <stdlib.h>
#include <string.h>

#include "dockerfile/expand.h"
#include "fuzz/fuzz.h"

static const char *get(void *arg, const char *name)
{
	(void)arg;
	return name[0] == 'A' ? "some/value.tar.gz" : name[0] == 'B' ? "" : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct expand_source source = { get, NULL };
	char *text = fuzz_text(data, size), *got;
	struct error err = { 0 };
	struct words words = { 0 };
	struct arena a = { 0 };

	for (unsigned flags = 0; flags < 16; flags++) {
		if (expand_word(&a, text, '\\', flags, &source, &got, &err) < 0) {
			FUZZ_CHECK(err.code < 0 && err.message[0]);
			continue;
		}
		FUZZ_CHECK(strlen(got) <= EXPAND_MAX_BYTES);
		if (!strpbrk(text, "$'\"\\"))
			FUZZ_CHECK(strcmp(got, text) == 0);
	}
	if (expand_words(&a, text, '`', 0, &source, &words, &err) == 0)
		for (size_t i = 0; i < words.count; i++)
			FUZZ_CHECK(words.items[i][0]);
	arena_done(&a);
	free(text);
	return 0;
}
