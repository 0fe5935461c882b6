/* Directories of RUN --mount=type=cache: kept between builds, told by `system
 * df`, removed by `builder prune`. Each is <data root>/build-cache/<name>.<random>/data with a record beside it: who
 * makes one anew does not meet the files of one that is being removed.
 *
 * Loop thread; whatever looks at files is done on the pool. */
#ifndef SOCKERLESS_BUILD_CACHES_H
#define SOCKERLESS_BUILD_CACHES_H

#include <stdbool.h>
#include <stdint.h>

#include "util/list.h"

struct engine;

struct cache_dir {
	struct list link;
	char *key;      /* what the mount's id says */
	char *name;     /* a digest of the key, and a number for private ones */
	char *dir;      /* of its own, absolute */
	char *path;     /* <dir>/data */
	int64_t created_ns, used_ns;
	uint64_t bytes, uses;
	unsigned users; /* steps that have it now */
	bool is_locked; /* by one of them, who wants to be alone */
	bool is_new;    /* nobody has filled it yet */
	struct list waiters;
};

struct caches;
struct caches *caches_open(struct engine *e); /* blocks: start-up */
void caches_free(struct caches *cs);

/* "shared" (""), "private", "locked". NULL: it is locked by another step: `ready` comes when it may be asked for again. */
struct cache_dir *cache_take(struct caches *cs, const char *key, const char *sharing, void (*ready)(void *arg), void *arg);
/* Makes the directory of one that has been taken, where there is none yet. On the pool. -errno. */
int cache_make(const struct cache_dir *c);
void cache_stop_waiting(struct caches *cs, void *arg);
/* Measures it, and writes its record. */
void cache_give_back(struct caches *cs, struct cache_dir *c);

void caches_each(struct caches *cs, void (*each)(void *arg, struct cache_dir *c), void *arg);
/* Removes one that nobody uses: its bytes; 0 when somebody waits for it. */
uint64_t cache_remove(struct caches *cs, struct cache_dir *c);

#endif
