#include "engine/detach.h"

#include <ctype.h>
#include <string.h>

/* -1: no key. */
static int key_of(const char *text, size_t n)
{
	if (n == 1)
		return (unsigned char)text[0];
	if (n == 6 && strncmp(text, "ctrl-", 5) == 0 && (islower((unsigned char)text[5]) || strchr("@[\\]^_", text[5])))
		return text[5] & 0x1f;
	return n == 3 && strncmp(text, "DEL", 3) == 0 ? 127 : -1;
}

bool detach_keys_parse(struct detach_keys *ret, const char *text)
{
	struct detach_keys d = { 0 };

	*ret = d;
	if (!text || !*text)
		text = "ctrl-p,ctrl-q";
	for (;;) {
		size_t n = strcspn(text, ",");
		int key = key_of(text, n);

		if (key < 0 || d.n == sizeof(d.v))
			return false;
		d.v[d.n++] = (unsigned char)key;
		if (!text[n])
			break;
		text += n + 1;
	}
	*ret = d;
	return true;
}

bool detach_keys_take(struct detach_keys *d, const void *data, size_t len, struct buf *out)
{
	const unsigned char *p = data;

	if (d->n == 0)
		buf_append(out, data, len);
	for (size_t i = 0; d->n && i < len; i++) {
		if (p[i] == d->v[d->matched]) {
			if (++d->matched == d->n) {
				d->matched = 0;
				return true;
			}
			continue;
		}
		buf_append(out, d->v, d->matched);
		buf_append(out, p + i, 1);
		d->matched = 0;
	}
	return false;
}
