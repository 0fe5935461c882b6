/* What a guest that has taken its worker over would try: raw calls of the
 * host's kernel from behind the second wall. An attempt counts as held only
 * when it is refused for its own sake: EPERM, EACCES or EXDEV. */
#include "tests/sandbox/attacks.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sandbox/kernel/kernel.h"

static pid_t victim;
static const char *outside; /* the directory */
static uint64_t number; /* the optional argument: a first seed, or how many seconds of patience */
static int broken;

void broke(const char *what, const char *how)
{
	printf("BROKE %s (%s)\n", what, how);
	broken++;
}

void held(const char *what, long r)
{
	if (r >= 0)
		broke(what, "allowed");
	else if (errno != EPERM && errno != EACCES && errno != EXDEV)
		broke(what, strerror(errno));
}

static const char *path_outside(const char *name)
{
	static char path[2][512];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", outside, name);
	return path[turn];
}

/* ---- processes ---- */

static void attack_signals(void)
{
	siginfo_t info = { .si_code = SI_QUEUE };

	HELD(syscall(SYS_kill, victim, SIGUSR1));
	HELD(syscall(SYS_kill, -1, 0));
	HELD(syscall(SYS_kill, getppid(), 0));
	HELD(syscall(SYS_tkill, victim, SIGUSR1));
	HELD(syscall(SYS_tgkill, victim, victim, SIGUSR1));
	HELD(syscall(SYS_rt_sigqueueinfo, victim, SIGUSR1, &info));
	HELD(syscall(SYS_pidfd_open, victim, 0));
}

/* Descriptors that send signals to whom they are told: kill by another door. */
static void attack_descriptor_signals(void)
{
	struct f_owner_ex owner = { F_OWNER_PID, victim };
	int pair[2], on = 1, pid = victim;

	if (pipe(pair) < 0)
		return broke("pipe", "cannot be tried");
	HELD(fcntl(pair[0], F_SETOWN, pid));
	HELD(fcntl(pair[0], F_SETOWN_EX, &owner));
	HELD(fcntl(pair[0], F_SETSIG, SIGKILL));
	HELD(fcntl(pair[0], F_SETFL, O_ASYNC));
	HELD(fcntl(pair[0], F_NOTIFY, 0));
	HELD(fcntl(pair[0], F_SETLEASE, F_UNLCK));
	HELD(ioctl(pair[0], FIOASYNC, &on));
	HELD(ioctl(self.container->broker_fd, 0x8901 /* FIOSETOWN */, &pid));
	HELD(ioctl(self.container->broker_fd, 0x8902 /* SIOCSPGRP */, &pid));
}

static void attack_processes(void)
{
	static char page[4096];
	struct {
		void *base;
		size_t len;
	} mine = { page, 16 }, theirs = { page, 16 };
	struct rlimit limit = { 0, 0 };

	HELD(syscall(SYS_ptrace, 16 /* ATTACH */, victim, 0, 0));
	HELD(syscall(SYS_process_vm_readv, victim, &mine, 1, &theirs, 1, 0));
	HELD(syscall(SYS_process_vm_writev, victim, &mine, 1, &theirs, 1, 0));
	HELD(syscall(SYS_prlimit64, victim, RLIMIT_CPU, &limit, NULL));
	HELD(syscall(SYS_setpriority, PRIO_PROCESS, victim, 19));
	HELD(syscall(SYS_sched_setaffinity, victim, 8, page));
	HELD(syscall(SYS_kcmp, victim, getpid(), 0, 0, 0));
}

/* Time for whoever watches to end us. */
static void await_end(void)
{
	const struct timespec a_while = { .tv_sec = number ? (time_t)number : 1 };

	nanosleep(&a_while, NULL);
}

/* More processes than the container may have: our kernel is not asked, whoever watches must end it. */
static void attack_process_count(void)
{
	int n = 0;

	while (n < 200) {
		pid_t pid = fork();

		if (pid < 0) /* a cgroup of the container's */
			break;
		if (pid == 0)
			for (;;)
				pause();
		n++;
	}
	await_end();
	broke("too many processes", "are alive after a while");
}

/* The same with memory, by many that hold little each. */
static void attack_memory_limit(void)
{
	for (int i = 0; i < 16; i++) {
		char *p = mmap(NULL, 8 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p != MAP_FAILED)
			memset(p, 1, 8 << 20);
	}
	await_end();
	broke("128 MiB", "are held after a while");
}

static uint64_t clock_ms(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* And with processor time, deaf to every signal that can be blocked: more than a twenty-fifth of a processor. Where
 * nobody holds it back it has that soon, on a machine with fifty others that run, too. */
static void attack_processor_time(void)
{
	enum { WATCHED_MS = 10000, TOO_MUCH_MS = WATCHED_MS / 25 };
	const uint64_t all = UINT64_MAX, end = clock_ms(CLOCK_MONOTONIC) + WATCHED_MS;

	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, 8);
	while (clock_ms(CLOCK_PROCESS_CPUTIME_ID) < TOO_MUCH_MS)
		if (clock_ms(CLOCK_MONOTONIC) >= end)
			return;
	broke("a hundredth of a processor", "four times as much is used");
}

static void attack_programs(void)
{
	char *const none[] = { NULL };
	void *code;

	HELD(syscall(SYS_execve, "/nonexistent", none, none));
	HELD(syscall(SYS_execveat, self.container->null_fd, "", none, none, AT_EMPTY_PATH));
	HELD(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
	HELD(syscall(SYS_clone, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, 1 << 20, 0, 0, 0));
	HELD(syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0));
	HELD(syscall(SYS_clone, SIGKILL, 0, 0, 0, 0)); /* the exit signal goes to the parent */
	HELD(syscall(SYS_clone3, NULL, 0));
	HELD(syscall(SYS_fork));
	HELD(syscall(SYS_unshare, CLONE_NEWUSER));
	HELD(syscall(SYS_setns, 0, 0));
	code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	HELD(code == MAP_FAILED ? -1 : 0);
	code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	HELD(mprotect(code, 4096, PROT_READ | PROT_EXEC));
	HELD(syscall(SYS_pkey_mprotect, code, 4096, PROT_READ | PROT_EXEC, -1));
}

/* The supervisor signals whom the shared table names, if it believes it. */
static void attack_process_table(void)
{
	struct broker_request req = { .op = BROKER_KILL, .pid = 77, .signo = SIGUSR1 };
	struct broker_reply reply = { .result = 0 };
	struct proc_slot *slots = self.container->table->slots;

	for (size_t i = 0; i < PROCTABLE_SLOTS; i++) {
		if (&slots[i] == self.slot)
			continue;
		slots[i] = *self.slot;
		slots[i].vpid = 77;
		slots[i].host_pid = victim;
		slots[i].state = PROC_RUNNING;
	}
	if (broker_call(&req, -1, &reply, NULL) < 0)
		return broke("the broker", "gives no answer");
	errno = reply.result == -ESRCH ? EPERM : -reply.result;
	held("a forged process table", reply.result);
}

/* Who cuts the table short kills with SIGBUS whoever has it mapped. */
static void attack_table_memory(void)
{
	struct broker_request req = { .op = BROKER_KILL, .pid = 0 };
	struct broker_reply reply = { .result = 0 };

	for (int fd = 3; fd < 4096; fd++)
		if (fcntl(fd, F_GETFD) >= 0 && fd != self.container->broker_fd)
			(void)!ftruncate(fd, 0);
	self.container->table->slots[PROCTABLE_SLOTS - 1].cmdline_len = UINT32_MAX;
	if (broker_call(&req, -1, &reply, NULL) < 0 || reply.result != 0)
		broke("the supervisor", "does not stand any more");
}

/* More descriptors than a request has: the supervisor must not keep any. */
static void attack_broker_descriptors(void)
{
	struct broker_request req = { .op = 77 };
	struct iovec iov = { &req, sizeof(req) };
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} control = { 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	int reply[2], extra[2], fds[2];
	struct pollfd ends = { .events = POLLIN };

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, reply) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, extra) < 0)
		return broke("socketpair", "cannot be tried");
	fds[0] = reply[1];
	fds[1] = extra[1];
	control.head =
		(struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(fds)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&control.head), fds, sizeof(fds));
	if (sendmsg(self.container->broker_fd, &msg, MSG_NOSIGNAL) < 0)
		return broke("sendmsg", "cannot be tried");
	close(reply[1]);
	close(extra[1]);
	ends.fd = extra[0];
	if (poll(&ends, 1, 30000) != 1)
		broke("a descriptor", "is kept by the supervisor");
}

/* ---- the network, other programs' sockets ---- */

static void attack_sockets(void)
{
	int pair[2];

	HELD(syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0));
	HELD(syscall(SYS_socket, AF_INET, SOCK_STREAM, 0));
	HELD(syscall(SYS_socket, AF_NETLINK, SOCK_RAW, 0));
	HELD(syscall(SYS_connect, self.container->broker_fd, NULL, 0));
	HELD(syscall(SYS_bind, self.container->broker_fd, NULL, 0));
	HELD(syscall(SYS_accept4, self.container->broker_fd, NULL, NULL, 0));
	HELD(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair)); /* would send to any address */
	HELD(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair));
	HELD(syscall(SYS_sendto, self.container->broker_fd, "", 0, 0, NULL, 0));
}

/* ---- files ---- */

static void attack_files(void)
{
	struct timespec never[2] = { { 1, 0 }, { 1, 0 } };
	int upper = rootfs_mount_at(self.container->fs, 0)->upper_fd, lower = rootfs_mount_at(self.container->fs, 0)->lower_fd;

	HELD(openat(AT_FDCWD, path_outside("secret"), O_RDONLY));
	HELD(openat(AT_FDCWD, path_outside("secret"), O_WRONLY | O_TRUNC));
	HELD(openat(AT_FDCWD, path_outside("fresh"), O_WRONLY | O_CREAT, 0600));
	HELD(openat(AT_FDCWD, outside, O_TMPFILE | O_WRONLY, 0600));
	HELD(openat(AT_FDCWD, "/etc/passwd", O_RDONLY));
	HELD(openat(upper, "../secret", O_RDONLY));
	HELD(openat(AT_FDCWD, "/proc/self/mem", O_RDWR));
	HELD(openat(AT_FDCWD, "/proc/self/root/etc/passwd", O_RDONLY));
	HELD(openat(AT_FDCWD, "/proc/1/environ", O_RDONLY));
	HELD(openat(AT_FDCWD, "/dev/tty", O_RDWR));
	HELD(syscall(SYS_openat2, upper, "../secret", NULL, 0));
	HELD(openat(lower, "file", O_WRONLY));
	HELD(openat(lower, "fresh", O_WRONLY | O_CREAT, 0600));
	HELD(unlinkat(lower, "file", 0));
	HELD(unlinkat(AT_FDCWD, path_outside("secret"), 0));
	HELD(mkdirat(upper, "../made", 0700));
	HELD(symlinkat("/", upper, "../link"));
	HELD(linkat(AT_FDCWD, path_outside("secret"), upper, "stolen", 0));
	HELD(renameat(AT_FDCWD, path_outside("secret"), upper, "moved"));
	HELD(renameat(upper, "file", AT_FDCWD, path_outside("moved")));
	HELD(linkat(lower, "file", upper, "linked", 0)); /* the image's file, to be written to by another name */
	HELD(fchmodat(AT_FDCWD, path_outside("secret"), 0777, 0));
	HELD(fchownat(AT_FDCWD, path_outside("secret"), 0, 0, 0));
	HELD(utimensat(AT_FDCWD, path_outside("secret"), never, 0));
	HELD(truncate(path_outside("secret"), 0));
	HELD(syscall(SYS_setxattr, path_outside("secret"), "user.x", "y", 1, 0));
	HELD(syscall(SYS_chdir, "/"));
	HELD(syscall(SYS_chroot, outside));
	HELD(syscall(SYS_open_by_handle_at, upper, NULL, 0));
	HELD(syscall(SYS_inotify_init1, 0));
	HELD(syscall(SYS_fanotify_init, 0, 0));
}

/* The file that is bound is the container's, its neighbours are not. */
static void attack_bound_file(void)
{
	int dir = -1, fd;

	for (size_t i = 0; i < rootfs_mount_count(self.container->fs); i++)
		if (rootfs_mount_at(self.container->fs, i)->kind == ROOTFS_MOUNT_FILE)
			dir = rootfs_mount_at(self.container->fs, i)->fd;
	fd = openat(dir, "file", O_RDWR);
	if (fd < 0)
		broke("the bound file", strerror(errno));
	HELD(openat(dir, "neighbour", O_RDONLY));
	HELD(openat(dir, "fresh", O_WRONLY | O_CREAT, 0600));
	HELD(openat(dir, ".", O_RDONLY | O_DIRECTORY));
	HELD(unlinkat(dir, "file", 0));
	HELD(renameat(dir, "neighbour", dir, "file"));
}

/* Whatever descriptor there is: none may lead out. */
static void attack_descriptors(void)
{
	for (int fd = 0; fd < 4096; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			continue;
		for (char up[] = "../../../../../../../../../../etc/passwd", *at = up; *at == '.'; at += 3)
			if (openat(fd, at, O_RDONLY) >= 0)
				broke(at, "opened beneath a descriptor");
	}
}

/* Matters when the daemon's user is root. What would change the machine is
 * given arguments that a kernel which looks at them turns down otherwise. */
static void attack_privileges(void)
{
	int upper = rootfs_mount_at(self.container->fs, 0)->upper_fd;
	int fd = openat(upper, "file", O_RDWR);

	HELD(mknodat(upper, "null", S_IFCHR | 0666, makedev(1, 3)));
	HELD(mknodat(upper, "disk", S_IFBLK | 0666, makedev(7, 0)));
	HELD(mknodat(upper, "socket", S_IFSOCK | 0666, 0));
	HELD(fd < 0 ? 0 : fchmod(fd, 04755));
	HELD(openat(upper, "set-id", O_WRONLY | O_CREAT, 04755));
	HELD(mkdirat(upper, "set-gid", 02755));
	HELD(syscall(SYS_fchown, fd, 0, 0));
	HELD(syscall(SYS_setuid, 0));
	HELD(syscall(SYS_setresgid, 0, 0, 0));
	HELD(syscall(SYS_capset, NULL, NULL));
	HELD(syscall(SYS_prctl, 4 /* SET_DUMPABLE */, 1));
	HELD(syscall(SYS_mount, NULL, "/nonexistent", NULL, 0, NULL));
	HELD(syscall(SYS_umount2, "/nonexistent", 0));
	HELD(syscall(SYS_pivot_root, "/nonexistent", "/nonexistent"));
	HELD(syscall(SYS_fsopen, "tmpfs", 0));
	HELD(syscall(SYS_open_tree, AT_FDCWD, "/", 0));
	HELD(syscall(SYS_sethostname, NULL, 1));
	HELD(syscall(SYS_settimeofday, NULL, NULL));
}

static void attack_kernel(void)
{
	HELD(syscall(SYS_bpf, 0, NULL, 0));
	HELD(syscall(SYS_io_uring_setup, 1, NULL));
	HELD(syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
	HELD(syscall(SYS_userfaultfd, 0));
	HELD(syscall(SYS_add_key, NULL, NULL, NULL, 0, 0));
	HELD(syscall(SYS_keyctl, 0, 0));
	HELD(syscall(SYS_shmget, 0, 4096, 0));
	HELD(syscall(SYS_msgget, 0, 0));
	HELD(syscall(SYS_mq_open, "/x", 0));
	HELD(syscall(SYS_personality, 0xffffffff));
	HELD(syscall(SYS_init_module, NULL, 0, ""));
	HELD(syscall(SYS_kexec_load, 0, 0, NULL, 0));
	HELD(syscall(SYS_reboot, 0, 0, 0, NULL));
	HELD(syscall(SYS_syslog, 10, NULL, 0));
	HELD(syscall(SYS_seccomp, 1, 0, NULL));
	HELD(syscall(SYS_memfd_secret, 0));
	HELD(syscall(SYS_modify_ldt, 0, NULL, 0));
	for (long n = 435; n < 1024; n++) { /* what newer kernels add */
		if (n != SYS_faccessat2 && n != SYS_close_range)
			held("a call above 434", syscall(n, -1, 0, 0, 0, 0, 0));
	}
}

/* The same calls by the numbers of the other two ABIs. */
static void attack_other_abis(void)
{
	long r;

	HELD(syscall(0x40000000 | SYS_kill, victim, SIGUSR1));
	HELD(syscall(0x40000000 | SYS_getpid));
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(37 /* kill */), "b"(victim), "c"(SIGUSR1) : "memory");
	errno = r < 0 ? (int)-r : 0;
	held("kill by int 0x80", r);
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20 /* getpid */) : "memory");
	errno = r < 0 ? (int)-r : 0;
	held("getpid by int 0x80", r);
}

static void attack_terminal(void)
{
	char c = '\n';
	int n = 0;

	HELD(ioctl(0, TIOCSTI, &c));
	HELD(ioctl(0, TIOCLINUX, &c));
	HELD(ioctl(0, TIOCSETD, &n));
	HELD(ioctl(0, TIOCCONS, 0));
	HELD(ioctl(0, TIOCGPTPEER, O_RDWR));
}

/* No attack: the calls as an honest guest makes them, here because only here there is native code above them. */
static void attack_socket_calls(void)
{
	broken += socket_calls_main();
}

/* The first wall: nothing is broken through here, it must only stand. */
static void attack_syscalls(void)
{
	broken += fuzz_main(number ? number : 1);
}

/* The main process of a container in which an exec attacks. */
static void stand_by(void)
{
	for (;;)
		pause();
}

static const struct {
	const char *name;
	void (*run)(void);
} attacks[] = {
	{ "stand-by", stand_by },
	{ "signals", attack_signals },
	{ "descriptor-signals", attack_descriptor_signals },
	{ "processes", attack_processes },
	{ "process-count", attack_process_count },
	{ "memory-limit", attack_memory_limit },
	{ "processor-time", attack_processor_time },
	{ "programs", attack_programs },
	{ "process-table", attack_process_table },
	{ "table-memory", attack_table_memory },
	{ "broker-descriptors", attack_broker_descriptors },
	{ "sockets", attack_sockets },
	{ "connections", attack_connections },
	{ "switch", attack_switch },
	{ "socket-calls", attack_socket_calls },
	{ "files", attack_files },
	{ "bound-file", attack_bound_file },
	{ "descriptors", attack_descriptors },
	{ "privileges", attack_privileges },
	{ "kernel", attack_kernel },
	{ "other-abis", attack_other_abis },
	{ "terminal", attack_terminal },
	{ "syscalls", attack_syscalls },
};

bool attack_is_meant(const char *const *argv)
{
	return strcmp(argv[0], "attack") == 0 && argv[1] && argv[2] && argv[3];
}

void attack_main(const char *const *argv)
{
	victim = (pid_t)atoi(argv[2]);
	outside = argv[3];
	if (argv[4])
		number = strtoull(argv[4], NULL, 10);
	for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
		if (strcmp(attacks[i].name, argv[1]) != 0)
			continue;
		attacks[i].run();
		fflush(stdout);
		_exit(broken ? 1 : 0);
	}
	_exit(2);
}
