/* Every system call of the kernel with hostile arguments, from inside a worker
 * behind the second wall: wrong pointers and lengths, numbers at the edges,
 * descriptors that are none, paths that want to lead out. A child for each
 * stretch of calls; one that dies of a fault, or of a signal that nobody can
 * have sent, is a hole in the first wall. */
#include "tests/sandbox/attacks.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sandbox/kernel/kernel.h"
#include "sandbox/kernel/module.h"

enum { STRETCHES = 200, CALLS = 400, NUMBERS_MAX = 600, WAIT_MS = 2000 };

static uint64_t seed;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static uint32_t below(uint32_t n)
{
	return (uint32_t)(next_random() >> 11) % n;
}

/* ---- what the arguments are made of ---- */

static const char *const texts[] = {
	"/",
	".",
	"..",
	"",
	"file",
	"/file",
	"/tmp",
	"/tmp/x",
	"../../../../etc/passwd",
	"/proc/self/root/etc/passwd",
	"/proc/self/fd/0",
	"/proc/self/fd/1023",
	"/proc/self/fd/4294967295",
	"/proc/self/cwd/..",
	"/proc/1/mem",
	"/proc/1/stat",
	"/dev/pts/0",
	"/dev/tty",
	"/dev/full",
	"/dev/fd/3",
	".wh..wh..opq",
	".wh.file",
	"/bound",
	"/bound/..",
	"////..//.//file/",
	"/proc/self/fd",
	"/proc/999999999999/stat",
	"/proc/-1",
	"/dev/zero/x",
	"\177ELF",
	"a/b/c/d/e/f",
	"/proc/self/exe/..",
};

enum { TEXTS = sizeof(texts) / sizeof(texts[0]), TEXT_BYTES = 64, AREA_PAGES = 64 };

static uint32_t area;      /* guest address of a mapping of ours */
static uint32_t hole;      /* and of pages in it that have no rights */

static uint64_t address(void)
{
	uint64_t size = guest_size();

	switch (below(12)) {
	case 0: return 0;
	case 1: return size - below(64);
	case 2: return size + below(4096);
	case 3: return UINT32_MAX - below(16);
	case 4: return hole - below(32);
	case 5: return hole + below(8192);
	case 6: return next_random();
	case 7: return below(4096);
	default: return area + below(AREA_PAGES * 4096 - 8192);
	}
}

static uint64_t text_address(void)
{
	return area + below(TEXTS) * TEXT_BYTES;
}

static uint64_t number(void)
{
	static const uint64_t edges[] = { 0,          1,
					  2,          3,
					  7,          8,
					  63,         64,
					  127,        255,
					  256,        1023,
					  1024,       1025,
					  4095,       4096,
					  65535,      65536,
					  0x7fffffff, 0x80000000,
					  0xffffffff, 0xffffff9c /* AT_FDCWD */,
					  UINT64_MAX, (uint64_t)INT64_MIN,
					  INT64_MAX,  (uint64_t)-100 };

	return below(4) ? edges[below(sizeof(edges) / sizeof(edges[0]))] : next_random();
}

static uint64_t argument(void)
{
	switch (below(8)) {
	case 0:
	case 1: return address();
	case 2: return text_address();
	case 3: return below(24); /* a descriptor */
	case 4: return (uint64_t)1 << below(40);
	case 5: return below(0x10000); /* flags, modes */
	default: return number();
	}
}

/* Guest memory that, read as a structure, holds addresses, counts and descriptors. */
static void fill_area(void)
{
	for (uint32_t i = TEXTS * TEXT_BYTES; i < (AREA_PAGES - 4) * 4096; i += 4) {
		uint32_t v = (uint32_t)(below(3) ? number() : address());

		copy_out(area + i, &v, sizeof(v));
	}
	for (uint32_t i = 0; i < TEXTS; i++)
		copy_out(area + i * TEXT_BYTES, texts[i], strlen(texts[i]) + 1);
}

static int64_t call(uint32_t n, uint64_t a, uint64_t b, uint64_t c)
{
	return guest_syscall(n, a, b, c, 0, 0, 0);
}

static void make_area(void)
{
	area = (uint32_t)guest_syscall(9, 0, AREA_PAGES * 4096, 3, 0x22, (uint64_t)-1, 0);
	hole = area + (AREA_PAGES - 4) * 4096;
	call(10, hole, 8192, 0);
	fill_area();
}

/* ---- what may not be left to chance ---- */

/* Calls that lawfully end or hold up the child, or run guest code of which nothing is known. */
static bool is_tame(uint32_t n, uint64_t a[6])
{
	switch (n) {
	case 60:  /* exit */
	case 231: /* exit_group */
	case 34:  /* pause */
	case 130: /* rt_sigsuspend */
	case 62:  /* kill: what it ends looks like a fault */
	case 200:
	case 234: return false;
	case 35:  /* nanosleep */
	case 230:
	case 61:  /* wait4 */
	case 7:   /* poll */
	case 270:
	case 271:
	case 23:
	case 523:
	case 232: /* epoll_wait */
	case 281: return below(40) == 0;
	case 512: { /* rt_sigaction: default and ignore only */
		uint32_t handler = below(2);

		a[1] = area + 8192;
		copy_out(a[1], &handler, 4);
		return true;
	}
	case 520: /* execve: of what is no program */ a[0] = text_address(); return true;
	default: return true;
	}
}

/* Something of each kind to be called upon, none of which waits. */
static void make_sockets(void)
{
	const struct {
		uint32_t domain, type, protocol;
	} kinds[] = { { 2, 1, 0 }, { 10, 1, 0 }, { 2, 2, 0 }, { 1, 1, 0 }, { 1, 2, 0 }, { 16, 3, 0 }, { 2, 3, 1 } };
	const uint32_t any[4] = { 2 };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		call(41, kinds[i].domain, kinds[i].type | 04000 /* SOCK_NONBLOCK */, kinds[i].protocol);
	guest_syscall(53, 1, 1 | 04000, 0, area + 4096, 0, 0); /* socketpair */
	guest_syscall(53, 1, 2 | 04000, 0, area + 4096, 0, 0);
	copy_out(area + 4096, any, sizeof(any));
	call(49, 3, area + 4096, sizeof(any)); /* bind */
	call(50, 3, 5, 0);                     /* listen */
	call(291, 0, 0, 0);                    /* epoll_create1 */
	call(290, 0, 04000, 0);                /* eventfd2 */
}

static void run_stretch(void)
{
	const int64_t tenth[4] = { 0, 0, 0, 100000 };
	int32_t me = self.vpid;

	dup2(self.container->null_fd, 1);
	dup2(self.container->null_fd, 2);
	make_area();
	make_sockets();
	copy_out(area, tenth, sizeof(tenth));
	call(38, 0, area, 0); /* setitimer: whatever blocks ends */
	fill_area();
	for (int i = 0; i < CALLS; i++) {
		uint32_t n = below(NUMBERS_MAX);
		uint64_t a[6];

		for (int k = 0; k < 6; k++)
			a[k] = argument();
		if (!is_tame(n, a))
			continue;
		guest_syscall(n, a[0], a[1], a[2], a[3], a[4], a[5]);
		if (self.vpid != me)
			_exit(0); /* a child of the child */
		if (below(50) == 0)
			fill_area();
	}
	_exit(0);
}

/* ---- the parent ---- */

static bool is_fault(int status)
{
	if (!WIFSIGNALED(status))
		return false;
	switch (WTERMSIG(status)) {
	case SIGALRM: /* our own clock, or a timer that the child has set */
	case SIGVTALRM:
	case SIGPROF:
	case SIGPIPE:
	case SIGXFSZ:
	case SIGXCPU:
	case SIGKILL: /* a limit of processor time that it has set itself */ return false;
	default: return true;
	}
}

/* Until the child ends; one that waits for ever is left to the container's end. */
static bool wait_for(pid_t pid, int *ret_status)
{
	struct timespec ms = { 0, 1000000 };

	for (int i = 0; i < WAIT_MS * 2; i++) {
		if (waitpid(pid, ret_status, WNOHANG) == pid)
			return true;
		nanosleep(&ms, NULL);
	}
	return false;
}

void fuzz_start_program(void)
{
	const struct guest_module *m = guest_modules[0];

	self.module = m;
	self.instance = calloc(1, m->instance_size);
	m->instantiate(self.instance);
	memory_init((uint32_t)m->memory(self.instance)->size);
	rootfs_open_dir(self.container->fs, NULL, NULL, "/", &self.cwd);
	signal_init();
}

int fuzz_main(uint64_t first_seed)
{
	int faults = 0, left = 0;

	fuzz_start_program();
	for (int i = 0; i < STRETCHES; i++) {
		uint64_t this_seed = first_seed + (uint64_t)i;
		struct proc_slot *slot;
		int status = 0;
		int64_t vpid;

		seed = this_seed * 0x9e3779b97f4a7c15u | 1;
		vpid = call(57, 0, 0, 0);
		if (vpid == 0)
			run_stretch();
		slot = vpid > 0 ? proctable_find((int32_t)vpid) : NULL;
		if (!slot) {
			printf("BROKE fork: %ld\n", (long)vpid);
			return 1;
		}
		if (!wait_for(slot->host_pid, &status)) {
			left++;
			continue;
		}
		proctable_release(slot);
		if (is_fault(status)) {
			printf("BROKE seed %lu: signal %d\n", this_seed, WTERMSIG(status));
			faults++;
		}
	}
	printf("%d stretches of %d calls, %d left waiting\n", STRETCHES, CALLS, left);
	return faults ? 1 : 0;
}
