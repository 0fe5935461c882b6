/* A run of a launcher: its environment, its descriptors, its end. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/control.h"
#include "agent/entrypoint.h"
#include "drivers/launchers_internal.h"
#include "rootfs/rootfs.h"
#include "util/alloc.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/log.h"

enum { STOP_MS = 10000, SAID_MAX = 600, PATH_LONGEST = 4096, ENTRYPOINT_MAX = 120000 };

struct launch {
	struct list link;
	struct launchers *owner;
	uv_process_t process;
	uv_pipe_t control;      /* to the helper that made the root */
	uv_timer_t timer;
	unsigned handles;
	bool has_exited, is_dropped, has_root, is_recovering, is_alone;
	int64_t status;
	int signo;
	char *dir, *log;        /* of its root; of its stderr */
	char *lower, *upper, *cache;
	void (*exited)(void *arg, const struct launch_end *end);
	void *arg;
	struct list asked;      /* what the helper is asked, one after the other; the first is under way */
	struct control_answer answer;
	size_t answer_len;
	struct limits limits;   /* of its start */
};

struct asked {
	struct list link;
	struct control_request request;
	launch_answered done;
	void *arg;
};

size_t launcher_prefix(char **argv, bool is_alone)
{
	static const char *const words[] = { "unshare", "-Um", "--map-auto", "--map-root-user" };

	if (is_alone || geteuid() == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		argv[i] = (char *)words[i];
	return ARRAY_SIZE(words);
}

/* ---- the environment ---- */

struct env {
	char **v;
	size_t n;
};

static void put(struct env *e, char *take_text)
{
	e->v = xrealloc(e->v, (e->n + 2) * sizeof(*e->v));
	e->v[e->n++] = take_text;
	e->v[e->n] = NULL;
}

/* Of the daemon's own only what finds programs, and Slurm's. */
static void put_ours(struct env *e)
{
	extern char **environ;
	static const char *const kept[] = {
		"PATH=",           "HOME=", "LANG=", "USER=", "SLURM", "SOCKERLESS_SLURM", "SOCKERLESS_CGROUP=",
		"XDG_RUNTIME_DIR="
	};

	for (char **v = environ; *v; v++)
		for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
			if (strncmp(*v, kept[i], strlen(kept[i])) == 0)
				put(e, xstrdup(*v));
}

static char *path_of(int fd, const char *name)
{
	char link[64], path[PATH_LONGEST];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = fd >= 0 ? readlink(link, path, sizeof(path) - 1) : -1;
	if (n <= 0)
		return NULL;
	path[n] = '\0';
	return name ? xasprintf("%s/%s", path, name) : xstrdup(path);
}

/* The first is the root; names are resolved by the host's own servers. */
static void put_mounts(struct env *e, const struct run_plan *plan)
{
	size_t n = 0;

	for (size_t i = 1; i < plan->nmounts; i++) {
		const struct run_mount *m = &plan->mounts[i];
		char *source;

		if (m->kind == ROOTFS_MOUNT_VIRTUAL || strcmp(m->target, "/etc/resolv.conf") == 0)
			continue;
		source = path_of(m->fd >= 0 ? m->fd : m->upper_fd, m->kind == ROOTFS_MOUNT_FILE ? m->fd_name : NULL);
		if (!source)
			continue;
		put(e, xasprintf("SOCKERLESS_MOUNT_%zu_SOURCE=%s", n, source));
		put(e, xasprintf("SOCKERLESS_MOUNT_%zu_TARGET=%s", n, m->target));
		put(e, xasprintf("SOCKERLESS_MOUNT_%zu_READONLY=%d", n, m->is_readonly));
		free(source);
		n++;
	}
	put(e, xasprintf("SOCKERLESS_MOUNTS=%zu", n));
}

static void put_cpus(struct env *e, const struct limits *l)
{
	struct buf list;

	buf_init(&list, 1 << 14);
	for (size_t i = 0; i < LIMITS_CPUS_MAX; i++)
		if (l->cpus[i / 64] >> (i % 64) & 1)
			buf_printf(&list, "%s%zu", list.len ? "," : "", i);
	put(e, xasprintf("SOCKERLESS_CPU_QUOTA=%llu", (unsigned long long)l->cpu_quota_ns / 1000));
	put(e, xasprintf("SOCKERLESS_CPU_PERIOD=%llu", (unsigned long long)l->cpu_period_ns / 1000));
	put(e, xasprintf("SOCKERLESS_CPUS=%.*s", (int)list.len, list.len ? (const char *)list.data : ""));
	buf_done(&list);
}

static char **make_env(const struct launchers *ls, const struct launcher *l, const struct container *c,
		       const struct run_plan *plan, const char *token)
{
	const char *mode = json_string_value(json_object_get(c->host_config, "NetworkMode"));
	CLEANUP(freep) char *callback = NULL, *line = NULL;
	struct env e = { 0 };
	char **words;

	put_ours(&e);
	put(&e, xasprintf("SOCKERLESS_ID=%s", c->id));
	put(&e, xasprintf("SOCKERLESS_NAME=%s", c->name));
	put(&e, xasprintf("SOCKERLESS_IMAGE=%s", c->image_ref));
	put(&e, xasprintf("SOCKERLESS_HOSTNAME=%s", plan->hostname ? plan->hostname : ""));
	put(&e, xasprintf("SOCKERLESS_AGENT=%s", ls->agent_path));
	put(&e, xasprintf("SOCKERLESS_AGENT_TOKEN=%s", token));
	if (l->is_remote && ls->authorities)
		put(&e, xasprintf("SOCKERLESS_AGENT_CA_FILE=%s", ls->authorities));
	put(&e, xasprintf("SOCKERLESS_STATE=%s/containers/%s/launcher", ls->data_root, c->id));
	put(&e, xasprintf("SOCKERLESS_NETWORK=%s", mode && strcmp(mode, "none") == 0 ? "none" : "host"));
	put(&e, xasprintf("SOCKERLESS_READONLY=%d", plan->is_readonly_root));
	put(&e, xasprintf("SOCKERLESS_MEMORY=%llu", (unsigned long long)plan->limits.memory_bytes));
	put(&e, xasprintf("SOCKERLESS_PIDS=%u", (unsigned)plan->limits.pids_max));
	put_cpus(&e, &plan->limits);
	callback = xasprintf("%s/internal/v1/agent/connect?id=%s", l->is_remote ? ls->callback : "fd://3", c->id);
	put(&e, xasprintf("SOCKERLESS_CALLBACK=%s", callback));
	words = entrypoint_reverse(ls->agent_path, callback, (const char *const *)plan->spec.argv);
	line = entrypoint_quote((const char *const *)words);
	entrypoint_free(words);
	if (strlen(line) < ENTRYPOINT_MAX) /* one variable may not be longer */
		put(&e, xasprintf("SOCKERLESS_ENTRYPOINT=%s", line));
	put_mounts(&e, plan);
	return e.v;
}

static void free_words(char **v)
{
	for (size_t i = 0; v && v[i]; i++)
		free(v[i]);
	free(v);
}

/* ---- its end ---- */

static void launch_free(struct launch *l)
{
	struct launchers *ls = l->owner;

	list_remove(&l->link);
	free(l->dir);
	free(l->log);
	free(l->lower);
	free(l->upper);
	free(l->cache);
	free(l);
	if (ls->is_freed)
		launchers_free_memory(ls);
}

/* The end of what it wrote: small, and of this host's disk. */
static void read_said(const struct launch *l, char out[SAID_MAX])
{
	CLEANUP(closep) int fd = open(l->log, O_RDONLY | O_CLOEXEC);
	off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
	ssize_t n = size > 0 ? pread(fd, out, SAID_MAX - 1, size > SAID_MAX - 1 ? size - (SAID_MAX - 1) : 0) : 0;

	out[n > 0 ? n : 0] = '\0';
	while (n > 0 && (out[n - 1] == '\n' || out[n - 1] == '\r'))
		out[--n] = '\0';
}

static void answer_first(struct launch *l, int r, const char *why)
{
	struct asked *first = container_of(l->asked.next, struct asked, link), copy = *first;

	list_remove(&first->link);
	free(first);
	copy.done(copy.arg, r, why);
}

/* At its end the changes have been taken; it has no limits any more. */
static void answer_all(struct launch *l)
{
	while (!list_is_empty(&l->asked)) {
		struct asked *first = container_of(l->asked.next, struct asked, link);

		bool is_well = first->request.question == CONTROL_CHANGES && l->status != LAUNCH_FAILED;

		answer_first(l, is_well ? 0 : -ESRCH, "the container has ended");
	}
}

static bool recover(struct launch *l);

static void on_closed(uv_handle_t *h)
{
	struct launch *l = h->data;
	char said[SAID_MAX];

	if (--l->handles > 0)
		return;
	/* Its helper was killed before the container's changes were taken: another one takes them. */
	if (!l->is_dropped && !l->is_recovering && l->has_root && access(l->dir, F_OK) == 0 && recover(l))
		return;
	answer_all(l);
	if (!l->is_dropped) {
		CLEANUP(freep) char *oom = xasprintf("%s.oom", l->dir); /* the helper's word */
		struct launch_end end = { .status = (int)l->status, .signo = l->signo, .said = said };

		read_said(l, said);
		end.is_oom = unlink(oom) == 0;
		l->exited(l->arg, &end);
	}
	launch_free(l);
}

static void on_ended(uv_process_t *p, int64_t status, int signo)
{
	struct launch *l = p->data;

	if (!l->is_recovering) {
		l->status = status;
		l->signo = signo;
	}
	l->has_exited = true;
	uv_close((uv_handle_t *)&l->process, on_closed);
	uv_close((uv_handle_t *)&l->timer, on_closed);
	uv_close((uv_handle_t *)&l->control, on_closed);
}

/* ---- its beginning ---- */

static size_t native_words(struct launch *l, char **argv)
{
	size_t n = launcher_prefix(argv, l->is_alone);

	argv[n++] = l->owner->agent_path;
	argv[n++] = (char *)"--native";
	argv[n++] = l->lower;
	argv[n++] = l->upper;
	argv[n++] = l->dir;
	argv[n++] = l->cache;
	return n;
}

static int spawn(struct launch *l, char **argv, char **env, int callback_fd)
{
	int log = open(l->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), r;
	uv_stdio_container_t stdio[5] = {
		{ .flags = UV_IGNORE },
		{ .flags = UV_INHERIT_FD, .data.fd = log },
		{ .flags = UV_INHERIT_FD, .data.fd = log },
		{ .flags = callback_fd >= 0 ? UV_INHERIT_FD : UV_IGNORE, .data.fd = callback_fd },
		{ .flags = UV_CREATE_PIPE | UV_READABLE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&l->control },
	};
	uv_process_options_t options = {
		.exit_cb = on_ended, .file = argv[0], .args = argv, .env = env, .stdio = stdio, .stdio_count = 5, .flags = UV_PROCESS_DETACHED
	};

	uv_pipe_init(l->owner->loop, &l->control, 0);
	uv_timer_init(l->owner->loop, &l->timer);
	l->process.data = l->control.data = l->timer.data = l;
	l->handles = 3;
	r = log < 0 ? -errno : uv_spawn(l->owner->loop, &l->process, &options);
	if (log >= 0)
		close(log);
	return r;
}

static bool recover(struct launch *l)
{
	char *argv[20];
	size_t n = native_words(l, argv);

	argv[n] = NULL;
	l->is_recovering = true;
	l->has_exited = false;
	if (spawn(l, argv, NULL, -1) == 0)
		return true;
	on_ended(&l->process, 127, 0);
	return true;
}

/* A name for the image's directory in the cache: its path, flat. */
static char *cache_of(const struct launchers *ls, const char *lower)
{
	size_t skip = strncmp(lower, ls->data_root, strlen(ls->data_root)) == 0 ? strlen(ls->data_root) : 0;
	CLEANUP(freep) char *name = xstrdup(lower + skip);

	for (char *p = name; *p; p++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-_", *p))
			*p = '_';
	return xasprintf("%s/native/%s", ls->data_root, name);
}

static struct launch *launch_new(struct launchers *ls, const struct launcher *launcher, const struct container *c,
				 const struct run_plan *plan)
{
	struct launch *l = xnew(struct launch);
	CLEANUP(freep) char *cache_dir = xasprintf("%s/native", ls->data_root);

	l->owner = ls;
	l->has_root = launcher->root != LAUNCHER_NONE;
	l->is_alone = launcher->is_alone;
	l->dir = xasprintf("%s/containers/%s/native", ls->data_root, c->id);
	l->log = xasprintf("%s/containers/%s/launcher.log", ls->data_root, c->id);
	l->lower = path_of(plan->mounts[0].lower_fd, NULL);
	l->upper = path_of(plan->mounts[0].upper_fd, NULL);
	l->cache = cache_of(ls, l->lower ? l->lower : "");
	mkdir(cache_dir, 0700);
	unlink(l->log);
	l->limits = plan->limits;
	list_init(&l->asked);
	list_append(&ls->runs, &l->link);
	return l;
}

struct launch *launch_start(struct launchers *ls, const struct launcher *launcher, const struct container *c,
			    const struct run_plan *plan, const char *token,
			    void (*exited)(void *arg, const struct launch_end *end), void *arg, int *ret_fd, struct error *err)
{
	struct launch *l;
	int pair[2] = { -1, -1 }, r;
	char *argv[20], **env;
	size_t n;

	if (launcher->is_remote && !ls->callback) {
		error_set_class(err, ERROR_INVALID,
				"launcher %s needs --agent-listen tcp://ADDRESS:PORT, for its agents to connect to",
				launcher->name);
		return NULL;
	}
	if (!launcher->is_remote && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		error_set(err, -errno, "socketpair: %s", strerror(errno));
		return NULL;
	}
	l = launch_new(ls, launcher, c, plan);
	l->exited = exited;
	l->arg = arg;
	env = make_env(ls, launcher, c, plan, token);
	n = launcher->root != LAUNCHER_NONE ? native_words(l, argv) :
					      launcher_prefix(argv, launcher->is_remote || launcher->is_alone);
	if (launcher->root != LAUNCHER_NONE)
		argv[n++] = (char *)"--";
	argv[n++] = launcher->path;
	argv[n] = NULL;
	r = spawn(l, argv, env, pair[1]);
	free_words(env);
	if (pair[1] >= 0)
		close(pair[1]);
	if (r < 0) {
		error_set(err, r, "launcher %s cannot be started: %s", launcher->name, uv_strerror(r));
		if (pair[0] >= 0)
			close(pair[0]);
		l->is_dropped = true;
		on_ended(&l->process, 127, 0);
		return NULL;
	}
	*ret_fd = pair[0];
	return l;
}

int launch_pid(const struct launch *l)
{
	return l->process.pid;
}

bool launch_has_root(const struct launch *l)
{
	return l->has_root;
}

static void on_stubborn(uv_timer_t *t)
{
	struct launch *l = t->data;

	if (!l->has_exited)
		kill(-l->process.pid, SIGKILL);
}

void launch_stop(struct launch *l)
{
	if (l->has_exited)
		return;
	uv_process_kill(&l->process, SIGTERM);
	uv_timer_start(&l->timer, on_stubborn, STOP_MS, 0);
}

/* ---- what the helper of one that runs is asked ---- */

static void on_alloc(uv_handle_t *h, size_t size, uv_buf_t *buf)
{
	struct launch *l = h->data;

	(void)size;
	*buf = uv_buf_init((char *)&l->answer + l->answer_len, (unsigned)(sizeof(l->answer) - l->answer_len));
}

static void ask_next(struct launch *l);

static void on_answer(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct launch *l = s->data;

	(void)buf;
	if (n < 0) { /* it ends */
		uv_read_stop(s);
		return;
	}
	l->answer_len += (size_t)n;
	if (l->answer_len < sizeof(l->answer))
		return;
	uv_read_stop(s);
	l->answer.why[sizeof(l->answer.why) - 1] = '\0';
	if (!list_is_empty(&l->asked))
		answer_first(l, (int)l->answer.error, l->answer.why);
	ask_next(l);
}

static void ask_next(struct launch *l)
{
	struct asked *first = container_of(l->asked.next, struct asked, link);
	uv_buf_t b;

	if (list_is_empty(&l->asked) || l->has_exited)
		return;
	b = uv_buf_init((char *)&first->request, sizeof(first->request));
	l->answer_len = 0;
	uv_read_start((uv_stream_t *)&l->control, on_alloc, on_answer);
	if (uv_try_write((uv_stream_t *)&l->control, &b, 1) != sizeof(first->request))
		log_debug("a launcher's helper takes no questions");
}

static void ask(struct launch *l, const struct control_request *request, launch_answered done, void *arg)
{
	struct asked *a = xnew(struct asked);
	bool is_first = list_is_empty(&l->asked);

	a->request = *request;
	a->done = done;
	a->arg = arg;
	list_append(&l->asked, &a->link);
	if (is_first)
		ask_next(l);
}

void launch_take_changes(struct launch *l, launch_answered done, void *arg)
{
	struct control_request r = { .question = CONTROL_CHANGES };

	ask(l, &r, done, arg);
}

int launch_limit(struct launch *l, const struct limits *limits, launch_answered done, void *arg, struct error *err)
{
	struct control_request r = { .question = CONTROL_LIMITS,
				     .limits = { .memory_bytes = limits->memory_bytes,
						 .pids_max = limits->pids_max,
						 .cpu_quota_us = limits->cpu_quota_ns / 1000,
						 .cpu_period_us = limits->cpu_period_ns / 1000 } };

	if (memcmp(limits->cpus, l->limits.cpus, sizeof(limits->cpus)) != 0)
		return error_set_class(err, ERROR_UNIMPLEMENTED,
				       "--cpuset-cpus of a native container is set at its start: what runs keeps its processors");
	if (limits->cpu_shares != l->limits.cpu_shares)
		return error_set_class(err, ERROR_UNIMPLEMENTED, "--cpu-shares of a native container are not kept to");
	ask(l, &r, done, arg);
	return 0;
}

void launch_drop(struct launch *l)
{
	if (!l)
		return;
	l->is_dropped = true;
	if (!l->has_exited)
		launch_stop(l);
}

/* ---- images that are gone ---- */

struct sweep {
	struct list link;
	uv_process_t process;
};

static void on_sweep_closed(uv_handle_t *h)
{
	free(container_of((uv_process_t *)h, struct sweep, process));
}

static void on_swept(uv_process_t *p, int64_t status, int signo)
{
	(void)status, (void)signo;
	list_remove(&container_of(p, struct sweep, process)->link);
	uv_close((uv_handle_t *)p, on_sweep_closed);
}

/* Files of it may belong to the user namespace's users: so it is removed there. What says whose it was goes last: a sweep
 * that is cut off begins again. */
static void sweep_one(struct launchers *ls, const char *cache)
{
	CLEANUP(freep) char *lock = xasprintf("%s.lock", cache), *of = xasprintf("%s.of", cache);
	struct sweep *s = xnew(struct sweep);
	char *argv[12];
	size_t n = launcher_prefix(argv, false);
	uv_process_options_t options = { .exit_cb = on_swept, .args = argv };

	argv[n++] = (char *)"rm";
	argv[n++] = (char *)"-rf";
	argv[n++] = (char *)"--";
	argv[n++] = (char *)cache;
	argv[n++] = lock;
	argv[n++] = of;
	argv[n] = NULL;
	options.file = argv[0];
	list_append(&ls->sweeps, &s->link);
	if (uv_spawn(ls->loop, &s->process, &options) == 0)
		return;
	log_warn("%s cannot be removed", cache);
	on_swept(&s->process, 0, 0);
}

static bool is_orphan(const char *path)
{
	CLEANUP(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char lower[PATH_LONGEST];
	ssize_t n = fd < 0 ? -1 : read(fd, lower, sizeof(lower) - 1);

	if (n <= 0)
		return false;
	lower[n] = '\0';
	return access(lower, F_OK) < 0 && errno == ENOENT;
}

void launches_sweep(struct launchers *ls)
{
	CLEANUP(freep) char *dir = xasprintf("%s/native", ls->data_root);
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		CLEANUP(freep) char *path = xasprintf("%s/%s", dir, e->d_name);
		size_t n = strlen(path);

		if (n < 3 || strcmp(path + n - 3, ".of") != 0 || !is_orphan(path))
			continue;
		path[n - 3] = '\0';
		sweep_one(ls, path);
	}
	if (d)
		closedir(d);
}

void launches_drop(struct launchers *ls)
{
	/* Their images may be large: the daemon's end does not wait for them. */
	list_for_each_safe(it, &ls->sweeps) {
		list_remove(it);
		uv_process_kill(&container_of(it, struct sweep, link)->process, SIGKILL);
	}
	list_for_each(it, &ls->runs)
		launch_drop(container_of(it, struct launch, link));
}
