/* Volumes of the local driver: <data root>/volumes/<name>/_data, or what their
 * options put in its place. Loop thread only, but for the functions that say so;
 * directories are made and removed on the pool. */
#ifndef SOCKERLESS_ENGINE_VOLUMES_H
#define SOCKERLESS_ENGINE_VOLUMES_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "engine/engine.h"
#include "engine/volume_options.h"
#include "util/list.h"

#define VOLUME_ANONYMOUS_LABEL "com.docker.volume.anonymous"

struct volume {
	char *name;
	char *mountpoint;        /* absolute host path of _data */
	json_t *labels, *options; /* objects, may be NULL */
	int64_t created_ns;
	struct container **users; /* those that mount it, whether they run or not, oldest first */
	size_t nusers, size;
	/* volumes.c's: */
	int64_t generation;      /* of a tmpfs's content */
	bool is_removing;        /* hidden until its files are gone; then `next` takes its place */
	struct volume *next;     /* made again meanwhile; may be NULL */
	struct list held;        /* who waits for that */
};

int volumes_open(struct engine *e, struct volumes **ret, struct error *err); /* blocks: start-up, after the containers */
void volumes_free(struct volumes *vs);
/* ERROR_NOT_FOUND "get x: no such volume". */
int volumes_find(struct volumes *vs, const char *name, struct volume **ret, struct error *err);
/* In name order: start with NULL. */
struct volume *volumes_next(struct volumes *vs, const struct volume *after);
bool volume_is_anonymous(const struct volume *v);
/* Ids of the containers that mount it: a new array. */
json_t *volume_users(struct engine *e, const char *name);

struct volume_create {
	const char *name; /* NULL, "": 64 hex digits, and the label of the anonymous ones */
	const char *driver; /* NULL, "": local */
	json_t *options, *labels; /* borrowed; may be NULL */
};
/* What volumes_create would refuse, in Docker's words. */
int volumes_check(struct volumes *vs, const struct volume_create *req, struct error *err);
/* One that exists with the same name is answered as it is (Docker's way). `done` (may be NULL) runs
 * when its directory is there. */
int volumes_create(struct volumes *vs, const struct volume_create *req, struct volume **ret, engine_done done,
		   void *arg, struct error *err);
/* ERROR_CONFLICT "remove x: volume is in use - [ids]" through `done`. */
void volumes_remove(struct volumes *vs, struct volume *v, engine_done done, void *arg);

/* One prune at a time: false while another runs. */
bool volumes_prune_begin(struct volumes *vs);
void volumes_prune_end(struct volumes *vs);

/* A container that was just added uses the volumes of its mounts; what is missing is made. `done` runs for
 * each of them when its directory is there; the answer is how often. */
size_t volumes_enter(struct engine *e, struct container *c, engine_done done, void *arg);
/* It is gone: its anonymous volumes too, where asked for and nobody else uses them. */
void volumes_leave(struct engine *e, struct container *c, bool remove_anonymous);

/* Where the files of a container's mount are, for the pool. */
struct mount_backing {
	char *path;
	bool is_bind, is_readonly;
	bool wants_copy; /* as the mount said when this was made */
	bool is_tmpfs; /* the directory is made when it is missing, older ones go */
	struct tmpfs_options tmpfs;
	char *mountpoint, *attempt; /* of a volume with options, for the texts of errors; or NULL */
	int errnum; /* it cannot be had */
};
/* One for each of the container's mounts; free with mount_backings_free. */
struct mount_backing *mount_backings_new(struct engine *e, const struct container *c);
void mount_backings_free(struct mount_backing *b, size_t n);

/* ERROR_INVALID in Docker's words. */
int volume_check_name(const char *name, struct error *err);
int volume_no_driver(const char *driver, struct error *err);
char *volume_data_path(struct engine *e, const char *name); /* malloc'd */

/* ---- any thread; these block ---- */
struct run_mount;
/* Makes what is missing of a volume's directories. */
int volume_make(const char *path, struct error *err);
/* Opens the backing, or `subpath` in it, which links cannot lead out of: sets kind, fd and fd_name of *m. */
int volume_open(const struct mount_backing *b, const char *subpath, struct run_mount *m, struct error *err);
/* An empty volume (`m`, opened) gets what lies at `destination` in the union of lower and upper. */
int volume_populate(int lower_fd, int upper_fd, const struct run_mount *m, const char *destination, struct error *err);
/* Bytes of the files in it. */
uint64_t volume_size(const char *path);

#endif
