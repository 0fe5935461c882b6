/* Detach keys: any text, any input, in any pieces. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "engine/detach.h"

/* The text ends at the first NUL; the rest is typed, at once and key by key: the outcome and what passes are the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	size_t n = strlen(text), from = n < size ? n + 1 : size;
	struct detach_keys whole, pieces;
	struct buf at_once, one_by_one;
	bool left = false;

	buf_init(&at_once, size + sizeof(whole.v));
	buf_init(&one_by_one, size + sizeof(whole.v));
	if (!detach_keys_parse(&whole, text))
		FUZZ_CHECK(whole.n == 0);
	pieces = whole;
	FUZZ_CHECK(whole.n <= sizeof(whole.v));
	for (size_t i = from; i < size && !left; i++)
		left = detach_keys_take(&pieces, data + i, 1, &one_by_one);
	FUZZ_CHECK(detach_keys_take(&whole, data + from, size - from, &at_once) == left);
	FUZZ_CHECK(at_once.len == one_by_one.len &&
		   (at_once.len == 0 || memcmp(at_once.data, one_by_one.data, at_once.len) == 0));
	buf_done(&at_once);
	buf_done(&one_by_one);
	free(text);
	return 0;
}
