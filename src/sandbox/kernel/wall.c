/* The second wall: what a worker may ask of the host's kernel, whoever has
 * taken it over. Up before the program is looked up, inherited by every fork.
 *
 * A seccomp allow-list in classic BPF (no library: it is a table and a loop)
 * kills nothing but refuses with EPERM, so that a mistake of ours is an error
 * and not a death. Landlock confines files to the container's mounts. */
#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/kernel/kernel.h"

/* Calls that act only on the process itself, on descriptors it holds, or on
 * paths that Landlock confines. Not here, among others: execve, ptrace, kill,
 * socket, connect, bind, mount, bpf, io_uring, process_vm_*, openat2, and what
 * takes a path that Landlock does not look at: chmod, chown, truncate, xattr. */
static const uint16_t allowed[] = {
	SYS_read,
	SYS_write,
	SYS_readv,
	SYS_writev,
	SYS_pread64,
	SYS_pwrite64,
	SYS_preadv,
	SYS_pwritev,
	SYS_lseek,
	SYS_close,
	SYS_close_range,
	SYS_dup,
	SYS_dup2,
	SYS_dup3,
	SYS_pipe,
	SYS_pipe2,
	SYS_fstat,
	SYS_newfstatat,
	SYS_fstatfs,
	SYS_readlinkat,
	SYS_faccessat,
	SYS_faccessat2,
	SYS_getdents64,
	SYS_unlinkat,
	SYS_renameat,
	SYS_renameat2,
	SYS_linkat,
	SYS_symlinkat,
	SYS_ftruncate,
	SYS_fallocate,
	SYS_flock,
	SYS_fsync,
	SYS_copy_file_range,
	SYS_sendfile,
	SYS_sync_file_range,
	SYS_memfd_create,
	SYS_fgetxattr,
	SYS_fsetxattr,
	SYS_fremovexattr,
	SYS_poll,
	SYS_ppoll,
	SYS_select,
	SYS_pselect6,
	SYS_munmap,
	SYS_mremap,
	SYS_madvise,
	SYS_brk,
	SYS_rt_sigaction,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_rt_sigpending,
	SYS_rt_sigsuspend,
	SYS_rt_sigtimedwait,
	SYS_sigaltstack,
	SYS_pause,
	SYS_alarm,
	SYS_setitimer,
	SYS_getitimer,
	SYS_restart_syscall,
	SYS_nanosleep,
	SYS_clock_nanosleep,
	SYS_clock_gettime,
	SYS_clock_getres,
	SYS_gettimeofday,
	SYS_time,
	SYS_times,
	SYS_wait4,
	SYS_waitid,
	SYS_exit,
	SYS_exit_group,
	SYS_set_robust_list,
	SYS_rseq,
	SYS_futex,
	SYS_getpid,
	SYS_gettid,
	SYS_getppid,
	SYS_getuid,
	SYS_geteuid,
	SYS_getgid,
	SYS_getegid,
	SYS_getpgid,
	SYS_getpgrp,
	SYS_getsid,
	SYS_setpgid,
	SYS_setsid,
	SYS_getrusage,
	SYS_getrlimit,
	SYS_sysinfo,
	SYS_uname,
	SYS_getrandom,
	SYS_sched_yield,
	SYS_sched_getaffinity,
	SYS_getcpu,
	SYS_recvfrom,
	SYS_recvmsg,
	SYS_shutdown,
	SYS_epoll_create1,
	SYS_epoll_ctl,
	SYS_epoll_wait,
	SYS_epoll_pwait,
	SYS_eventfd2,
	SYS_timerfd_create,
	SYS_timerfd_settime,
	SYS_timerfd_gettime,
};

/* Calls that are allowed only with certain arguments. An index counts words
 * of 32 bits: 2n is the low half of argument n, 2n + 1 the high one. */
struct rule {
	uint16_t nr;
	uint8_t values_index, nvalues; /* the word must be one of the values */
	uint8_t bits_index;            /* and this one must have none of the bits */
	const uint32_t *values;
	uint32_t bits;
};

#define VALUES(index, ...)                                                    \
	.values_index = (index), .values = (const uint32_t[]){ __VA_ARGS__ }, \
	.nvalues = sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t)
#define NO_BITS(index, mask) .bits_index = (index), .bits = (mask)

enum {
	SET_ID_BITS = S_ISUID | S_ISGID,
	DEVICE_BITS = 0060000, /* common to directory, character and block device; FIFO and file have none */
	FORK_FLAGS = CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD, /* as glibc's fork says it */
};

static const struct rule rules[] = {
	/* No F_SETOWN, F_SETSIG, O_ASYNC, FIOSETOWN: they send signals to anybody. */
	{ SYS_fcntl, VALUES(2, F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_GETLK, F_SETLK, F_SETLKW) },
	{ SYS_fcntl, VALUES(2, F_SETFL), NO_BITS(4, O_ASYNC) },
	/* No TIOCSTI, TIOCSETD, TIOCCONS, FIOASYNC: what tty.c asks for and no more. */
	{ SYS_ioctl, VALUES(2, TCGETS, TCSETS, TCSETSW, TCSETSF, TIOCGWINSZ, TIOCSWINSZ, FIONREAD, TIOCOUTQ, FIONBIO, TCSBRK, TCXONC,
			    TCFLSH, TIOCEXCL, TIOCNXCL, TIOCNOTTY, TIOCGPGRP, TIOCSPGRP, TIOCGSID, TIOCSCTTY, TIOCGPTN) },
	/* Code is what the program file holds. */
	{ SYS_mmap, NO_BITS(4, PROT_EXEC) },
	{ SYS_mprotect, NO_BITS(4, PROT_EXEC) },
	{ SYS_clone, VALUES(0, FORK_FLAGS) },
	/* Not SOCK_DGRAM, which sends to any address. */
	{ SYS_socketpair, VALUES(2, SOCK_SEQPACKET | SOCK_CLOEXEC, SOCK_STREAM | SOCK_CLOEXEC), NO_BITS(0, ~(uint32_t)AF_UNIX) },
	/* A TCP socket that was closed could connect anywhere with MSG_FASTOPEN. sendto, sendmmsg have no use here. */
	{ SYS_sendmsg, NO_BITS(4, MSG_FASTOPEN) },
	/* No TCP_FASTOPEN_CONNECT, TCP_ULP, TCP_REPAIR, SO_ATTACH_*, SO_BINDTODEVICE, no credentials of other processes.
	 * Levels by bits: SOL_SOCKET is 1; IPPROTO_TCP 6, whose lower bits pass IPPROTO_IP's options of these numbers too,
	 * which are harmless. */
	{ SYS_getsockopt, VALUES(4, SO_ERROR, SO_DOMAIN), NO_BITS(2, ~(uint32_t)SOL_SOCKET) },
	{ SYS_setsockopt, VALUES(4, SO_RCVTIMEO, SO_SNDTIMEO, SO_LINGER, SO_KEEPALIVE), NO_BITS(2, ~(uint32_t)SOL_SOCKET) },
	{ SYS_setsockopt, VALUES(4, TCP_NODELAY, TCP_CORK, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_USER_TIMEOUT),
	  NO_BITS(2, ~(uint32_t)IPPROTO_TCP) },
	{ SYS_prlimit64, VALUES(0, 0) },
	/* No host file becomes set-id, no device is made. */
	{ SYS_openat, NO_BITS(6, SET_ID_BITS) },
	{ SYS_mkdirat, NO_BITS(4, SET_ID_BITS) },
	{ SYS_mknodat, NO_BITS(4, SET_ID_BITS | DEVICE_BITS) },
	{ SYS_fchmod, NO_BITS(2, SET_ID_BITS) },
	/* Landlock does not look at utimensat: without a path it is the descriptor's. */
	{ SYS_utimensat, VALUES(2, 0), NO_BITS(3, UINT32_MAX) },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define WORD(index) (offsetof(struct seccomp_data, args) + 4 * (index)) /* little endian */
#define LOAD(at) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (at))
#define IF_EQUAL(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (yes), (no))
#define IF_AT_LEAST(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (value), (yes), (no))
#define IF_BITS(mask, yes, no) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (mask), (yes), (no))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, (what))
#define REFUSE RETURN(SECCOMP_RET_ERRNO | EPERM)
#define ALLOW RETURN(SECCOMP_RET_ALLOW)

struct filter {
	struct sock_filter code[1024];
	unsigned short len;
};

static void add(struct filter *f, struct sock_filter code)
{
	f->code[f->len++] = code;
}

#define ADD(f, ...) add(f, (struct sock_filter)__VA_ARGS__)

/* A rule that does not fit falls through to the next one. */
static void add_rule(struct filter *f, const struct rule *r)
{
	uint8_t n = r->nvalues;
	uint8_t bits_len = r->bits ? 2 : 0;
	uint8_t len = (uint8_t)((n ? n + 2 : 0) + bits_len + 1);

	ADD(f, LOAD(offsetof(struct seccomp_data, nr)));
	ADD(f, IF_EQUAL(r->nr, 0, len));
	if (n) {
		ADD(f, LOAD(WORD(r->values_index)));
		for (uint8_t i = 0; i < n; i++)
			ADD(f, IF_EQUAL(r->values[i], (uint8_t)(n - i), 0));
		ADD(f, BPF_STMT(BPF_JMP | BPF_JA, (uint32_t)bits_len + 1));
	}
	if (bits_len) {
		ADD(f, LOAD(WORD(r->bits_index)));
		ADD(f, IF_BITS(r->bits, 1, 0));
	}
	ADD(f, ALLOW);
}

/* ---- the allow-list as a tree: the kernel walks the program for every number there is when it is
 * installed, and for each call whose arguments it looks at ---- */

struct range {
	uint16_t first, last;
};

enum { LEAF_LEN = 4, NODE_LEN = 2 };

static uint32_t tree_len(size_t ranges)
{
	return (uint32_t)(ranges * LEAF_LEN + (ranges - 1) * NODE_LEN);
}

/* A number that is in none of the ranges goes on behind the tree, of which `rest` instructions come after this part. */
static void add_tree(struct filter *f, const struct range *r, size_t n, uint32_t rest)
{
	size_t left = n / 2;

	if (n == 1) {
		ADD(f, IF_AT_LEAST(r->first, 0, 2));
		ADD(f, IF_AT_LEAST((uint32_t)r->last + 1, 1, 0));
		ADD(f, ALLOW);
		ADD(f, BPF_STMT(BPF_JMP | BPF_JA, rest));
		return;
	}
	ADD(f, IF_AT_LEAST(r[left].first, 0, 1));
	ADD(f, BPF_STMT(BPF_JMP | BPF_JA, tree_len(left)));
	add_tree(f, r, left, rest + tree_len(n - left));
	add_tree(f, r + left, n - left, rest);
}

static int compare_numbers(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

static size_t find_ranges(struct range ranges[static COUNT(allowed)])
{
	uint16_t sorted[COUNT(allowed)];
	size_t n = 0;

	memcpy(sorted, allowed, sizeof(sorted));
	qsort(sorted, COUNT(sorted), sizeof(*sorted), compare_numbers);
	for (size_t i = 0; i < COUNT(sorted); i++) {
		if (n && sorted[i] == ranges[n - 1].last + 1)
			ranges[n - 1].last = sorted[i];
		else
			ranges[n++] = (struct range){ sorted[i], sorted[i] };
	}
	return n;
}

static void build(struct filter *f)
{
	struct range ranges[COUNT(allowed)];
	size_t n = find_ranges(ranges);

	ADD(f, LOAD(offsetof(struct seccomp_data, arch)));
	ADD(f, IF_EQUAL(AUDIT_ARCH_X86_64, 1, 0));
	ADD(f, REFUSE);
	ADD(f, LOAD(offsetof(struct seccomp_data, nr)));
	add_tree(f, ranges, n, 0);
	for (size_t i = 0; i < COUNT(rules); i++)
		add_rule(f, &rules[i]);
	ADD(f, REFUSE);
}

/* ---- Landlock ---- */

#define ACCESS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define ACCESS_ABI_1 0x1fffull /* execute … make_sym */
#define ACCESS_NEVER \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SOCK)
#define ACCESS_REFER (1ull << 13) /* ABI 2: renames and links between directories */
#define ACCESS_TRUNCATE (1ull << 14) /* ABI 3 */

static int allow_below(int ruleset, int fd, uint64_t access)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = access, .parent_fd = fd };

	if (fd < 0)
		return 0;
	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
}

#define ACCESS_FILE (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE)

/* A single file that is bound: it alone, not the directory by which it is
 * found. Devices and sockets are nothing that a worker opens. */
static int allow_file(int ruleset, const struct rootfs_mount *m, uint64_t access)
{
	int r = 0, fd = openat(m->fd, m->ctx, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode)))
		r = allow_below(ruleset, fd, access & ACCESS_FILE);
	if (fd >= 0)
		close(fd);
	return r;
}

/* Only what the container's mounts are made of: the lower layers to read, the rest also to write. */
static int confine_files(const struct container *c)
{
	struct landlock_ruleset_attr attr = { .handled_access_fs = ACCESS_ABI_1 };
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	int ruleset, r = 0;

	if (abi < 1)
		return 0; /* a kernel without it: docs/sandbox.md says what then remains */
	if (c->setup->landlock_abi_max && abi > (long)c->setup->landlock_abi_max)
		abi = (long)c->setup->landlock_abi_max;
	if (abi >= 2)
		attr.handled_access_fs |= ACCESS_REFER;
	if (abi >= 3)
		attr.handled_access_fs |= ACCESS_TRUNCATE;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);
	if (ruleset < 0)
		return -errno;
	for (size_t i = 0; r == 0 && i < rootfs_mount_count(c->fs); i++) {
		const struct rootfs_mount *m = rootfs_mount_at(c->fs, i);
		uint64_t all = attr.handled_access_fs & ~ACCESS_NEVER;

		r = allow_below(ruleset, m->lower_fd, ACCESS_READ);
		if (r == 0)
			r = allow_below(ruleset, m->upper_fd, m->is_readonly ? ACCESS_READ : all);
		if (r == 0 && m->kind == ROOTFS_MOUNT_FILE)
			r = allow_file(ruleset, m, m->is_readonly ? ACCESS_READ : all);
		if (r == 0 && m->kind == ROOTFS_MOUNT_DIR)
			r = allow_below(ruleset, m->fd, m->is_readonly ? ACCESS_READ : all);
	}
	if (r == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		r = -errno;
	close(ruleset);
	return r;
}

/* ---- capabilities: there are some when the daemon's user is root ---- */

/* Kept is only what lets root use other users' files in its own mounts. */
static int drop_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	const uint32_t kept = 1u << CAP_DAC_OVERRIDE | 1u << CAP_FOWNER;

	if (syscall(SYS_capget, &head, data) < 0)
		return -errno;
	data[0].permitted &= kept;
	data[0].effective &= kept;
	data[0].inheritable = 0;
	data[1] = (struct __user_cap_data_struct){ 0 };
	return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

int wall_enter(const struct container *c)
{
	struct filter f = { .len = 0 };
	struct sock_fprog program;
	int r;

#ifdef SANDBOX_DRILLED
	if (c->setup->drop_walls) /* shows that the attacks are real ones */
		return 0;
#endif
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	r = drop_capabilities();
	if (r == 0)
		r = confine_files(c);
	if (r < 0)
		return r;
	build(&f);
	program.len = f.len;
	program.filter = f.code;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return -errno;
	return 0;
}
