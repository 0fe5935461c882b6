/* WWW-Authenticate of a registry: every part ends within its place. */
#include "fetch/challenge.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	struct challenge c;

	if (challenge_parse(text, &c)) {
		FUZZ_CHECK(c.scheme[0]);
		FUZZ_CHECK(memchr(c.scheme, '\0', sizeof(c.scheme)) && memchr(c.realm, '\0', sizeof(c.realm)) &&
			   memchr(c.service, '\0', sizeof(c.service)) && memchr(c.error, '\0', sizeof(c.error)) &&
			   memchr(c.description, '\0', sizeof(c.description)));
	}
	free(text);
	return 0;
}
