/* A thread of the supervisor that stands behind the second wall and does nothing
 * but fork: what it forks is born behind the same wall, and the kernel need not
 * translate the seccomp filter anew for each exec. Walls, capabilities and the
 * alternate stack are a thread's own; the rest of the supervisor stays outside.
 * Guest code never runs in it, only in its children.
 *
 * It comes with the first exec, so that a container without one pays nothing. */
#include "sandbox/kernel/nursery.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/kernel/supervisor.h"
#include "sandbox/runtime/runtime.h"

enum { GUARD_BYTES = 64 << 10 };
static const size_t stack_bytes_max = 64 << 20;

static struct {
	pthread_t thread;
	bool is_there;
	sem_t wish, answer;
	const struct container *container;
	/* The wish: a child to fork. Without one the thread ends. */
	void (*child)(void *arg);
	void *arg;
	/* The answer. */
	pid_t pid, tid;
	int error;
	void *stack_low; /* of the thread, and of all that it forks */
	/* Files that are bound by name, as they were when the wall was built. */
	struct file_id {
		dev_t dev;
		ino_t ino;
	} *files;
} n;

static void wait_for(sem_t *s)
{
	while (sem_wait(s) < 0)
		;
}

static void *run(void *arg)
{
	pid_t pid;

	(void)arg;
	n.tid = gettid();
	n.stack_low = guest_runtime_find_stack();
	n.error = guest_runtime_enter_thread();
	if (n.error == 0)
		n.error = wall_enter(n.container);
	sem_post(&n.answer);
	for (;;) {
		wait_for(&n.wish);
		if (!n.child)
			return NULL;
		/* Not fork(), which looks after locks of the C library: nobody holds one while the loop waits for us. */
		pid = _Fork();
		if (pid == 0) {
			guest_runtime_take_stack(n.stack_low);
			n.child(n.arg);
		}
		n.error = pid < 0 ? -errno : 0;
		n.pid = pid;
		sem_post(&n.answer);
	}
}

/* A bound file that has been replaced by another of its name is behind a rule of Landlock for the old one. */
static struct file_id *look_at_files(const struct container *c)
{
	size_t count = rootfs_mount_count(c->fs);
	struct file_id *ids = calloc(count ? count : 1, sizeof(*ids));

	for (size_t i = 0; ids && i < count; i++) {
		const struct rootfs_mount *m = rootfs_mount_at(c->fs, i);
		struct stat st;

		if (m->kind == ROOTFS_MOUNT_FILE && fstatat(m->fd, m->ctx, &st, AT_SYMLINK_NOFOLLOW) == 0)
			ids[i] = (struct file_id){ st.st_dev, st.st_ino };
	}
	return ids;
}

static bool are_files_as_before(const struct container *c)
{
	struct file_id *now = look_at_files(c);
	bool are = now && n.files;

	for (size_t i = 0; are && i < rootfs_mount_count(c->fs); i++)
		are = now[i].dev == n.files[i].dev && now[i].ino == n.files[i].ino;
	free(now);
	return are;
}

static void stop(void)
{
	n.child = NULL;
	sem_post(&n.wish);
	pthread_join(n.thread, NULL);
	free(n.files);
	n.files = NULL;
	n.is_there = false;
	n.tid = 0;
}

/* As much room as a process's first stack has. */
static size_t stack_bytes(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_STACK, &rl) < 0 || rl.rlim_cur > stack_bytes_max)
		return stack_bytes_max + GUARD_BYTES;
	return (size_t)rl.rlim_cur + GUARD_BYTES;
}

static int start(const struct container *c)
{
	const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
	pthread_attr_t attr;
	int r;

	setrlimit(RLIMIT_FSIZE, &none); /* as far as it may: what is not limited, a worker need not say */
	setrlimit(RLIMIT_CPU, &none);

	/* What is forked has the thread's view of the heap: one arena, and none to be mapped anew in each process. */
	mallopt(M_ARENA_MAX, 1);

	n.container = c;
	n.files = look_at_files(c);
	if (sem_init(&n.wish, 0, 0) < 0 || sem_init(&n.answer, 0, 0) < 0 || pthread_attr_init(&attr) != 0)
		return -ENOMEM;
	pthread_attr_setstacksize(&attr, stack_bytes());
	pthread_attr_setguardsize(&attr, GUARD_BYTES);
	r = pthread_create(&n.thread, &attr, run, NULL);
	pthread_attr_destroy(&attr);
	signal_install_park(); /* the C library has just taken the number for threads */
	if (r != 0)
		return -r;
	n.is_there = true;
	wait_for(&n.answer);
	if (n.error < 0) {
		r = n.error;
		stop();
	}
	return r;
}

pid_t nursery_fork(const struct container *c, void (*child)(void *arg), void *arg)
{
	if (n.is_there && !are_files_as_before(c))
		stop();
	if (!n.is_there && start(c) < 0)
		return -EAGAIN;
	n.child = child;
	n.arg = arg;
	sem_post(&n.wish);
	wait_for(&n.answer);
	return n.pid < 0 ? n.error : n.pid;
}

pid_t nursery_thread(void)
{
	return n.tid;
}
