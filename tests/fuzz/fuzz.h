/* What the fuzz targets share. Each fuzz_NAME.c defines the function that
 * libFuzzer calls; replay.c calls it for stored inputs, so that corpora are unit
 * tests. Inputs of tests/fuzz/corpus/NAME are seeds and former findings. */
#ifndef SOCKERLESS_TESTS_FUZZ_H
#define SOCKERLESS_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A broken promise of the code under test. */
#define FUZZ_CHECK(claim)        \
	do {                     \
		if (!(claim))    \
			abort(); \
	} while (0)

/* The input as text, in memory of its very size. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		abort();
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

#endif
