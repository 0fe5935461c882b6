/* One try to reach the other side: connect, TLS where it is asked for, handshake. Both sides use it. Loop thread only. */
#ifndef SOCKERLESS_AGENT_DIALER_H
#define SOCKERLESS_AGENT_DIALER_H

#include <stdbool.h>
#include <stddef.h>

#include <uv.h>

#include "util/error.h"
#include "util/tls.h"

/* ws://HOST:PORT/PATH, wss:// (http:// and https:// too), unix:///SOCKET:/PATH, fd://N/PATH (once). */
struct dial_target {
	char *host, *port; /* ws://, wss:// */
	bool is_tls; /* wss:// */
	char *socket; /* unix:// */
	int fd; /* fd://; -1: none, or used up */
	bool is_fd;
	char *path; /* with the query */
};
/* default_path: where the URL has none. ERROR_INVALID. */
int dial_parse(const char *url, const char *default_path, struct dial_target *ret, struct error *err);
void dial_target_done(struct dial_target *t);

struct dial_result {
	int status; /* 101; another of HTTP; -errno: it was not reached */
	const char *why; /* in words, unless 101 */
	int fd; /* of 101: the receiver's */
	bool is_ours; /* it speaks our subprotocol */
	const char *early; /* what came behind the answer */
	size_t early_len;
};
struct dialer;
/* Borrows the target until `done`, which comes once, from the loop. tls: a client's, for wss:// alone; token: both may
 * be NULL. */
struct dialer *dialer_start(uv_loop_t *loop, struct dial_target *t, struct tls_context *tls, const char *token,
			    void (*done)(void *arg, const struct dial_result *r), void *arg);
void dialer_cancel(struct dialer *d); /* `done` comes no more. Takes NULL. */

#endif
