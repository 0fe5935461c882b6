#include "engine/detach.h"

#include <string.h>

void detach_keys_parse(struct detach_keys *d, const char *text)
{
	*d = (struct detach_keys){ 0 };
	if (!text || !*text)
		text = "ctrl-p,ctrl-q";
	while (*text && d->n < sizeof(d->keys)) {
		size_t n = strcspn(text, ",");

		if (n == 1)
			d->keys[d->n++] = (unsigned char)text[0];
		else if (n == 6 && strncmp(text, "ctrl-", 5) == 0)
			d->keys[d->n++] = (unsigned char)text[5] & 0x1f;
		text += n + (text[n] == ',');
	}
}

bool detach_keys_match(struct detach_keys *d, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len && d->n; i++) {
		d->matched = p[i] == d->keys[d->matched] ? d->matched + 1 : p[i] == d->keys[0];
		if (d->matched == d->n) {
			d->matched = 0;
			return true;
		}
	}
	return false;
}
