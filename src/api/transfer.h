/* The reply of an operation that tells its progress line by line (pull, push): an error before the first line has its own
 * status, one after it stands in the stream. When the client leaves, the operation is told to stop. */
#ifndef SOCKERLESS_API_TRANSFER_H
#define SOCKERLESS_API_TRANSFER_H

#include "http/request.h"

struct transfer;

/* `cancel` at most once, and only before the end. */
struct transfer *transfer_new(struct request *req, void (*cancel)(void *arg), void *arg);
/* `is_passing`: left out when the client is slow. */
void transfer_line(struct transfer *p, json_t *take_line, bool is_passing);
/* The end, well or with an error; the object is gone for the caller. */
void transfer_end(struct transfer *p, const struct error *err);

/* What X-Registry-Auth says: a new object, empty when the header is missing or is none (moby: authconfig.Decode, whose
 * error pull, push, search and inspect overlook). */
json_t *api_registry_auth(struct request *req);
/* X-Registry-Config of a build: registry → what X-Registry-Auth would say of it. In the same way. */
json_t *api_registry_config(struct request *req);

#endif
