/* SHA-1, for the handshake of WebSockets (RFC 6455) and nothing else: the agent is linked without GnuTLS. Pure. */
#ifndef SOCKERLESS_AGENT_SHA1_H
#define SOCKERLESS_AGENT_SHA1_H

#include <stddef.h>

enum { SHA1_LEN = 20 };

void sha1_of(const void *data, size_t len, unsigned char out[SHA1_LEN]);

#endif
