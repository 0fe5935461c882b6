/* Which agents are expected, and the door that they come in by: the path AGENT_PATH on the daemon's own sockets, on a
 * listener of their own, or on a socket that a launcher hands down. Loop thread only. */
#ifndef SOCKERLESS_AGENT_REGISTRY_H
#define SOCKERLESS_AGENT_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>

#include <uv.h>

#include "agent/link.h"
#include "util/tls.h"

struct agent_registry;

struct agent_registry *agent_registry_new(uv_loop_t *loop);
void agent_registry_free(struct agent_registry *r); /* listeners and visitors end in the loop's last turns */

/* From here on the agent of container `id` may come with this token; its connections go to `link` (NULL for now: one
 * that comes is asked to come again). Copies. An entry that is there gets the new link and keeps its token. */
void agent_registry_expect(struct agent_registry *r, const char *id, const char *token, struct agent_link *link);
const char *agent_registry_token(const struct agent_registry *r, const char *id); /* NULL: not expected */
/* The container's run is over: who still comes with its token is told that it is gone. */
void agent_registry_end(struct agent_registry *r, const char *id);
void agent_registry_forget(struct agent_registry *r, const char *id);

/* http_claims_fn: is this head an agent's? */
bool agent_registry_claims(const char *head, size_t len);
/* http_claim_fn: then the descriptor is taken, head and all. ctx: the registry. */
void agent_registry_claim(void *ctx, const char *head, size_t len, int take_fd);
/* A connected socket that will speak as an agent does: in time, or whenever its launcher has made ready. */
void agent_registry_enter(struct agent_registry *r, int take_fd, bool is_patient);
/* The certificate of listeners with TLS, before the first of them. */
void agent_registry_set_tls(struct agent_registry *r, struct tls_context *take_tls);
/* A listening socket that serves nothing but the agents' path. */
int agent_registry_listen(struct agent_registry *r, int take_fd, bool is_tls, struct error *err);

#endif
