/* The second wall: what a worker may ask of the host's kernel, whoever has
 * taken it over. Up before the program is looked up, inherited by every fork.
 *
 * A seccomp allow-list in classic BPF (no library: it is a table and a loop)
 * kills nothing but refuses with EPERM, so that a mistake of ours is an error
 * and not a death. Landlock confines files to the container's mounts. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/kernel/kernel.h"

/* Calls that act only on the process itself, on descriptors it holds, or on
 * paths that Landlock confines. Not here, among others: execve, ptrace, kill,
 * socket, connect, bind, mount, bpf, io_uring, process_vm_*, openat2. */
static const uint16_t allowed[] = {
	SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_preadv, SYS_pwritev, SYS_lseek,
	SYS_close, SYS_close_range, SYS_dup, SYS_dup2, SYS_dup3, SYS_fcntl, SYS_ioctl, SYS_pipe, SYS_pipe2,
	SYS_fstat, SYS_newfstatat, SYS_statx, SYS_fstatfs, SYS_statfs, SYS_openat, SYS_readlinkat, SYS_faccessat, SYS_faccessat2,
	SYS_getdents64, SYS_mkdirat, SYS_mknodat, SYS_unlinkat, SYS_renameat, SYS_renameat2, SYS_linkat, SYS_symlinkat,
	SYS_fchmod, SYS_fchmodat, SYS_utimensat, SYS_ftruncate, SYS_fallocate, SYS_flock, SYS_fsync,
	SYS_copy_file_range, SYS_sendfile, SYS_sync_file_range, SYS_memfd_create,
	SYS_fgetxattr, SYS_fsetxattr, SYS_fremovexattr,
	SYS_poll, SYS_ppoll, SYS_select, SYS_pselect6,
	SYS_mmap, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_madvise, SYS_brk,
	SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigpending, SYS_rt_sigsuspend, SYS_rt_sigtimedwait,
	SYS_sigaltstack, SYS_pause, SYS_alarm, SYS_setitimer, SYS_getitimer, SYS_restart_syscall,
	SYS_nanosleep, SYS_clock_nanosleep, SYS_clock_gettime, SYS_clock_getres, SYS_gettimeofday, SYS_time, SYS_times,
	SYS_fork, SYS_vfork, SYS_wait4, SYS_waitid, SYS_exit, SYS_exit_group, SYS_set_robust_list, SYS_rseq, SYS_futex,
	SYS_getpid, SYS_gettid, SYS_getppid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getpgid, SYS_getpgrp,
	SYS_getsid, SYS_setpgid, SYS_setsid, SYS_getrusage, SYS_getrlimit, SYS_sysinfo, SYS_uname, SYS_getrandom,
	SYS_sched_yield, SYS_sched_getaffinity, SYS_getcpu,
	SYS_sendmsg, SYS_recvfrom, /* the broker's sockets: the only ones there are */
};

#define ARG(n) (offsetof(struct seccomp_data, args) + 8 * (n)) /* low half: little endian */
#define LOAD(at) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (at))
#define IF_EQUAL(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (yes), (no))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, (what))
#define REFUSE RETURN(SECCOMP_RET_ERRNO | EPERM)
#define ALLOW RETURN(SECCOMP_RET_ALLOW)

struct filter {
	struct sock_filter code[3 * (sizeof(allowed) / sizeof(allowed[0])) + 64];
	unsigned short len;
};

static void add(struct filter *f, const struct sock_filter *code, size_t n)
{
	memcpy(f->code + f->len, code, n * sizeof(*code));
	f->len = (unsigned short)(f->len + n);
}

#define ADD(f, ...) add(f, (const struct sock_filter[]){ __VA_ARGS__ }, \
			sizeof((struct sock_filter[]){ __VA_ARGS__ }) / sizeof(struct sock_filter))

static void build(struct filter *f)
{
	const uint32_t thread_flags = 0x00010000; /* CLONE_THREAD */

	ADD(f, LOAD(offsetof(struct seccomp_data, arch)), IF_EQUAL(AUDIT_ARCH_X86_64, 1, 0), REFUSE,
	    LOAD(offsetof(struct seccomp_data, nr)));
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		ADD(f, IF_EQUAL(allowed[i], 0, 1), ALLOW);
	/* glibc's fork is clone with CHILD_SETTID | CHILD_CLEARTID | SIGCHLD; no threads, no namespaces. */
	ADD(f, IF_EQUAL(SYS_clone, 0, 5), LOAD(ARG(0)), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, thread_flags | 0x7e020000, 2, 0),
	    ALLOW, REFUSE, REFUSE);
	/* Unix sockets in pairs only: the broker's answers. */
	ADD(f, LOAD(offsetof(struct seccomp_data, nr)), IF_EQUAL(SYS_socketpair, 0, 4), LOAD(ARG(0)), IF_EQUAL(1, 0, 1),
	    ALLOW, REFUSE);
	/* Limits of the process itself (pid 0 in prlimit64). */
	ADD(f, LOAD(offsetof(struct seccomp_data, nr)), IF_EQUAL(SYS_prlimit64, 0, 4), LOAD(ARG(0)), IF_EQUAL(0, 0, 1),
	    ALLOW, REFUSE);
	ADD(f, REFUSE);
}

/* ---- Landlock ---- */

#define ACCESS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define ACCESS_ABI_1 0x1fffull          /* execute … make_sym */
#define ACCESS_REFER (1ull << 13)       /* ABI 2: renames and links between directories */
#define ACCESS_TRUNCATE (1ull << 14)    /* ABI 3 */

static int allow_below(int ruleset, int fd, uint64_t access)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = access, .parent_fd = fd };

	if (fd < 0)
		return 0;
	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
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
		uint64_t all = attr.handled_access_fs & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE;

		r = allow_below(ruleset, m->lower_fd, ACCESS_READ);
		if (r == 0)
			r = allow_below(ruleset, m->upper_fd, m->is_readonly ? ACCESS_READ : all);
		if (r == 0 && m->kind != ROOTFS_MOUNT_VIRTUAL)
			r = allow_below(ruleset, m->fd, m->is_readonly ? ACCESS_READ : all);
	}
	if (r == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		r = -errno;
	close(ruleset);
	return r;
}

int wall_enter(const struct container *c)
{
	struct filter f = { .len = 0 };
	struct sock_fprog program;
	int r;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
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
