/* What an older client of the API gets and may send, in one place: src/api/versions.c.
 *
 * Handlers and views know only the newest API. They build the newest reply and pass it through
 * `reply_shaped` (or `versions_shape`), which makes of it what the version asked for had; a decoded request
 * body goes through `versions_request` before the engine sees it; query parameters that came or went with a
 * version are read with `versions_query`; and what a handler *does* otherwise for an older client hangs on
 * `versions_has`. Nothing else compares versions.
 *
 * How to add a row. Find the table of the reply (or request) in versions.c and put the row among its
 * neighbours: newest first. BEFORE(44) reads "clients of 1.43 and older get …", SINCE(52) "clients of 1.52
 * and newer", BETWEEN(48, 49) "from 1.48, and before 1.49". Replies:
 *   { BEFORE(48), "EnableIPv4", ABSENT }                        the member goes
 *   { BEFORE(52), "NetworkSettings", FILL, "{\"Bridge\":\"\"}" }  members that are missing at that place come
 *   { BEFORE(51), "Containers", SET, "-1" }                     has always this value
 *   { BEFORE(44), "VirtualSize", COPY, "Size" }                 is the same as the member beside it
 *   { BEFORE(45), "", CALL, .call = add_short_id }              anything else, with the object at that place
 *   { BEFORE(48), "NetworkSettings.Networks.*", NEST, .nested = SHAPE_ENDPOINT }  has a table of its own
 * A path is members with dots between, "*" for each member or element, "" for the reply itself. A path that
 * leads nowhere is no error. Requests have IGNORE (as if it was not said), DEFAULT (where nothing was said),
 * REFUSE (400 with this text, when it was said), WARN (a warning, when it was said) and CHECK (a function).
 * tests/unit/test_api_versions.c proves the tables' order and each kind of row.
 *
 * Thread: loop. All pure. */
#ifndef SOCKERLESS_API_VERSIONS_H
#define SOCKERLESS_API_VERSIONS_H

#include <limits.h>

#include <jansson.h>

#include "http/request.h"
#include "util/error.h"

/* ---- replies ---- */

enum shape {
	SHAPE_CONTAINER,         /* GET /containers/{id}/json */
	SHAPE_CONTAINER_SUMMARY, /* one of GET /containers/json */
	SHAPE_ENDPOINT,          /* one of the NetworkSettings.Networks of both */
	SHAPE_EXEC,
	SHAPE_STATS,
	SHAPE_IMAGE,
	SHAPE_IMAGE_SUMMARY,
	SHAPE_NETWORK,
	SHAPE_NETWORK_SUMMARY, /* one of GET /networks */
	SHAPE_VOLUME,
	SHAPE_USAGE,           /* GET /system/df */
	SHAPE_INFO,
	SHAPE_VERSION,
	SHAPE_EVENT,
	SHAPE_COUNT,
};

/* Makes the newest form of `reply` that of `api_version`. `reply` is an object of that shape, or an array of
 * such, and must be the caller's own; parts of it that are shared with others are copied before they change. */
void versions_shape(enum shape shape, json_t *reply, int api_version);
/* The same for the version of the request, and the answer. */
void reply_shaped(struct request *req, int status, enum shape shape, json_t *take_reply);

/* ---- requests ---- */

enum body {
	BODY_CONTAINER_CREATE,
	BODY_CONTAINER_UPDATE,
	BODY_EXEC_CREATE,
	BODY_EXEC_START,
	BODY_NETWORK_CREATE,
	BODY_NETWORK_CONNECT,
	BODY_VOLUME_CREATE,
	BODY_COUNT,
};

/* Makes a decoded body (its names are canonical) of that version what the newest would have said. Warnings
 * are appended to the array `warnings`, which may be NULL. Returns 0, or -EINVAL with ERROR_INVALID. */
int versions_request(enum body which, json_t *body, int api_version, json_t *warnings, struct error *err);

/* The first value of a query parameter, NULL when it is absent or the request's version does not know it. */
const char *versions_query(const struct request *req, const char *key);
/* BoolValue of the same. */
bool versions_query_bool(const struct request *req, const char *key);
/* True when the request's version has the parameter, said or not. */
bool versions_knows(const struct request *req, const char *key);

/* ---- what is done otherwise ---- */

enum feature {
	FEATURE_WS_BINARY,         /* attach/ws sends binary frames, not text */
	FEATURE_NETWORK_SUMMARY,   /* the list of networks does not tell their containers */
	FEATURE_WAIT_HEAD,         /* wait answers with its head at once, and takes a condition */
	FEATURE_BUILD_AUX,         /* a build tells image ids as aux messages */
	FEATURE_WAIT_ERROR,        /* wait for a removal tells that it failed; before: an empty body */
	FEATURE_TEMPLATING,        /* secrets and configurations from templates */
	FEATURE_MULTIPLEXED_TYPE,  /* multiplexed output has a content type of its own */
	FEATURE_ANONYMOUS_PRUNE,   /* pruning takes only anonymous volumes */
	FEATURE_EVENT_IMAGE_CREATE,
	FEATURE_EVENT_JSONL,       /* events are application/jsonl by default, not application/json */
	FEATURE_PLATFORM_LISTS,    /* save and load take several platforms */
	FEATURE_COUNT,
};

bool versions_has(enum feature feature, int api_version);

/* ---- the tables, for the code that goes over them and for tests ---- */

enum change {
	CHANGE_ABSENT,
	CHANGE_FILL,
	CHANGE_SET,
	CHANGE_COPY,
	CHANGE_CALL,
	CHANGE_NEST,
	CHANGE_IGNORE,
	CHANGE_DEFAULT,
	CHANGE_REFUSE,
	CHANGE_WARN,
	CHANGE_CHECK,
};

struct difference {
	int since, before;      /* for clients of versions in [since, before) */
	const char *path;
	enum change change;
	const char *value;      /* FILL, SET, DEFAULT: JSON; COPY: the member beside; REFUSE, WARN: text */
	enum shape nested;
	void (*call)(json_t *at);
	int (*check)(json_t *at, json_t *warnings, struct error *err);
};

#define VERSIONS_FOREVER INT_MAX

/* Ended by a row without a path; `before` falls from row to row in those of replies. */
extern const struct difference *const versions_of_replies[SHAPE_COUNT];
extern const struct difference *const versions_of_bodies[BODY_COUNT];
#endif
