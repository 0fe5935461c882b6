/* Containers as objects, and their indexes: id, id prefix, name, order of
 * creation. What a container does is the engine's. Loop thread only. */
#ifndef SOCKERLESS_STORE_CONTAINERS_H
#define SOCKERLESS_STORE_CONTAINERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "store/index.h"
#include "store/store.h"
#include "util/id.h"
#include "util/list.h"
#include "util/map.h"
#include "util/sorted.h"

enum container_status {
	CONTAINER_CREATED,
	CONTAINER_RUNNING,
	CONTAINER_PAUSED,
	CONTAINER_RESTARTING,
	CONTAINER_REMOVING,
	CONTAINER_EXITED,
	CONTAINER_DEAD,
};

const char *container_status_name(enum container_status s); /* "created", "running", … */

enum health_status { HEALTH_NONE, HEALTH_STARTING, HEALTH_HEALTHY, HEALTH_UNHEALTHY };

const char *health_status_name(enum health_status s); /* "none", "starting", … */

struct container_health {
	enum health_status status;  /* none: it has no check, or never ran */
	unsigned failing_streak;
	json_t *log; /* the last five: [{"Start", "End", "ExitCode", "Output"}], oldest first; may be NULL */
};

struct container_state {
	enum container_status status;
	bool is_oom_killed;
	bool is_manually_stopped; /* docker stop/kill: restart policies look at it */
	int exit_code;
	int64_t started_ns, finished_ns; /* wall clock, 0: never */
	unsigned restart_count;
	char *error; /* State.Error; may be NULL */
	struct container_health health; /* written with what else changes, not for its own sake */
	int pid; /* host pid while running, else 0; not persisted */
};

struct container_mount {            /* inspect's Mounts, resolved at create */
	char *type;                 /* bind, volume, tmpfs, image */
	char *name;                 /* volume's name; the image as asked for */
	char *source, *destination;
	char *driver, *mode, *propagation;
	bool is_rw;
	bool is_anonymous;          /* an anonymous volume: removed with -v */
	bool wants_copy;            /* an empty volume gets what the image has there: not done yet */
	bool needs_source;          /* a bind whose missing source is not made */
	char *subpath, *image_id;
	uint64_t size_bytes;        /* tmpfs */
	uint32_t tmpfs_mode;
};

/* --link on the default bridge: "parent/alias" is a name of the child. */
struct container_link {
	struct container *parent; /* who has it, and frees it */
	struct container *child;  /* reference: it may be gone */
	char *alias;
	struct container_link *next, *next_of_child;
	struct container_link **at_of_child; /* what points at it among those of the child; NULL: that one is gone */
};

struct container {
	struct list by_age; /* in containers.by_age, oldest first */
	uint64_t age; /* place in that order */
	char id[ID_LEN + 1];
	char *name; /* without the slash */
	int64_t created_ns;
	json_t *config; /* Config, with the image's defaults merged; never changes once it is in the store */
	json_t *host_config; /* HostConfig, normalised */
	json_t *networking; /* NetworkingConfig as given, or NULL */
	char *image_ref; /* as asked for */
	char *image_id; /* "sha256:…" */
	char *platform;
	char *path; /* inspect's Path and Args: entrypoint and cmd merged */
	json_t *args;
	char *runtime; /* routing, decided once: "wasm", "agent", "synthetic" */
	char *route; /* why that one, where the container has not asked for it; may be NULL */
	char *driver; /* name of the driver that serves it */
	struct container_mount *mounts;
	size_t nmounts;
	struct container_state state;
	bool is_removing; /* guards a second remove; not persisted */
	bool is_held;     /* a build needs it, also when it does not run: no prune takes it; not persisted */
	struct map execs; /* exec id → struct exec (engine's); not persisted */
	void *run; /* the engine's run-time part; not persisted */
	struct container_link *links, *linked_by; /* links.c: as a parent, in order, kept in HostConfig.Links; as a child */
	char *traits; /* narrow.c: the words by which by_trait has it, each with its NUL, and one more */
	unsigned refs;
	bool is_gone; /* out of the store, kept by references */
};

static inline bool container_has_process(const struct container *c)
{
	return c->state.status == CONTAINER_RUNNING || c->state.status == CONTAINER_PAUSED;
}

/* Docker's Running: it has a process, or will have one again by its restart policy. */
static inline bool container_is_live(const struct container *c)
{
	return container_has_process(c) || c->state.status == CONTAINER_RESTARTING;
}

struct containers {
	struct store *store;
	struct map by_id, by_name;
	struct list by_age;
	struct sorted ids; /* for prefixes */
	uint64_t next_age;
	struct index by_label, by_part, by_life; /* narrow.c: "key" and "key=value"; parts of "/name"; "live" */
	struct index by_trait; /* "volume=name or place", "network=name", "health=healthy", "image=id" */
};

/* What a filter asks for, as far as the indexes know it. NULL, false: does not matter. */
struct narrowing {
	json_t *labels; /* all of these: "key" or "key=value" */
	json_t *name_parts; /* any of these is part of "/name" */
	json_t *volumes, *healths; /* any of these; they help when there is one */
	const char *network; /* the name of one that is there */
	const char *image_id; /* made of it, or with it mounted */
	bool is_live;
};

/* The containers that can be meant, oldest first, borrowed until the next change: a few of 100,000 where the
 * filter is a narrow one. Some of them may not match after all. False: the indexes do not help, walk by_age. */
bool containers_narrow(const struct containers *cs, const struct narrowing *by, struct container *const **ret, size_t *ret_n);

/* For containers.c; narrow_update also for whoever changes the health, or networks without saving. */
void narrow_add(struct containers *cs, struct container *c);
void narrow_remove(struct containers *cs, struct container *c);
void narrow_update(struct containers *cs, struct container *c); /* its status may have changed */
void narrow_rename(struct containers *cs, struct container *c, const char *name);

/* `child` is known as "parent/alias" too, from now on. False: that name is taken, or none, and nothing is done. */
bool containers_link(struct containers *cs, struct container *parent, struct container *child, const char *alias);
void containers_unlink(struct containers *cs, struct container_link *l); /* frees it */
char *container_link_name(const struct container_link *l); /* "parent/alias", malloc'd */

/* links.c for containers.c: around a parent's new name, and at a container's end. */
void links_give_names(struct containers *cs, struct container *parent);
void links_take_names(struct containers *cs, struct container *parent);
void links_leave(struct containers *cs, struct container *c);

/* Loads what the store holds, but for links. */
int containers_init(struct containers *cs, struct store *store, struct error *err);
void containers_done(struct containers *cs);

/* By full id, full name or link's name, or unique id prefix, in this order (a leading
 * slash on a name is taken). ERROR_NOT_FOUND "No such container: x"; ERROR_INVALID
 * "Multiple IDs found with provided prefix: x". */
int containers_find(struct containers *cs, const char *name, struct container **ret, struct error *err);
/* Takes the caller's first reference into the store. ERROR_CONFLICT with
 * Docker's text when the name is in use. */
int containers_add(struct containers *cs, struct container *c, struct error *err);
/* ERROR_CONFLICT as above; otherwise the row is written under the new name. */
int containers_rename(struct containers *cs, struct container *c, const char *name, struct error *err);
/* Out of indexes and store; drops the store's reference. */
void containers_remove(struct containers *cs, struct container *c);
/* Writes the row again after a change of state or configuration. */
void containers_save(struct containers *cs, struct container *c);

/* Empty, with one reference, the caller's. */
struct container *container_new(void);
struct container *container_ref(struct container *c); /* answers c */
void container_unref(struct container *c); /* the last one frees; takes NULL */

#endif
