/* What the files of the union file system share. Positions (struct
 * rootfs_dir) hold O_PATH directory fds of the layers they are made of. */
#ifndef SOCKERLESS_ROOTFS_INTERNAL_H
#define SOCKERLESS_ROOTFS_INTERNAL_H

#include <stdatomic.h>
#include <sys/stat.h>

#include "rootfs/rootfs.h"

#define WHITEOUT_PREFIX ".wh."
#define OPAQUE_MARK ".wh..wh..opq"
#define ESCAPE_PREFIX ".wh..wh.esc."  /* of the guest's own names that begin with .wh. */
#define OWNER_PREFIX ".wh..wh.own."   /* records beside a file: sidecar.c */
#define TEMPORARY_PREFIX ".wh..wh.new."
#define OWNER_XATTR "user.containers.override_stat"
#define GUEST_XATTRS "user.containers.guest_xattrs"

struct rootfs {
	struct rootfs_mount *mounts;
	size_t nmounts;
	bool *keeps_xattrs;        /* by mount: looked at once */
	_Atomic uint64_t *own_used_bytes; /* by mount, where the owner has no counter */
	struct rootfs_dir *root;
	bool has_witness, saw_more; /* rootfs_witness_begin */
};

struct rootfs_dir {
	atomic_uint refs;
	struct rootfs *fs;
	struct rootfs_dir *parent; /* NULL for the root; holds a reference */
	unsigned mount;
	atomic_int upper;          /* -1: not there (yet): see dir_upper */
	int lower;                 /* -1: none */
	uint64_t node;             /* in a virtual mount */
	char *path;                /* the guest's, as walked */
	char *name;                /* in the layers of the parent */
};

/* ---- names.c ---- */
enum name_kind { NAME_ENTRY, NAME_WHITEOUT, NAME_MARK };
bool dir_has_marks(const struct rootfs_dir *dir); /* escaped names and records; union mounts and our own directories */
int name_store(const struct rootfs_dir *dir, const char *guest, char out[256]); /* 0 or -ENAMETOOLONG */
void name_show(const struct rootfs_dir *dir, const char *stored, char out[256]);
enum name_kind name_read(const char *stored, char guest[256]);

/* ---- sidecar.c ---- */
int sidecar_read(int dir_fd, const char *name, struct rootfs_stat *st); /* -ENOENT: no record */
int sidecar_write(int dir_fd, const char *name, const struct rootfs_stat *st, bool with_times);
void sidecar_remove(int dir_fd, const char *name);
void sidecar_move(int from_fd, const char *from, int to_fd, const char *to);
/* Regular files and directories have one only where there are no xattrs: no look-up for each of them. */
bool sidecar_may_have(const struct rootfs_dir *dir, uint32_t type);
void sidecar_link(int from_fd, const char *from, int to_fd, const char *to);

/* ---- view.c ---- */
struct rootfs_dir *dir_new(struct rootfs_dir *parent, const char *name, unsigned mount, int take_upper, int take_lower);
const struct rootfs_mount *dir_mount(const struct rootfs_dir *dir);
const char *dir_name(const struct rootfs_dir *dir);
bool dir_is_union(const struct rootfs_dir *dir);
/* The upper directory's fd, looked for again when it was missing; -1. */
int dir_upper(struct rootfs_dir *dir);
/* The same, made (with its parents) when missing. -errno. */
int dir_make_upper(struct rootfs_dir *dir);
int fd_floored(int fd); /* moves above the floor; takes fd, passes errors as -errno */

/* ---- lookup.c ---- */
enum entry_place { ENTRY_NONE, ENTRY_UPPER, ENTRY_LOWER, ENTRY_VIRTUAL, ENTRY_MOUNT };

struct entry {
	enum entry_place place;
	unsigned mount; /* ENTRY_MOUNT */
	uint64_t node; /* ENTRY_VIRTUAL */
	uint32_t type; /* S_IFMT of what is there */
	struct stat host; /* UPPER, LOWER */
};

/* One name of one directory. 0 also when nothing is there (place NONE). is_fresh: the directory has just been opened
 * on the way here, and a missing upper one need not be looked for again. */
int entry_lookup(struct rootfs_dir *dir, const char *name, bool is_fresh, struct entry *ret);
int entry_open_dir(struct rootfs_dir *dir, const char *name, const struct entry *e, struct rootfs_dir **ret);
int entry_stat(struct rootfs_dir *dir, const char *name, const struct entry *e, struct rootfs_stat *ret);
/* The fd of the layer that holds the entry. */
int entry_layer(struct rootfs_dir *dir, const struct entry *e);
void make_whiteout_name(char out[300], const char *name);

/* ---- walk.c ---- */
struct place {
	struct rootfs_dir *dir; /* the directory that holds `name`; reference */
	char name[256]; /* "" when the path means `dir` itself */
	bool wants_dir; /* trailing slash */
	struct entry entry;
};
enum { WALK_NOFOLLOW = 1 };
int walk(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path, int flags,
	 struct place *ret);
void place_done(struct place *p);
/* The same, for a name that must exist. */
int walk_existing(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path, int flags,
		  struct place *ret);
int place_stat(struct place *p, struct rootfs_stat *ret);

/* ---- owner.c ---- */
/* The record's text, and what it says. -EINVAL: it says nothing. */
int owner_parse(const char *text, struct rootfs_stat *st);
int owner_print(char *text, size_t size, const struct rootfs_stat *st);
/* Applies what is recorded of `name` in a layer's directory: its xattr, or (with marks) its record. */
void owner_apply(int dir_fd, const char *name, uint32_t type, bool has_marks, struct rootfs_stat *st);
/* The same where open_for_attributes has opened it (fd -1: it could not). */
void owner_apply_open(int fd, int dir_fd, const char *name, bool has_marks, struct rootfs_stat *st);
/* The same for an open file: -ENODATA, -EOPNOTSUPP: nothing there, the defaults are applied. */
int owner_apply_fd(int fd, struct rootfs_stat *st);
void stat_from_host(const struct stat *host, unsigned mount, struct rootfs_stat *ret);
/* Opens for fgetxattr and the like; -1 where that cannot be. */
int open_for_attributes(int dir_fd, const char *name, uint32_t type);
/* What a file without a record shows, its host's mode being that of `st`: nothing need be recorded. */
bool owner_is_default(const struct rootfs_stat *st);
int owner_store(int dir_fd, const char *name, uint32_t type, bool has_marks, const struct rootfs_stat *st);
int owner_set_real(int dir_fd, const char *name, const struct rootfs_stat *st); /* the host's own; a link is not followed */
int owner_store_fd(int fd, uint32_t type, const struct rootfs_stat *st); /* -EOPNOTSUPP */
/* Where a directory's own record is: its entry in its parent. */
void owner_key(struct rootfs_dir *dir, int *ret_fd, const char **ret_name);
int check_access(const struct rootfs_cred *cred, const struct rootfs_stat *st, int bits); /* R_OK|W_OK|X_OK */
int check_dir_access(const struct rootfs_cred *cred, struct rootfs_dir *dir, int bits);
bool cred_is_root(const struct rootfs_cred *cred);
bool cred_has_group(const struct rootfs_cred *cred, uint32_t gid);

/* ---- attr.c ---- */
/* What a change of attributes is about: an entry of a layer, or what is mounted. */
struct target {
	struct place place;
	int dir_fd; /* after make_changeable */
	const char *name;
	uint32_t type;
	bool has_marks;
};
/* The place as an entry of its parent; "." for a mount's own root. The target is to be given to place_done. */
int walk_for_change(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
		    int flags, struct target *t, struct rootfs_stat *ret_stat);
/* Copied up only once the change is known to be allowed. */
int make_changeable(struct target *t);

/* ---- xattrs.c: what the guest's files have of them, as PAX records ---- */
void xattrs_store(int fd, const char *records, size_t len); /* instead of what is there; where there is room for them */
size_t xattrs_load(int fd, char to[ROOTFS_XATTRS_MAX]); /* 0: none */
void xattrs_copy(int from, int to);
/* Records are ours, or were checked when they were read: each begins with its length. The one at `at` of `records`, which
 * end with NUL: its length, and how many bytes of it stand before the name; 0: there is none. */
size_t xattrs_record(const char *records, size_t n, size_t at, size_t *ret_before);
/* As Linux does when a file is written to, or given to another owner. */
void xattrs_drop_capabilities(int fd);

/* ---- quota.c: all do nothing where the mount has no size ---- */
enum { DIR_BYTES = 4096 }; /* what a directory counts */
int quota_take(struct rootfs_dir *dir, uint64_t bytes); /* -ENOSPC */
void quota_give(struct rootfs_dir *dir, uint64_t bytes);
void quota_give_entry(struct rootfs_dir *dir, const struct entry *e); /* its last name is gone; e as it was before */

/* ---- copyup.c ---- */
/* Makes sure that the entry is in the upper layer; refreshes *e. -EROFS. */
int copy_up(struct rootfs_dir *dir, const char *name, struct entry *e, bool with_content);
int check_writable(const struct rootfs_dir *dir);
/* Before something is made under a name: upper directory there, whiteout gone.
 * Answers whether a whiteout was there (a new directory must be opaque). */
int prepare_name(struct rootfs_dir *dir, const char *name, bool *ret_was_whited);
int make_whiteout(struct rootfs_dir *dir, const char *name);
/* Owner, mode and marks of what has just been made. */
int finish_new(struct rootfs_dir *dir, const char *name, const struct rootfs_cred *cred, uint32_t mode, uint64_t rdev);

#endif
