/* What a row of the route table is, and the look-up over a table. The table
 * itself stands in api/routes.c. */
#ifndef SOCKERLESS_HTTP_ROUTE_H
#define SOCKERLESS_HTTP_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

struct request;
struct error;
typedef void (*route_handler)(struct request *req);

enum route_flags {
	ROUTE_BODY_JSON = 1,    /* application/json or absent; parsed before the handler runs */
	ROUTE_BODY_STREAM = 2,  /* handed on piece by piece */
	ROUTE_HIJACK = 4,       /* the handler takes the connection over */
	ROUTE_STREAM = 8,       /* long reply: no idle time-out */
	ROUTE_UNVERSIONED_ONLY = 16,
	ROUTE_EXPERIMENTAL = 32,
};

/* Which vtable of the driver chain serves the operation, for the docs. */
enum route_slot { SLOT_NONE, SLOT_EXEC, SLOT_FILESYSTEM, SLOT_STREAM, SLOT_LIFECYCLE };

struct route {
	const char *operation;  /* "ContainerStart": unique; what an embedder overrides by */
	const char *method;
	const char *pattern;    /* "/containers/{name}/json"; a `{name...}` matches slashes as well */
	route_handler handler;  /* NULL: documented but not there; answers "page not found" */
	unsigned flags;
	int min_version;        /* API_VERSION(…), 0: all */
	enum route_slot slot;
	const char *state;      /* for docs/docker_api_mapping.md: "full", "partial: …", "later" */
};

struct router;

/* Borrows the table for its life. Unknown or doubled rows are caught here. */
int router_new(const struct route *table, size_t n, struct router **ret, struct error *err);
void router_free(struct router *r);
/* Replaces one handler; before the server starts. `arg` is its request_override_arg. ERROR_NOT_FOUND for an
 * unknown operation. */
int router_override(struct router *r, const char *operation, route_handler handler, void *arg, struct error *err);

#define ROUTE_MAX_PARAMS 4
struct route_match {
	const struct route *route;
	route_handler handler;
	void *arg; /* of the override */
	size_t nparams;
	const char *names[ROUTE_MAX_PARAMS];
	char *values[ROUTE_MAX_PARAMS]; /* decoded, malloc'd */
};
/* `raw_path` is the undecoded path without version and query. True on a match. */
bool router_match(const struct router *r, const char *method, const char *raw_path, struct route_match *ret);
void route_match_done(struct route_match *m);
#endif
