/* Random identifiers from the kernel's generator. */
#include "util/id.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static bool short_is_number(const char *id)
{
	for (int i = 0; i < ID_SHORT_LEN; i++)
		if (!isdigit((unsigned char)id[i]))
			return false;
	return true;
}

void id_generate(char ret_id[ID_LEN + 1])
{
	unsigned char raw[ID_LEN / 2];

	do {
		if (getrandom(raw, sizeof raw, 0) != (ssize_t)sizeof raw)
			abort();
		for (int i = 0; i < ID_LEN / 2; i++) {
			ret_id[2 * i] = "0123456789abcdef"[raw[i] >> 4];
			ret_id[2 * i + 1] = "0123456789abcdef"[raw[i] & 15];
		}
	} while (short_is_number(ret_id));
	ret_id[ID_LEN] = '\0';
}

bool id_is_hex(const char *s)
{
	size_t n = strspn(s, "0123456789abcdef");

	return n > 0 && n <= ID_LEN && !s[n];
}
