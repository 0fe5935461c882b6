/* Base64 as RFC 4648 has it, with padding. Pure. */
#ifndef SOCKERLESS_AGENT_BASE64_H
#define SOCKERLESS_AGENT_BASE64_H

#include <stddef.h>
#include <sys/types.h>

#define BASE64_LEN(n) (((n) + 2) / 3 * 4)

/* Writes BASE64_LEN(len) characters and a NUL. */
void base64_encode(const void *data, size_t len, char *out);
/* `out` has room for len / 4 * 3 bytes. How many there are, or -EINVAL for anything that is not strict base64. */
ssize_t base64_decode(const char *text, size_t len, void *out);

#endif
