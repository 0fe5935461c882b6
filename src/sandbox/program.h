/* Which program a command means: the look-up that execve and `docker run`
 * share. Linked into the sandbox and the daemon. Blocks on files. */
#ifndef SOCKERLESS_SANDBOX_PROGRAM_H
#define SOCKERLESS_SANDBOX_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

#include "rootfs/rootfs.h"
#include "sandbox/wire.h"

enum program_kind {
	PROGRAM_MODULE,  /* a wasm file that is a module of ours, or a native ELF whose
	                    base name is an applet of ours: `module`, `applet` say which */
	PROGRAM_NATIVE,  /* an ELF that only an agent could run */
	PROGRAM_WASM,    /* some other wasm module (not run yet) */
};

struct program {
	enum program_kind kind;
	char path[4096];      /* guest path of the file that was found (of the script, for #!) */
	char interpreter[4096]; /* guest path of the binary that runs: = path without #! */
	const char *module;   /* static name, "busybox" */
	char **prefix;        /* #! chain: arguments to put in place of argv[0]; NULL-terminated or NULL */
	bool is_setuid, is_setgid;
	unsigned uid, gid;    /* of the file, for setuid */
	bool is_found;        /* there is such an executable file, whatever comes of it */
	bool applet_by_name;  /* a native file whose applet of ours runs in its place */
};

/* execve(2)'s rules for one path: -ENOENT, -EACCES, -ENOEXEC, -ELOOP, -ENOTDIR, -EISDIR→-EACCES.
 * `env_path` is not used here. */
int program_resolve(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *cwd, const char *path,
		    struct program *ret);
/* execvp's rules: names without a slash are looked for in `path_list` (NULL: Docker's default
 * /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin). */
int program_search(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *cwd, const char *name,
		   const char *path_list, struct program *ret);
/* As it is told to the sandbox; points into p. */
struct wire_program program_told(const struct program *p);
void program_done(struct program *p);

#endif
