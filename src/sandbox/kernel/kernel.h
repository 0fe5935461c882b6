/* The inside of one worker: a host process that runs one guest process above
 * our user-mode kernel. Everything here is single-threaded and per process;
 * fork(2) copies it. Files of this folder share this header and nothing else
 * global. Functions return 0/≥0 or -errno as Linux's system calls do. */
#ifndef SOCKERLESS_SANDBOX_KERNEL_KERNEL_H
#define SOCKERLESS_SANDBOX_KERNEL_KERNEL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "rootfs/rootfs.h"
#include "sandbox/broker.h"
#include "sandbox/proctable.h"
#include "sandbox/wire.h"

/* ---- start: supervisor → worker (worker.c) ---- */

struct net_page;
struct net_counters;
struct ksocket;

struct container {            /* one per container, made by the supervisor before any fork */
	char id[65];
	struct proctable *table;  /* shared mapping */
	struct rootfs *fs;
	struct wire_setup *setup; /* mounts' sources, limits; lives as long as the supervisor */
	int broker_fd;            /* workers' end of the broker socket */
	int null_fd, zero_fd, full_fd, urandom_fd; /* host devices opened before the wall */
	int net_fd;               /* the workers' net socket (network/netwire.h); -1: no network */
	const struct net_page *net_page; /* mapped; NULL without a network */
	struct net_counters *net_counters; /* the same */
	uint64_t boot_ns;
};

struct worker_start {
	struct container *container;
	const struct wire_spawn *spawn;
	uint32_t vpid;            /* slot already claimed by the supervisor */
	struct proc_slot *slot;
	int stdio[3];             /* or the slave three times */
	uint32_t tty_number;      /* of its /dev/pts/N */
	bool is_walled;           /* forked behind the second wall (nursery.c) */
	int report_fd;            /* worker writes {int32 errno; char message[240]} once: errno 0 just
	                             before the guest's first instruction; closed by success */
};

/* Runs in the freshly forked host process, behind the wall when that is up:
 * calls wall_enter itself after its last privileged act, unless it is walled already. Never returns. */
_Noreturn void worker_main(const struct worker_start *start);

/* init.c: makes this process a pid 1 of ours and returns in its child, pid 2, which goes
 * on to run the command and to report. */
void init_fork(const char *const *argv, int report_fd);

/* wall.c: no_new_privs, no capabilities, Landlock to the container's mounts, seccomp allow-list. */
int wall_enter(const struct container *c);

/* ---- the process (process.c, ids.c) ---- */

struct process {
	struct container *container;
	struct proc_slot *slot;
	int32_t vpid;
	uint32_t ruid, euid, suid, fsuid, rgid, egid, sgid, fsgid;
	uint32_t groups[64];
	size_t ngroups;
	uint32_t umask;
	struct rootfs_dir *cwd;
	char comm[16];
	char *environ;            /* as the program got it, each with its NUL: /proc/self/environ */
	size_t environ_len;
	uint64_t rlimit[16][2];   /* soft, hard: guest's view */
	int tty_fd;               /* host fd (above the floor) of the controlling terminal, -1 */
	uint32_t tty_number;      /* its name is /dev/pts/N */
	const struct guest_module *module;
	void *instance;
	char exe[4096];           /* guest path of the running program; last, for what is before it to be together */
};
extern struct process self;

/* self's identity in the form that rootfs takes. */
const struct rootfs_cred *process_cred(void);
bool process_is_root(void);   /* euid 0 */
struct proc_slot *proctable_find(int32_t vpid);  /* live or zombie, NULL */
struct proc_slot *proctable_find_host(int32_t host_pid);
struct proc_slot *proctable_claim(void);         /* a slot with a fresh vpid, PROC_STARTING; NULL: full or pids_max */
void proctable_release(struct proc_slot *slot);  /* takes NULL */
void proctable_sweep(void);   /* slots of processes that ended unseen */
pid_t process_host_group(int32_t pgid);          /* -1: none */
int32_t process_guest_group(pid_t host);         /* 0: none of ours */
int32_t proctable_parent(const struct proc_slot *slot); /* ppid with dead parents read as 1 */
bool proctable_has_terminal(uint32_t number);

/* ---- guest memory (memory.c) ---- */

uint8_t *guest_base(void);
uint64_t guest_size(void);    /* bytes of linear memory now */
/* A host pointer to [addr, addr+len) if inside linear memory, else NULL.
 * Only for handing to the host kernel (which answers EFAULT for holes) or to
 * copy_*: never dereference it yourself. addr 0 is NULL. */
void *guest_ptr(uint64_t addr, uint64_t len);
/* Survive unmapped holes. 0 or -EFAULT. Copy in once, then use the copy. */
int copy_in(void *dst, uint64_t addr, size_t len);
int copy_out(uint64_t addr, const void *src, size_t len);
/* Length without NUL; -EFAULT, -ENAMETOOLONG when no NUL within size. */
ssize_t copy_in_string(char *dst, uint64_t addr, size_t size);
/* A new program's memory: the argument block's end, page-aligned, is where mmap begins. */
void memory_init(uint32_t first_free);
uint64_t memory_mapped(void); /* bytes of what mmap has given */
void memory_fork_child(uint64_t parent_bytes);

/* ---- signals and blocking (signal.c, host_syscall.S or inline asm) ---- */

/* Raw host call; -errno. For calls that do not block. */
long host_call(long n, long a, long b, long c, long d, long e, long f);
/* The same for calls that may block: a guest signal that is pending makes it
 * return -EINTR without losing the wake-up; the dispatcher then runs handlers
 * and restarts (SA_RESTART) or not. Marks the slot as sleeping. */
long host_block(long n, long a, long b, long c, long d, long e, long f);
bool signal_is_pending(void);
bool signal_was_of_park(void); /* since it was last asked: what EINTR may have come of */
void signal_install_park(void); /* in the supervisor: before the first fork */
bool signal_is_of_pause(void); /* stops and continuations of children now are docker pause's */
/* The wake-up from outside (WIRE_WAKE) makes blocking calls answer -EINTR, and is nothing that the guest sees: true,
 * and the call is to be made again, when it was that and no signal of the guest's. */
enum { SIGNAL_WAKE = 32 };    /* the other one that the C libraries keep for threads */
bool signal_take_wake(void);
void signal_wake_ignore(void);
void signal_begin(void);      /* once in the zygote: all as they are by default, but for what it ignores itself */
void signal_init(void);       /* once in a worker: which native handlers stand */
void signal_exec(void);       /* handlers back to default, ignored ones stay */
void signal_fork_child(void);
/* Runs what is pending. True when an interrupted call may be made again. */
bool signal_deliver(void);
/* fd: goes along, or -1. ret_fd NULL: no descriptor is wanted; else -1 when none came. */
long broker_call(const struct broker_request *req, int fd, struct broker_reply *ret, int *ret_fd);

/* ---- file descriptors (fdtable.c) ---- */

/* Guest fd numbers are host fd numbers below FD_GUEST_MAX; host fds that the
 * guest must not see live at or above it. What the number alone does
 * not say (directories, lower files, devices, terminals) is in its kfile. */
#define FD_GUEST_MAX 1024
int fd_to_floor(int fd);      /* moves a host fd above the floor, CLOEXEC; takes fd */
int fd_to_lowest(int fd); /* to the lowest free number, CLOEXEC: for one that came while others of ours were open */

enum kfile_kind {
	KFILE_NONE,
	KFILE_HOST,
	KFILE_FILE,
	KFILE_DIR,
	KFILE_PATH,
	KFILE_VIRTUAL,
	KFILE_PTY,
	KFILE_SOCKET,
	KFILE_EPOLL,
	KFILE_MASTER
};

struct kfile { /* per guest fd; plain data, copied by fork */
	uint8_t kind;
	bool is_cloexec; /* mirrors the host's flag for kinds without a host fd */
	int flags; /* O_* as opened */
	struct rootfs_dir *dir; /* DIR: itself; FILE: the parent */
	char *name; /* FILE: last component */
	struct rootfs_listing *listing;
	uint64_t cookie; /* DIR: where its listing is; MASTER: N of its slave's /dev/pts/N */
	uint64_t rdev; /* devices; of a PTY its /dev/pts/N */
	bool is_lower;
	struct ksocket *socket; /* SOCKET: shared by its numbers in this process */
};
struct kfile *fdtable_get(int fd); /* NULL: -EBADF */
int fdtable_install(int host_fd, const struct kfile *f); /* lowest free guest number ≥ 0; takes both */
int fdtable_close(int fd);
/* Puts take_fd in the place of every number of a socket, each with its own close-on-exec; closes it. */
int fdtable_replace(const struct ksocket *s, int take_fd);
void fdtable_exec(void); /* closes what is close-on-exec */
void fdtable_init(const int stdio[3], bool has_terminal);

/* Where a relative path starts: NULL for an absolute one. Borrowed. */
int path_base(int at_fd, const char *path, struct rootfs_dir **ret);
/* A path that a call was given, and where it starts. */
struct arg_path {
	char text[4096];
	struct rootfs_dir *at;
};
int arg_path_get(struct arg_path *p, int at_fd, uint64_t addr);
/* What the file system knows an open file by: it keeps records by directory and name. -EINVAL: by nothing. */
int kfile_by_name(struct kfile *f, struct rootfs_dir **ret_at, const char **ret_name);
int file_stat(int fd, struct rootfs_stat *ret);
int stat_path(int at_fd, uint64_t path_addr, int flags, uint64_t out);
/* A character device of the container's /dev by its number: a host fd. */
int device_open(uint64_t rdev, int flags);
/* The kfile that goes with what device_open has opened. */
void device_describe(int fd, uint64_t rdev, struct kfile *ret);
/* What fstat says of a descriptor of terminal N: the same as of /dev/pts/N. */
int device_terminal_stat(uint32_t number, struct rootfs_stat *ret);
uint64_t device_terminal_rdev(uint32_t number);

/* ---- exec (exec.c) and program look-up (sandbox/program.h) ---- */

/* What a new program gets; owned by exec.c until the program has started. */
struct exec_image {
	char *path; /* guest path of what runs */
	char comm[16]; /* base name of the file asked for: a script's own, not its interpreter's */
	char **argv, **env;
	bool is_setuid, is_setgid; /* by the file's mode, as the guest sees it */
	uint32_t uid, gid;
};
/* Takes the place of a program that has been looked up, and is done with it: 0, and the image is ready for
 * exec_enter; or -errno and nothing has changed. argv and env are copied. */
struct program;
int exec_prepare_found(struct program *take_program, char *const argv[], char *const env[], struct exec_image *ret);
/* The same for one that somebody else has looked up. */
int exec_prepare_known(const struct wire_program *p, char *const argv[], char *const env[], struct exec_image *ret);
/* prepared.c: a program that stands ready in the zygote, and in all that it forks. Best effort. */
void prepared_make(void);
/* self's module and instance, as if just instantiated: what ran before in this process is gone. *ret_end: where the
 * program's own memory ends; a little more may be there already, for its arguments. False: there is none. */
bool prepared_take(uint64_t *ret_end);
/* Instantiates and runs it. */
_Noreturn void exec_enter(struct exec_image *image);
void process_set_groups(const uint32_t *groups, size_t n); /* at most 64; sorted, as Linux keeps them */
/* The set-id bits of what is about to run take effect: on the guest's ids, nothing of the host's. */
void process_take_ids(const struct exec_image *image);
/* To the worker's main loop, which enters the image. */
_Noreturn void worker_restart(struct exec_image *image);
_Noreturn void process_exit(int code);

/* ---- virtual file systems ---- */
extern const struct rootfs_virtual_ops procfs_ops, devfs_ops; /* ctx: struct container */

/* ---- system calls ---- */
/* Each takes the six raw arguments; SYSCALL lines stand in syscalls.def. */
typedef int64_t (*sys_fn)(const uint64_t a[6]);
#define SYS(name) int64_t sys_##name(const uint64_t a[6] __attribute__((unused)))
#define SYSCALL(number, name) SYS(name);
#include "sandbox/kernel/syscalls.def"
#undef SYSCALL

#endif
