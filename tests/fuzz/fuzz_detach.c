/* Detach keys: any text, any input, in any pieces. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "engine/detach.h"

/* The text ends at the first NUL; the rest is typed. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	size_t n = strlen(text), from = n < size ? n + 1 : size;
	struct detach_keys whole, pieces;
	bool left = false;

	detach_keys_parse(&whole, text);
	pieces = whole;
	FUZZ_CHECK(whole.n <= sizeof(whole.keys));
	for (size_t i = from; i < size && !left; i++)
		left = detach_keys_match(&pieces, data + i, 1);
	FUZZ_CHECK(detach_keys_match(&whole, data + from, size - from) == left);
	free(text);
	return 0;
}
