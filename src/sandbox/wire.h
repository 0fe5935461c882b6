/* The messages between daemon, zygote and supervisors, on SOCK_SEQPACKET Unix
 * sockets. All are made by our own code on one machine and in one version;
 * still every field read is bounds-checked.
 *
 *   daemon ──(fd 3 of the zygote)──► zygote: one per daemon, forks supervisors
 *   daemon ──(one socket each)─────► supervisor: one per running container;
 *                                    forks the main process and the execs, is
 *                                    subreaper of all of them and their broker
 *
 * A message is a header, `size` bytes of fields (wire_put_* and wire_get_*) and fds.
 * Fields that do not fit into one packet travel in a memfd: see wire_send.
 * EOF from the daemon means: kill everything and end. */
#ifndef SOCKERLESS_SANDBOX_WIRE_H
#define SOCKERLESS_SANDBOX_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sandbox/limits.h"
#include "util/buf.h"

#define WIRE_VERSION 1
#define WIRE_MAX_FDS 250           /* SCM_RIGHTS takes 253; one may be the payload's */
#define WIRE_MAX_BYTES (64u << 20) /* fields of one message */
#define WIRE_ROOM_BYTES 65536 /* of one packet; longer fields go into a memfd, so that they stay below any SO_SNDBUF */

enum wire_type {
	/* daemon → zygote */
	WIRE_CREATE = 1, /* fds: [supervisor's socket]; fields: str container id */

	/* daemon → supervisor; each carries a tag that the answer repeats */
	WIRE_SETUP, /* struct wire_setup; answered by WIRE_READY */
	WIRE_SPAWN, /* struct wire_spawn; answered by WIRE_STARTED, later WIRE_EXITED */
	WIRE_SIGNAL, /* u64 tag of the process to signal (0: main), u32 signo, u32 WIRE_SIGNAL_* ; answered by WIRE_DONE */
	WIRE_PAUSE, /* answered by WIRE_DONE */
	WIRE_UNPAUSE, /* answered by WIRE_DONE */
	WIRE_TOP, /* answered by WIRE_PROCESSES */
	WIRE_STATS, /* answered by WIRE_FIGURES */
	WIRE_RECOUNT, /* files were put into mounts with a size; no answer */
	WIRE_LIMITS, /* struct limits, instead of setup's; answered by WIRE_DONE */
	WIRE_WAKE, /* sleeping socket calls look at the network's epoch (network/netwire.h); not answered */

	/* supervisor → daemon */
	WIRE_READY = 64, /* u32 errno (0: well), str message, u32 host pid of the supervisor */
	WIRE_STARTED, /* u32 errno (0: the guest runs), str message, u32 vpid, u32 host pid */
	WIRE_EXITED, /* i32 wait(2) status, u32 flags WIRE_EXIT_*; for the main process
	                      sent last of all, when no process of the container is left */
	WIRE_OOM, /* tag 0, nothing else: the limit of memory has killed a process */
	WIRE_DONE, /* u32 errno */
	WIRE_PROCESSES, /* u32 n, then n × struct wire_process */
	WIRE_FIGURES, /* u64 cpu user ns, u64 cpu system ns, u64 memory bytes (PSS-like), u64 peak bytes, u32 pids,
	                        u64 limit bytes, then struct limits_figures */
};

enum { WIRE_SIGNAL_ALL = 1 }; /* to every process of the container */
enum {
	WIRE_EXIT_MAIN = 1,
	WIRE_EXIT_OOM = 2,
	WIRE_EXIT_WITH_MAIN = 4, /* another's: killed because the main process has ended */
};

/* What a supervisor needs to know before it can start anything. fds come in
 * the message's order: [proctable memfd], with a network [net socket, page, counters] (network/netwire.h), then
 * each mount's fds in order. */
struct wire_mount {
	uint32_t kind; /* enum rootfs_mount_kind; VIRTUAL: which = "proc" | "dev" */
	const char *target;
	const char *which;
	const char *fd_name; /* MOUNT_FILE: name in the directory fd */
	const char *source; /* for /proc/mounts only */
	bool has_lower, has_upper, has_fd; /* how many of the message's fds it takes */
	bool is_readonly, is_bind;
	uint64_t size_limit_bytes;
};

struct wire_setup {
	const char *id, *hostname, *domainname;
	struct wire_mount *mounts;
	size_t nmounts;
	bool init; /* docker run --init: ours is pid 1, the command pid 2 */
	bool is_readonly_root;
	bool has_network; /* false: AF_INET and AF_UNIX are no families that a guest can have */
	bool drop_walls; /* never set by the daemon: see docs/sandbox.md on the drilled test build */
	uint32_t landlock_abi_max; /* 0: what the kernel has; 1: as if ABI 1 (tests) */
	struct limits limits;
};

struct wire_rlimit {
	uint32_t resource; /* RLIMIT_* of Linux */
	uint64_t soft, hard;
};

/* A module of ours, looked up by execve's rules (program.h says what each means). */
struct wire_program {
	const char *path; /* NULL: there is none */
	const char *interpreter;
	const char *const *prefix; /* NULL: none */
	bool is_setuid, is_setgid, applet_by_name;
	uint32_t uid, gid;
};

/* fds: a terminal: [slave]; else [stdin, stdout, stderr]. */
struct wire_spawn {
	bool is_main, tty;
	const char *const *argv; /* argv[0] looked up in PATH of env as execvp does */
	const char *const *env;
	const char *cwd;
	struct wire_program program; /* what the daemon has found for argv[0] a moment ago; without one the worker looks */
	uint32_t uid, gid;
	const uint32_t *groups;
	size_t ngroups;
	const struct wire_rlimit *rlimits;
	size_t nrlimits;
	uint16_t rows, cols;
};

struct wire_process {
	uint32_t vpid, ppid, pgid, sid, uid, gid, host_pid;
	uint64_t start_ns; /* since the epoch */
	uint64_t cpu_ns, rss_bytes, vsz_bytes;
	uint8_t state; /* R S D T Z */
	uint32_t tty; /* 0: none */
	char comm[16];
	char cmdline[256]; /* arguments joined by spaces */
};

/* Field writers: a failure sticks in the buffer's length check of wire_send. */
void wire_put_u32(struct buf *b, uint32_t v);
void wire_put_u64(struct buf *b, uint64_t v);
void wire_put_str(struct buf *b, const char *s); /* NULL is kept apart from "" */

/* Field readers over one received message. After any short or wrong field
 * `failed` is set and every reader answers zero or NULL: check it once. */
struct wire_reader {
	const unsigned char *data;
	size_t len, pos;
	bool failed;
};
uint32_t wire_get_u32(struct wire_reader *r);
uint64_t wire_get_u64(struct wire_reader *r);
const char *wire_get_str(struct wire_reader *r); /* points into data */
char **wire_get_strv(struct wire_reader *r); /* malloc'd array of pointers into data */

void wire_put_setup(struct buf *b, const struct wire_setup *s);
int wire_get_setup(struct wire_reader *r, struct wire_setup *ret); /* 0, -EPROTO, -ENOMEM */
void wire_setup_done(struct wire_setup *s); /* frees what get allocated */
void wire_put_limits(struct buf *b, const struct limits *l);
void wire_get_limits(struct wire_reader *r, struct limits *ret);
void wire_put_spawn(struct buf *b, const struct wire_spawn *s);
int wire_get_spawn(struct wire_reader *r, struct wire_spawn *ret);
void wire_spawn_done(struct wire_spawn *s);

/* A received message; fds beyond those taken (set to -1) are closed by done. */
struct wire_message {
	uint32_t type;
	uint64_t tag;
	unsigned char *data;
	size_t len;
	int fds[WIRE_MAX_FDS + 1];
	size_t nfds;
};

/* Sends one message; fds are borrowed. Blocks only if the socket is blocking.
 * 0, -EAGAIN, -EPIPE, -EMSGSIZE. */
int wire_send(int sock, uint32_t type, uint64_t tag, const struct buf *fields, const int *fds, size_t nfds);
/* `room` has WIRE_ROOM_BYTES and is free again when this returns. In the sandbox it is not on the stack, each page of which
 * would be touched, and what a process touches that has forked is copied.
 * 1: a message, 0: EOF, -errno (-EAGAIN when nothing is there, -EPROTO). */
int wire_recv(int sock, void *room, struct wire_message *ret);
void wire_message_done(struct wire_message *m);

#endif
