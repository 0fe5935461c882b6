#include "util/digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/crypto.h>

#include "util/alloc.h"

struct digest {
	gnutls_hash_hd_t hash;
};

struct digest *digest_new(void)
{
	struct digest *d = xnew(struct digest);

	if (gnutls_hash_init(&d->hash, GNUTLS_DIG_SHA256) < 0)
		abort(); /* out of memory: xnew would have ended us as well */
	return d;
}

void digest_add(struct digest *d, const void *data, size_t len)
{
	gnutls_hash(d->hash, data, len);
}

void digest_end(struct digest *d, char out[DIGEST_LEN + 1])
{
	unsigned char sum[32];

	gnutls_hash_deinit(d->hash, sum);
	free(d);
	if (!out)
		return;
	memcpy(out, "sha256:", 7);
	for (int i = 0; i < 32; i++)
		snprintf(out + 7 + 2 * i, 3, "%02x", sum[i]);
}

void digest_of(const void *data, size_t len, char out[DIGEST_LEN + 1])
{
	struct digest *d = digest_new();

	digest_add(d, data, len);
	digest_end(d, out);
}

bool digest_is_hex(const char *text)
{
	return text && strlen(text) == DIGEST_LEN - 7 && strspn(text, "0123456789abcdef") == DIGEST_LEN - 7;
}

bool digest_is_valid(const char *text)
{
	return text && strncmp(text, "sha256:", 7) == 0 && digest_is_hex(text + 7);
}
