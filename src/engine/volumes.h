/* Volumes of the local driver: <data root>/volumes/<name>/_data. Loop thread
 * only, but for the functions that say so; directories are made and removed on
 * the pool. */
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
	bool is_removing;
};

int volumes_open(struct engine *e, struct volumes **ret, struct error *err); /* blocks: start-up */
void volumes_free(struct volumes *vs);
/* ERROR_NOT_FOUND "get x: no such volume". */
int volumes_find(struct volumes *vs, const char *name, struct volume **ret, struct error *err);
/* Existing with the same name: that one (Docker is idempotent). NULL name: 64 hex digits.
 * Options are those of the local driver; what needs mount(2) is refused. `done` (may be
 * NULL) runs when its directory is there. */
int volumes_create(struct volumes *vs, const char *name, const char *driver, json_t *options, json_t *labels,
		   bool is_anonymous, struct volume **ret, engine_done done, void *arg, struct error *err);
/* ERROR_CONFLICT "remove x: volume is in use - [ids]" through `done`. */
void volumes_remove(struct volumes *vs, struct volume *v, engine_done done, void *arg);
/* Iterates in name order: start with NULL. */
struct volume *volumes_next(struct volumes *vs, const struct volume *after);
/* Ids of the containers that mount it: a new array. */
json_t *volume_users(struct engine *e, const char *name);

/* The volumes of a container's mounts, made where they are missing. */
void volumes_create_of(struct engine *e, struct container *c);
/* Anonymous volumes of a container that is gone, unless others use them. */
void volumes_remove_of(struct engine *e, struct container *c);

/* ERROR_INVALID in Docker's words. */
int volume_check_name(const char *name, struct error *err);
int volume_no_driver(const char *driver, struct error *err);
char *volume_data_path(struct engine *e, const char *name); /* malloc'd */

/* ---- any thread; these block ---- */
/* O_PATH descriptor of the data directory (made when missing) or of a directory in it. */
int volume_open_data(const char *path, const char *subpath, struct error *err);
/* An empty volume gets what lies at `destination` in the union of lower and upper. */
int volume_populate(int lower_fd, int upper_fd, const char *path, const char *destination, struct error *err);
/* Bytes of the files in it. */
uint64_t volume_size(const char *path);

#endif
