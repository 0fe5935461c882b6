/* The directories of a root that a layer is being applied to: which of them this layer has made or been in, their
 * descriptors (as many as are worth keeping), and their times, which are set when all is in them. */
#ifndef SOCKERLESS_ROOTFS_LAYER_DIRS_H
#define SOCKERLESS_ROOTFS_LAYER_DIRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "util/error.h"

enum { LAYER_DEPTH_MAX = 256 }; /* what export takes, too */

/* A directory that has been walked; or a file that this layer has brought into a directory of a lower one. */
struct layer_node {
	struct layer_node *parent, *first_child, *next, *previous; /* next, previous: among the parent's children */
	struct layer_node *hash_next;
	struct layer_node *newer, *older; /* of those with a descriptor */
	uint64_t hash;
	int fd;
	bool is_dir;
	bool is_fresh;    /* nothing of a lower layer is in it */
	bool has_entry;   /* the archive speaks of it, not only of what is in it */
	bool holds_new;   /* this layer has brought something below it */
	bool has_mtime;
	struct timespec mtime;
	uint16_t len, depth;
	char name[];
};

struct layer_dirs {
	struct layer_node *root;
	struct layer_node **slots;
	size_t size, count;
	uint64_t seed;
	struct layer_node *newest, *oldest;
	unsigned nopen;
	uint32_t umask;      /* bits that the host takes from what is made */
	unsigned generation; /* counts what has been dropped: nodes that are remembered may have gone */
};

/* Borrows nothing: opens the directory anew. */
int layer_dirs_init(struct layer_dirs *d, int dir_fd);
void layer_dirs_done(struct layer_dirs *d);

struct layer_node *layer_node_find(struct layer_dirs *d, struct layer_node *in, const char *name, size_t len);
struct layer_node *layer_node_add(struct layer_dirs *d, struct layer_node *in, const char *name, size_t len);
/* With all that is below it. */
void layer_node_drop(struct layer_dirs *d, struct layer_node *n);

/* A descriptor of the directory, to read, valid until the next call for another one; -errno. */
int layer_node_fd(struct layer_dirs *d, struct layer_node *n);
/* Something of this layer is in it. */
void layer_node_holds_new(struct layer_node *n);

/* Makes a directory (0755, root's) or takes the one of the lower layer that is there. What is there and no directory
 * is gone, if a lower layer has brought it, as an overlay would hide it; -ENOTDIR, if this one has. */
int layer_node_enter(struct layer_dirs *d, struct layer_node *in, const char *name, size_t len, struct layer_node **ret);

/* The directory that a clean, relative path of the archive ("" the root) means, made where it is missing. Links of
 * this layer are followed within the root. ERROR_INVALID. */
int layer_dirs_walk(struct layer_dirs *d, const char *path, struct layer_node **ret, struct error *err);

/* What is under the name goes, with its records; 0 also when nothing was. */
int layer_remove(struct layer_dirs *d, struct layer_node *in, const char *name);
/* What lower layers have brought goes from the directory; what this one has brought stays. */
int layer_purge(struct layer_dirs *d, struct layer_node *n);

int layer_dirs_set_times(struct layer_dirs *d);

#endif
