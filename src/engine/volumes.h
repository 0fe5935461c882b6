/* Volumes of the local driver: <data root>/volumes/<name>/_data. Loop thread
 * only; directories are made and removed on the pool. */
#ifndef SOCKERLESS_ENGINE_VOLUMES_H
#define SOCKERLESS_ENGINE_VOLUMES_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "engine/engine.h"

struct volume {
	char *name;
	char *mountpoint;        /* absolute host path of _data */
	json_t *labels, *options; /* objects, may be NULL */
	int64_t created_ns;
	bool is_anonymous;
	unsigned users;          /* containers that mount it */
};

int volumes_open(struct engine *e, struct volumes **ret, struct error *err);
void volumes_free(struct volumes *vs);
/* ERROR_NOT_FOUND "get x: no such volume". */
int volumes_find(struct volumes *vs, const char *name, struct volume **ret, struct error *err);
/* Existing with the same name: that one (Docker is idempotent). NULL name: 64 hex digits. */
int volumes_create(struct volumes *vs, const char *name, const char *driver, json_t *options, json_t *labels,
		   bool is_anonymous, struct volume **ret, struct error *err);
/* ERROR_CONFLICT "remove x: volume is in use - [ids]". */
int volumes_remove(struct volumes *vs, struct volume *v, bool force, engine_done done, void *arg, struct error *err);
/* Iterates in name order: start with NULL. */
struct volume *volumes_next(struct volumes *vs, const struct volume *after);
/* Keeps count of the users of a volume: [mounts of containers]. */
void volumes_use(struct volumes *vs, const char *name, int delta);
void volumes_prune(struct volumes *vs, bool (*match)(void *arg, const struct volume *v), void *match_arg,
		   void (*done)(void *arg, json_t *borrow_names, int64_t bytes, const struct error *err), void *arg);
#endif
