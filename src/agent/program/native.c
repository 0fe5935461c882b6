/* The root directory of a container whose programs are native: made out of the layers, with true owners, before a
 * launcher's command runs in it; afterwards what has changed is taken back into the container's layer, whose format
 * the daemon's own user can read and remove. Runs as root, or as root of a user namespace.
 *
 *   sockerless-agent --native LOWER UPPER DIRECTORY CACHE -- command…
 *
 * It is the kernel's overlay, or a copy where none can be mounted. Descriptor 4, when it is open, is the daemon's: each
 * byte asks for the changes so far and is answered by one. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "agent/control.h"
#include "agent/program/agent.h"
#include "rootfs/transfer.h"
#include "util/alloc.h"
#include "util/cleanup.h"

enum { FAILED = 125, OTHERS_TRIES = 5000 };

/* Where proot binds us makes an empty file in the root: nothing of the container's. */
#define PLACE_OF_AGENT "/.sockerless-agent"

struct native {
	const char *lower, *upper, *dir, *cache;
	char *root, *changes;   /* what the container sees; what it wrote (the same, of a copy) */
	bool is_overlay, is_asked;
	int lower_fd, upper_fd;
};

static int open_dir(const char *path)
{
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int view_of_layers(int lower, int upper, struct rootfs **ret)
{
	struct rootfs_mount m = { .kind = ROOTFS_MOUNT_UNION, .target = "/", .lower_fd = lower, .upper_fd = upper, .fd = -1 };

	return rootfs_new(&m, 1, ret);
}

/* Without the means to give files away their owners are kept beside them, as in a layer. */
static int view_of_real(const char *path, struct rootfs **ret)
{
	int fd = open_dir(path), r;
	struct rootfs_mount m = { .kind = ROOTFS_MOUNT_DIR,
				  .target = "/",
				  .lower_fd = -1,
				  .upper_fd = -1,
				  .fd = fd,
				  .is_bind = true,
				  .is_real = geteuid() == 0 };

	if (fd < 0)
		return -errno;
	r = rootfs_new(&m, 1, ret);
	close(fd);
	return r;
}

/* ---- the image's files with true owners: once for each image ---- */

static int fill_cache(struct native *n, const char *to)
{
	struct rootfs *from, *real;
	struct transfer *t;
	int fd, r = view_of_layers(n->lower_fd, -1, &from);

	if (r < 0)
		return r;
	r = view_of_real(to, &real);
	if (r == 0) {
		fd = open_dir(to);
		t = rootfs_transfer_new(from, real);
		transfer_allow_links(t, n->lower_fd, fd);
		r = transfer_tree(t, "/");
		rootfs_transfer_free(t);
		close(fd);
		rootfs_free(real);
	}
	rootfs_free(from);
	return r;
}

/* Whose files they are: when that directory has gone, so may they (launch.c). */
static int note_origin(const struct native *n)
{
	CLEANUP(freep) char *path = xasprintf("%s.of", n->cache);
	CLEANUP(closep) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	return fd < 0 || write(fd, n->lower, strlen(n->lower)) < 0 ? -errno : 0;
}

static int make_cache(struct native *n)
{
	CLEANUP(freep) char *tmp = xasprintf("%s.new", n->cache), *lock_path = xasprintf("%s.lock", n->cache);
	CLEANUP(closep) int lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char *slash;
	int r;

	if (lock < 0 || flock(lock, LOCK_EX) < 0)
		return -errno;
	if (access(n->cache, F_OK) == 0)
		return 0;
	r = note_origin(n);
	if (r < 0)
		return r;
	slash = strrchr(tmp, '/');
	*slash = '\0';
	r = open_dir(tmp);
	rootfs_remove_tree(r, slash + 1); /* one that was not finished */
	if (r >= 0)
		close(r);
	*slash = '/';
	if (mkdir(tmp, 0755) < 0)
		return -errno;
	r = fill_cache(n, tmp);
	return r < 0 ? r : rename(tmp, n->cache) < 0 ? -errno : 0;
}

/* ---- mounting ---- */

static int make_dirs(struct native *n)
{
	static const char *const names[] = { "changes", "work", "root" };

	if (mkdir(n->dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		CLEANUP(freep) char *path = xasprintf("%s/%s", n->dir, names[i]);

		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	free(n->root); /* of what an earlier run has left */
	free(n->changes);
	n->root = xasprintf("%s/root", n->dir);
	n->changes = xasprintf("%s/changes", n->dir);
	return 0;
}

static int mount_overlay(struct native *n)
{
	CLEANUP(freep)
	char *options = xasprintf("lowerdir=%s,upperdir=%s,workdir=%s/work,userxattr", n->cache, n->changes, n->dir);

	if (strpbrk(n->cache, ":,\\") || strpbrk(n->dir, ",\\"))
		return -EINVAL;
	return mount("overlay", n->root, "overlay", 0, options) < 0 ? -errno : 0;
}

/* What the container's layer has changed so far, onto the mounted root. */
struct seeding {
	struct transfer *transfer;
	struct rootfs *real;
	int result;
};

static int seed_one(void *arg, const char *path, int kind)
{
	struct seeding *s = arg;

	s->result = kind == 2 ? view_remove(s->real, path) : transfer_entry(s->transfer, path);
	return s->result;
}

static int seed(struct native *n)
{
	struct seeding s = { 0 };
	struct rootfs *from;
	int r = view_of_layers(n->lower_fd, n->upper_fd, &from);

	if (r < 0)
		return r;
	r = view_of_real(n->root, &s.real);
	if (r == 0) {
		s.transfer = rootfs_transfer_new(from, s.real);
		if (n->is_overlay)
			r = rootfs_changes(from, seed_one, &s);
		else
			r = transfer_tree(s.transfer, "/");
		rootfs_transfer_free(s.transfer);
		rootfs_free(s.real);
	}
	rootfs_free(from);
	return r;
}

/* ---- taking the changes back ---- */

struct harvest {
	struct transfer *transfer;
	struct rootfs *layers;
	char path[8192];
};

static bool is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

static mode_t needed_mode(const struct stat *st)
{
	return S_ISDIR(st->st_mode) ? 0500 : S_ISREG(st->st_mode) ? 0400 : 0;
}

/* Without privileges, what its owner may not read is readable while it is taken. Its descriptor; -1: it is anyway. */
static int unlock(int dir, const char *name, const struct stat *st)
{
	mode_t needed = needed_mode(st);
	char link[64];
	int fd;

	if (geteuid() == 0 || (st->st_mode & needed) == needed)
		return -1;
	fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (fd >= 0)
		chmod(link, (st->st_mode & 07777) | needed);
	return fd;
}

/* And what was taken so has the mode that it had. */
static int lock_again(struct harvest *h, int fd, const struct stat *st)
{
	struct rootfs_stat taken;
	char link[64];
	int r = rootfs_stat(h->layers, NULL, NULL, h->path, AT_SYMLINK_NOFOLLOW, &taken);

	if (r == 0 && (taken.mode & 07777) == ((st->st_mode & 07777) | needed_mode(st)))
		r = rootfs_chmod(h->layers, NULL, NULL, h->path, st->st_mode & 07777, 0);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	chmod(link, st->st_mode & 07777);
	close(fd);
	return r;
}

static int harvest_dir(struct harvest *h, int fd, size_t len, int depth);

static int harvest_one(struct harvest *h, int dir, const char *name, size_t len, int depth)
{
	struct stat st;
	int unlocked, below, r = 0;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || is_whiteout(&st))
		return 0; /* what is gone was removed before */
	unlocked = unlock(dir, name, &st);
	if (S_ISDIR(st.st_mode)) {
		below = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (below >= 0)
			r = harvest_dir(h, below, len, depth + 1);
	} else {
		r = transfer_entry(h->transfer, h->path);
	}
	if (unlocked >= 0) {
		int locked = lock_again(h, unlocked, &st);

		r = r < 0 ? r : locked;
	}
	return r;
}

/* The directories of what was written, as they are on the disk; the content comes through the mounted view. */
static int harvest_dir(struct harvest *h, int fd, size_t len, int depth)
{
	DIR *d = fdopendir(fd);
	struct dirent *e;
	int r;

	if (!d) {
		close(fd);
		return -errno;
	}
	r = depth > 512 ? -ELOOP : transfer_entry(h->transfer, len ? h->path : "/");
	if (r == 0)
		r = transfer_remove_others(h->transfer, len ? h->path : "/");
	while (r == 0 && (e = readdir(d))) {
		size_t n = len + 1 + strlen(e->d_name);

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (n >= sizeof(h->path)) {
			r = -ENAMETOOLONG;
			break;
		}
		h->path[len] = '/';
		memcpy(h->path + len + 1, e->d_name, strlen(e->d_name) + 1);
		if (strcmp(h->path, PLACE_OF_AGENT) != 0)
			r = harvest_one(h, dirfd(d), e->d_name, n, depth);
	}
	closedir(d);
	h->path[len] = '\0';
	return r;
}

static int take_back(struct native *n)
{
	struct harvest h = { 0 };
	struct rootfs *real;
	int fd, r = view_of_layers(n->lower_fd, n->upper_fd, &h.layers);

	if (r < 0)
		return r;
	r = view_of_real(n->root, &real);
	if (r == 0) {
		h.transfer = rootfs_transfer_new(real, h.layers);
		fd = open(n->is_overlay ? n->changes : n->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = fd < 0 ? -errno : harvest_dir(&h, fd, 0, 0);
		rootfs_transfer_free(h.transfer);
		rootfs_free(real);
	}
	rootfs_free(h.layers);
	return r;
}

/* ---- the run ---- */

/* Half removed it is not to be taken for what the container has left: first it is ready no more. */
static void forget(struct native *n)
{
	CLEANUP(freep) char *ready = xasprintf("%s/ready", n->dir);
	char *slash;
	int fd;

	unlink(ready);
	if (n->is_overlay)
		umount2(n->root, MNT_DETACH);
	slash = strrchr(n->dir, '/');
	*slash = '\0';
	fd = open_dir(n->dir);
	*slash = '/';
	rootfs_remove_tree(fd, slash + 1);
	if (fd >= 0)
		close(fd);
}

/* The container's root is complete: what differs from now on is its own doing. "overlay" or "copy". */
static int mark_ready(struct native *n)
{
	CLEANUP(freep) char *path = xasprintf("%s/ready", n->dir);
	CLEANUP(closep) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	const char *kind = n->is_overlay ? "overlay" : "copy";

	return fd < 0 || write(fd, kind, strlen(kind)) < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* A run of a daemon that was killed may still be taking its changes. The lock goes with us. */
static int be_alone(const struct native *n)
{
	CLEANUP(freep) char *path = xasprintf("%s.lock", n->dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	return fd < 0 || flock(fd, LOCK_EX) < 0 ? -errno : 0;
}

/* What a run left that ended before its changes were taken: they are taken now. One that never began goes. */
static int recover(struct native *n)
{
	CLEANUP(freep) char *path = xasprintf("%s/ready", n->dir);
	CLEANUP(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char kind[16] = "";
	int r = 0;

	if (access(n->dir, F_OK) < 0)
		return 0;
	if (fd >= 0 && read(fd, kind, sizeof(kind) - 1) > 0) {
		r = make_dirs(n);
		n->is_overlay = strcmp(kind, "overlay") == 0;
		if (r == 0 && n->is_overlay)
			r = mount_overlay(n);
		if (r == 0)
			r = take_back(n);
	}
	if (r == 0)
		forget(n);
	n->is_overlay = false;
	return r;
}

static int set_up(struct native *n, bool wants_copy)
{
	int r = make_dirs(n);

	if (r < 0)
		return r;
	n->is_overlay = false;
	if (!wants_copy) {
		r = make_cache(n);
		if (r < 0)
			return r;
		r = mount_overlay(n);
		n->is_overlay = r == 0;
	}
	if (!n->is_overlay && !wants_copy)
		say("no overlay can be mounted here (%s): the root is copied", strerror(-r));
	r = seed(n);
	return r < 0 ? r : mark_ready(n);
}

static void answer(struct native *n)
{
	struct control_request ask;
	struct control_answer said = { 0 };

	if (recv(CONTROL_FD, &ask, sizeof(ask), MSG_WAITALL) != sizeof(ask)) {
		n->is_asked = false; /* the daemon has gone */
		return;
	}
	if (ask.question == CONTROL_LIMITS) {
		said.error = limits_change(&ask.limits, said.why, sizeof(said.why));
	} else {
		said.error = take_back(n);
		if (said.error < 0)
			say("the changes so far cannot be taken: %s", strerror((int)-said.error));
	}
	if (send(CONTROL_FD, &said, sizeof(said), MSG_NOSIGNAL) != sizeof(said))
		n->is_asked = false;
}

/* Until the command has ended. Signals go on to it; the daemon's end is its end. */
static int attend(struct native *n, pid_t pid)
{
	sigset_t set;
	int sig, status;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sig = signalfd(-1, &set, SFD_CLOEXEC);
	for (;;) {
		struct pollfd fds[2] = { { .fd = sig, .events = POLLIN }, { .fd = CONTROL_FD, .events = POLLIN } };
		struct signalfd_siginfo info;
		pid_t ended;

		if (!n->is_asked)
			fds[1].fd = -1;
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
		if (fds[1].revents)
			answer(n);
		if ((fds[0].revents & POLLIN) && read(sig, &info, sizeof(info)) == sizeof(info) && info.ssi_signo != SIGCHLD)
			kill(pid, SIGKILL);
		while ((ended = waitpid(-1, &status, WNOHANG)) > 0)
			if (ended == pid)
				return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		if (ended < 0)
			break;
	}
	return FAILED;
}

static pid_t start(const struct native *n, char **argv)
{
	sigset_t set;
	pid_t parent = getpid(), pid;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	setenv("SOCKERLESS_ROOT", n->root, 1);
	pid = fork();
	if (pid != 0)
		return pid;
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) /* killed before that could be said */
		_exit(127);
	limits_enter();
	close(CONTROL_FD);
	execv(argv[0], argv);
	say("%s: %s", argv[0], strerror(errno));
	_exit(127);
}

static int fail(const char *what, int r)
{
	say("%s: %s", what, strerror(-r));
	return FAILED;
}

/* …/containers/ID/native */
static char *id_of(const struct native *n)
{
	CLEANUP(freep) char *dir = xstrdup(n->dir);
	char *slash = strrchr(dir, '/');

	if (slash)
		*slash = '\0';
	slash = strrchr(dir, '/');
	return xstrdup(slash ? slash + 1 : dir);
}

/* Who outlived the agent, where there is no namespace to end with it. They are ours to reap: what they have written is
 * whole, and their control groups are empty, when the last of them has gone. One that the kernel holds is given up. */
static void end_others(void)
{
	struct timespec pause = { .tv_nsec = 2000000 };

	for (int tries = 0; tries < OTHERS_TRIES; tries++) {
		pid_t reaped = 1;

		if (tries % 50 == 0)
			tree_signal(SIGKILL);
		for (int n = 0; n < 1000 && reaped > 0; n++) /* some may still fork */
			reaped = waitpid(-1, NULL, WNOHANG);
		if (reaped < 0)
			break;
		nanosleep(&pause, NULL);
	}
}

static int run(struct native *n, char **argv)
{
	CLEANUP(freep) char *id = id_of(n), *oom = xasprintf("%s.oom", n->dir);
	pid_t pid;
	int code;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	limits_forget(id);
	limits_make(id);
	pid = start(n, argv);
	code = pid < 0 ? FAILED : attend(n, pid);
	end_others();
	if (limits_end())
		close(open(oom, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)); /* launch.c looks for it */
	return code;
}

static int live(struct native *n, char **command)
{
	bool wants_copy = false;
	int r, code;

	umask(0);
	n->is_asked = fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC) == 0;
	if (!n->is_asked) /* no file of ours gets its number */
		dup2(2, CONTROL_FD);
	n->lower_fd = open_dir(n->lower);
	n->upper_fd = open_dir(n->upper);
	if (n->lower_fd < 0 || n->upper_fd < 0)
		return fail("the container's layers cannot be opened", -errno);
	if (unshare(CLONE_NEWNS) == 0)
		mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
	else
		wants_copy = true; /* nothing can be mounted here */
	r = be_alone(n);
	if (r == 0)
		r = recover(n);
	if (r < 0)
		return fail("what an earlier run left cannot be taken", r);
	if (!command) {
		CLEANUP(freep) char *id = id_of(n);

		limits_forget(id);
		return 0;
	}
	r = set_up(n, wants_copy);
	if (r < 0)
		return fail("the root cannot be made", r);
	code = run(n, command);
	r = take_back(n);
	if (r < 0)
		return fail("the changes of the container cannot be taken", r);
	forget(n);
	return code;
}

int native_main(int argc, char **argv)
{
	struct native n = { 0 };
	int code;

	if (argc < 4)
		return fail("--native LOWER UPPER DIRECTORY CACHE -- command", -EINVAL);
	n = (struct native){ .lower = argv[0], .upper = argv[1], .dir = argv[2], .cache = argv[3] };
	code = live(&n, argc > 5 ? argv + 5 : NULL);
	free(n.root);
	free(n.changes);
	return code;
}
