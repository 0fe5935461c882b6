/* TLS in front of what speaks plainly: a relay takes a connected socket, shakes hands on it, and gives a socket pair's
 * end that carries what is inside. GnuTLS, in daemon and agent. Loop thread only; each step of a handshake is computed
 * on libuv's pool. */
#ifndef SOCKERLESS_UTIL_TLS_H
#define SOCKERLESS_UTIL_TLS_H

#include <uv.h>

#include "util/error.h"

/* A certificate with its key, or whom one trusts. Shared: each relay holds a reference. */
struct tls_context;

/* PEM files; the certificate's may hold its chain. ERROR_INVALID when they cannot be read or do not belong together. */
int tls_server_new(const char *certificate, const char *key, struct tls_context **ret, struct error *err);
/* authorities: a PEM file; NULL: those that the system trusts. ERROR_INVALID. */
int tls_client_new(const char *authorities, struct tls_context **ret, struct error *err);
void tls_unref(struct tls_context *c); /* takes NULL */

struct tls_relay;
/* host NULL: the server's side; else the name or address that the other side's certificate must be made out to.
 * `done` comes once, from the loop: with a descriptor, after which the relay lives until either side ends; or with -1
 * and why not. Both after at most TLS_HANDSHAKE_MS. Takes the descriptor, which may be about to connect only. */
enum { TLS_HANDSHAKE_MS = 10000 };
struct tls_relay *tls_relay_start(uv_loop_t *loop, struct tls_context *c, int take_fd, const char *host,
				  void (*done)(void *arg, int take_fd, const char *why), void *arg);
void tls_relay_cancel(struct tls_relay *r); /* before `done`, which comes no more. Takes NULL. */

#endif
