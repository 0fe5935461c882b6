/* The build cache as the API tells it: steps, which are images, and the
 * directories of RUN --mount=type=cache. Listed by `system df`, pruned by `builder prune`.
 *
 * A step whose image has a name, or a container, or is below one that has, is shared: its bytes are that image's. Those of
 * all others are the build cache's own.
 *
 * Loop thread; files are removed on the pool. */
#ifndef SOCKERLESS_BUILD_RECORDS_H
#define SOCKERLESS_BUILD_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

struct cache_dir;
struct engine;
struct image;

struct cache_record {
	const char *id;          /* of a step: of its image, without "sha256:". All strings are borrowed */
	const char *parent;      /* id of the record below; NULL: none */
	const char *type;        /* "regular", "exec.cachemount" */
	const char *description; /* the command; the cache's id */
	bool is_used, is_shared;
	uint64_t bytes, uses;    /* bytes: of what the step itself has changed */
	int64_t created_ns, used_ns;
	struct image *step;      /* one of these */
	struct cache_dir *dir;
};

struct cache_records {
	struct cache_record *items; /* oldest use first */
	size_t count;
	uint64_t own_bytes;         /* of those that are not shared, each layer once */
};
/* As they are now: good until anything is made or removed. */
void cache_records_get(struct engine *e, struct cache_records *ret);
void cache_records_done(struct cache_records *r);
/* build.CacheRecord. */
json_t *cache_record_view(const struct cache_record *r);

struct cache_prune {
	bool takes_shared;   /* --all: shared steps are forgotten, their images stay */
	size_t limit;        /* so many in one call: the loop has others to serve */
	uint64_t keep_bytes; /* 0: nothing is kept for its size */
	bool (*match)(void *arg, const struct cache_record *r);
	void *arg;
};
/* New array of ids; as many as the limit: there may be more. */
json_t *cache_records_prune(struct engine *e, const struct cache_prune *p, uint64_t *ret_bytes);

#endif
