/* SHA-256 as content addressing writes it: "sha256:" and 64 hex digits. By
 * GnuTLS, which libmicrohttpd brings along. Any thread. */
#ifndef SOCKERLESS_UTIL_DIGEST_H
#define SOCKERLESS_UTIL_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

#define DIGEST_LEN (7 + 64)

struct digest; /* of bytes that come piece by piece */
struct digest *digest_new(void);
void digest_add(struct digest *d, const void *data, size_t len);
/* Writes the text with its NUL and frees. `out` may be NULL. */
void digest_end(struct digest *d, char out[DIGEST_LEN + 1]);

/* Is it "sha256:" and 64 digits; only these digits? Small letters; NULL is not. Pure. */
bool digest_is_valid(const char *text);
bool digest_is_hex(const char *text);

void digest_of(const void *data, size_t len, char out[DIGEST_LEN + 1]);

#endif
