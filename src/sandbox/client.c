/* The daemon's side of the sandbox. One SEQPACKET socket to the zygote, one to
 * each supervisor; requests wait in a list until their answer comes. */
#include "sandbox/client.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/list.h"

struct sandbox {
	uv_loop_t *loop;
	uv_process_t process;
	uv_timer_t kill_timer;
	int sock;
	bool has_ended, is_stopping;
	unsigned open_handles;
	struct sandbox_options options;
	void (*done)(void *ctx);
	void *done_ctx;
};

enum request_kind { REQUEST_SETUP, REQUEST_SPAWN, REQUEST_DONE, REQUEST_TOP, REQUEST_STATS };

/* What is waiting for an answer; a spawn stays until its process has ended. */
struct request {
	struct list link;
	uint64_t tag;
	enum request_kind kind;
	bool has_started;
	void *ctx;
	union {
		void (*ready)(void *ctx, const struct sandbox_ready *ready);
		const struct sandbox_process_events *events;
		sandbox_done_fn done;
		void (*top)(void *ctx, int error, const struct wire_process *processes, size_t n);
		void (*stats)(void *ctx, int error, const struct sandbox_figures *figures);
	} cb;
};

struct queued_message {
	struct list link;
	uint32_t type;
	uint64_t tag;
	struct buf fields;
	int fds[WIRE_MAX_FDS];
	size_t nfds;
};

struct sandbox_container {
	struct sandbox *sandbox;
	uv_poll_t poll;
	int sock, table_fd;
	struct proctable *table;
	struct list requests, queue;
	uint64_t next_tag;
	bool is_freed, is_in_callback, has_gone;
	struct sandbox_container_events events;
	void *ctx;
};

/* ---- the zygote ---- */

static void on_handle_closed(uv_handle_t *h)
{
	struct sandbox *sb = h->data;

	if (--sb->open_handles > 0)
		return;
	if (sb->done)
		sb->done(sb->done_ctx);
	free((char *)sb->options.program);
	free(sb);
}

static void close_handles(struct sandbox *sb)
{
	uv_close((uv_handle_t *)&sb->process, on_handle_closed);
	uv_close((uv_handle_t *)&sb->kill_timer, on_handle_closed);
}

static void on_zygote_exit(uv_process_t *p, int64_t status, int signo)
{
	struct sandbox *sb = p->data;

	(void)status, (void)signo;
	sb->has_ended = true;
	if (sb->sock >= 0)
		close(sb->sock);
	sb->sock = -1;
	if (sb->is_stopping)
		close_handles(sb);
	else if (sb->options.on_end)
		sb->options.on_end(sb->options.ctx);
}

int sandbox_start(uv_loop_t *loop, const struct sandbox_options *options, struct sandbox **ret, struct error *err)
{
	struct sandbox *sb = xnew(struct sandbox);
	uv_stdio_container_t stdio[4] = { { .flags = UV_IGNORE },
					  { .flags = UV_IGNORE },
					  { .flags = UV_INHERIT_FD, .data.fd = 2 },
					  { .flags = UV_INHERIT_FD } };
	char *args[] = { (char *)options->program, NULL }, *env[] = { NULL, NULL };
	const char *cgroup = getenv("SOCKERLESS_CGROUP");
	uv_process_options_t po = {
		.exit_cb = on_zygote_exit, .file = options->program, .args = args, .env = env, .stdio = stdio, .stdio_count = 4
	};
	int pair[2], r;

	if (cgroup && strcmp(cgroup, "none") == 0) /* all that it gets of our environment */
		env[0] = "SOCKERLESS_CGROUP=none";
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		free(sb);
		return error_set(err, -errno, "sandbox: socketpair: %s", strerror(errno));
	}
	stdio[3].data.fd = pair[1];
	sb->loop = loop;
	sb->options = *options;
	sb->options.program = xstrdup(options->program);
	sb->sock = pair[0];
	sb->open_handles = 2;
	uv_timer_init(loop, &sb->kill_timer);
	sb->kill_timer.data = sb->process.data = sb;
	r = uv_spawn(loop, &sb->process, &po);
	close(pair[1]);
	if (r < 0) {
		close(pair[0]);
		close_handles(sb);
		return error_set(err, r, "sandbox: %s: %s", options->program, uv_strerror(r));
	}
	*ret = sb;
	return 0;
}

static void on_kill_timer(uv_timer_t *t)
{
	struct sandbox *sb = t->data;

	if (!sb->has_ended)
		uv_process_kill(&sb->process, SIGKILL);
}

void sandbox_stop(struct sandbox *sb, void (*done)(void *ctx), void *ctx)
{
	if (!sb)
		return;
	sb->is_stopping = true;
	sb->done = done;
	sb->done_ctx = ctx;
	if (sb->sock >= 0)
		close(sb->sock);
	sb->sock = -1;
	if (sb->has_ended)
		close_handles(sb);
	else
		uv_timer_start(&sb->kill_timer, on_kill_timer, 2000, 0);
}

/* ---- answers ---- */

static struct request *request_by(struct sandbox_container *c, uint64_t tag)
{
	list_for_each(it, &c->requests) {
		struct request *q = container_of(it, struct request, link);

		if (q->tag == tag)
			return q;
	}
	return NULL;
}

static void request_free(struct request *q)
{
	list_remove(&q->link);
	free(q);
}

/* An errno as the wire carries it; what is none, or was cut off, is the protocol's error. */
static int get_error(struct wire_reader *r)
{
	uint32_t v = wire_get_u32(r);

	return r->failed || v > 4095 ? -EPROTO : -(int)v;
}

static void answer_ready(struct request *q, struct wire_reader *r)
{
	struct sandbox_ready ready;

	ready.error = get_error(r);
	ready.message = wire_get_str(r);
	ready.supervisor_pid = (int32_t)wire_get_u32(r);
	if (r->failed)
		ready.error = -EPROTO;
	if (!ready.message)
		ready.message = "";
	q->cb.ready(q->ctx, &ready);
	request_free(q);
}

static void answer_started(struct request *q, struct wire_reader *r)
{
	struct sandbox_started st;

	if (q->has_started) /* told once */
		return;
	st.error = get_error(r);
	st.message = wire_get_str(r);
	st.vpid = wire_get_u32(r);
	st.host_pid = (int32_t)wire_get_u32(r);
	if (r->failed)
		st.error = -EPROTO;
	if (!st.message)
		st.message = "";
	q->has_started = st.error == 0;
	q->cb.events->on_started(q->ctx, &st);
	if (st.error)
		request_free(q);
}

static void answer_exited(struct request *q, struct wire_reader *r)
{
	int status = (int)wire_get_u32(r);
	uint32_t flags = wire_get_u32(r);

	if (!q->has_started)
		return;
	if (r->failed)
		status = SIGKILL, flags = 0;
	list_remove(&q->link);
	q->cb.events->on_exited(q->ctx, status, flags);
	free(q);
}

static void answer_top(struct request *q, struct wire_reader *r)
{
	uint32_t n = wire_get_u32(r);
	struct wire_process *rows;

	if (r->failed || (uint64_t)n * sizeof(*rows) > r->len - r->pos) {
		q->cb.top(q->ctx, -EPROTO, NULL, 0);
	} else {
		rows = xcalloc(n ? n : 1, sizeof(*rows));
		if (n)
			memcpy(rows, r->data + r->pos, n * sizeof(*rows));
		for (uint32_t i = 0; i < n; i++) {
			rows[i].comm[sizeof(rows[i].comm) - 1] = '\0';
			rows[i].cmdline[sizeof(rows[i].cmdline) - 1] = '\0';
		}
		q->cb.top(q->ctx, 0, rows, n);
		free(rows);
	}
	request_free(q);
}

static void answer_figures(struct request *q, struct wire_reader *r)
{
	struct sandbox_figures f;

	f.cpu_user_ns = wire_get_u64(r);
	f.cpu_system_ns = wire_get_u64(r);
	f.memory_bytes = wire_get_u64(r);
	f.peak_bytes = wire_get_u64(r);
	f.pids = wire_get_u32(r);
	f.memory_limit_bytes = wire_get_u64(r);
	f.limits.periods = wire_get_u64(r);
	f.limits.throttled_periods = wire_get_u64(r);
	f.limits.throttled_ns = wire_get_u64(r);
	f.limits.oom_kills = wire_get_u32(r);
	q->cb.stats(q->ctx, r->failed ? -EPROTO : 0, &f);
	request_free(q);
}

/* Of the main process, which was spawned first. */
static void tell_oom(struct sandbox_container *c)
{
	list_for_each(it, &c->requests) {
		struct request *q = container_of(it, struct request, link);

		if (q->kind != REQUEST_SPAWN)
			continue;
		if (q->has_started && q->cb.events->on_oom)
			q->cb.events->on_oom(q->ctx);
		return;
	}
}

static void answer(struct sandbox_container *c, const struct wire_message *m)
{
	struct wire_reader r = { .data = m->data, .len = m->len };
	struct request *q = request_by(c, m->tag);

	if (m->type == WIRE_OOM)
		tell_oom(c);
	if (!q)
		return;
	if (m->type == WIRE_READY && q->kind == REQUEST_SETUP) {
		answer_ready(q, &r);
	} else if (m->type == WIRE_STARTED && q->kind == REQUEST_SPAWN) {
		answer_started(q, &r);
	} else if (m->type == WIRE_EXITED && q->kind == REQUEST_SPAWN) {
		answer_exited(q, &r);
	} else if (m->type == WIRE_PROCESSES && q->kind == REQUEST_TOP) {
		answer_top(q, &r);
	} else if (m->type == WIRE_FIGURES && q->kind == REQUEST_STATS) {
		answer_figures(q, &r);
	} else if (m->type == WIRE_DONE && q->kind == REQUEST_DONE) {
		if (q->cb.done)
			q->cb.done(q->ctx, get_error(&r));
		request_free(q);
	}
}

/* The supervisor has gone: everything open gets its answer. */
static void fail_request(struct request *q)
{
	struct sandbox_ready ready = { .error = -ECONNRESET, .message = "the sandbox has ended" };
	struct sandbox_started started = { .error = -ECONNRESET, .message = "the sandbox has ended" };

	switch (q->kind) {
	case REQUEST_SETUP: q->cb.ready(q->ctx, &ready); break;
	case REQUEST_SPAWN:
		if (q->has_started)
			q->cb.events->on_exited(q->ctx, SIGKILL, WIRE_EXIT_WITH_MAIN);
		else
			q->cb.events->on_started(q->ctx, &started);
		break;
	case REQUEST_DONE:
		if (q->cb.done)
			q->cb.done(q->ctx, -ECONNRESET);
		break;
	case REQUEST_TOP: q->cb.top(q->ctx, -ECONNRESET, NULL, 0); break;
	case REQUEST_STATS: q->cb.stats(q->ctx, -ECONNRESET, NULL); break;
	}
	free(q);
}

/* ---- the socket ---- */

static void queued_free(struct queued_message *q)
{
	list_remove(&q->link);
	for (size_t i = 0; i < q->nfds; i++)
		close(q->fds[i]);
	buf_done(&q->fields);
	free(q);
}

static void on_container_closed(uv_handle_t *h)
{
	free(h->data);
}

static void really_free(struct sandbox_container *c)
{
	list_for_each_safe(it, &c->requests) {
		list_remove(it);
		free(container_of(it, struct request, link));
	}
	list_for_each_safe(it, &c->queue)
		queued_free(container_of(it, struct queued_message, link));
	uv_close((uv_handle_t *)&c->poll, on_container_closed); /* it names the descriptor to epoll: before another thread can have it */
	close(c->sock);
	close(c->table_fd);
	munmap(c->table, sizeof(*c->table));
}

void sandbox_container_free(struct sandbox_container *c)
{
	if (!c || c->is_freed)
		return;
	c->is_freed = true;
	if (!c->is_in_callback)
		really_free(c);
}

static void gone(struct sandbox_container *c)
{
	c->has_gone = true;
	uv_poll_stop(&c->poll);
	/* Execs before the main process, which was asked for first: newest first. */
	while (!c->is_freed && !list_is_empty(&c->requests)) {
		struct request *q = container_of(c->requests.prev, struct request, link);

		list_remove(&q->link);
		fail_request(q);
	}
	if (!c->is_freed && c->events.on_gone)
		c->events.on_gone(c->ctx);
}

static void on_poll(uv_poll_t *p, int status, int events);

static void flush_queue(struct sandbox_container *c)
{
	while (!list_is_empty(&c->queue)) {
		struct queued_message *q = container_of(c->queue.next, struct queued_message, link);

		if (wire_send(c->sock, q->type, q->tag, &q->fields, q->fds, q->nfds) == -EAGAIN)
			return;
		queued_free(q);
	}
	if (!c->has_gone)
		uv_poll_start(&c->poll, UV_READABLE, on_poll);
}

static void on_poll(uv_poll_t *p, int status, int events)
{
	struct sandbox_container *c = p->data;
	unsigned char room[WIRE_ROOM_BYTES];
	struct wire_message m;

	(void)status;
	c->is_in_callback = true;
	if (events & UV_WRITABLE)
		flush_queue(c);
	while (!c->is_freed) {
		int r = wire_recv(c->sock, room, &m);

		if (r == -EAGAIN || r == -EINTR)
			break;
		if (r <= 0) {
			gone(c);
			break;
		}
		answer(c, &m);
		wire_message_done(&m);
	}
	c->is_in_callback = false;
	if (c->is_freed)
		really_free(c);
}

/* Sends or queues; takes the fields' memory. */
static void post(struct sandbox_container *c, uint32_t type, uint64_t tag, struct buf *fields, const int *fds, size_t nfds)
{
	struct queued_message *q;

	if (list_is_empty(&c->queue) && wire_send(c->sock, type, tag, fields, fds, nfds) != -EAGAIN) {
		buf_done(fields); /* sent; or the other side has gone, which the poll will tell */
		return;
	}
	q = xnew(struct queued_message);
	q->type = type;
	q->tag = tag;
	q->fields = *fields;
	for (; q->nfds < nfds; q->nfds++)
		q->fds[q->nfds] = fcntl(fds[q->nfds], F_DUPFD_CLOEXEC, 3);
	list_append(&c->queue, &q->link);
	uv_poll_start(&c->poll, UV_READABLE | UV_WRITABLE, on_poll);
}

static struct request *request_new(struct sandbox_container *c, enum request_kind kind, void *ctx)
{
	struct request *q = xnew(struct request);

	q->tag = ++c->next_tag;
	q->kind = kind;
	q->ctx = ctx;
	list_append(&c->requests, &q->link);
	return q;
}

/* ---- containers ---- */

static int make_table(struct sandbox_container *c)
{
	c->table_fd = memfd_create("proctable", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (c->table_fd < 0 || ftruncate(c->table_fd, sizeof(*c->table)) < 0)
		return -errno;
	/* Whoever could cut it short would kill all that have it mapped, us included. */
	if (fcntl(c->table_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	c->table = mmap(NULL, sizeof(*c->table), PROT_READ | PROT_WRITE, MAP_SHARED, c->table_fd, 0);
	if (c->table == MAP_FAILED)
		return -errno;
	c->table->magic = PROCTABLE_MAGIC;
	c->table->size = sizeof(*c->table);
	c->table->next_vpid = 1;
	return 0;
}

int sandbox_container_new(struct sandbox *sb, const char *id, const struct sandbox_container_events *events, void *ctx,
			  struct sandbox_container **ret, struct error *err)
{
	struct sandbox_container *c;
	struct buf b;
	int pair[2], r;

	if (sb->sock < 0)
		return error_set(err, -ECONNRESET, "the sandbox's zygote has ended");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, -errno, "sandbox: socketpair: %s", strerror(errno));
	c = xnew(struct sandbox_container);
	c->sandbox = sb;
	list_init(&c->requests);
	list_init(&c->queue);
	if (events)
		c->events = *events;
	c->ctx = ctx;
	c->sock = pair[0];
	buf_init(&b, WIRE_MAX_BYTES);
	wire_put_str(&b, id);
	r = make_table(c);
	if (r == 0)
		r = wire_send(sb->sock, WIRE_CREATE, 0, &b, &pair[1], 1);
	buf_done(&b);
	close(pair[1]);
	if (r == 0)
		r = fcntl(c->sock, F_SETFL, O_NONBLOCK) < 0 ? -errno : uv_poll_init(sb->loop, &c->poll, c->sock);
	if (r < 0) {
		close(c->sock);
		free(c);
		return error_set(err, r, "sandbox: cannot start a container: %s", strerror(-r));
	}
	c->poll.data = c;
	uv_poll_start(&c->poll, UV_READABLE, on_poll);
	*ret = c;
	return 0;
}

static void set_name(char *out, size_t size, const char *name)
{
	memset(out, 0, size);
	if (name)
		memcpy(out, name, strnlen(name, size - 1));
}

/* Where the container's own processes see them. */
static void publish_limits(struct sandbox_container *c, const struct limits *l)
{
	c->table->pids_max = l->pids_max;
	c->table->memory_max = l->memory_bytes;
}

int sandbox_container_setup(struct sandbox_container *c, const struct wire_setup *setup, const int *fds, size_t nfds,
			    void (*done)(void *ctx, const struct sandbox_ready *ready), void *ctx, struct error *err)
{
	struct request *q;
	int all[WIRE_MAX_FDS];
	struct buf b;

	if (nfds + 1 > WIRE_MAX_FDS)
		return error_set_class(err, ERROR_INVALID, "too many mounts for the sandbox");
	set_name(c->table->hostname, sizeof(c->table->hostname), setup->hostname);
	set_name(c->table->domainname, sizeof(c->table->domainname), setup->domainname);
	publish_limits(c, &setup->limits);
	all[0] = c->table_fd;
	if (nfds)
		memcpy(all + 1, fds, nfds * sizeof(int));
	buf_init(&b, WIRE_MAX_BYTES);
	wire_put_setup(&b, setup);
	q = request_new(c, REQUEST_SETUP, ctx);
	q->cb.ready = done;
	post(c, WIRE_SETUP, q->tag, &b, all, nfds + 1);
	return 0;
}

int sandbox_container_spawn(struct sandbox_container *c, const struct wire_spawn *spawn, const int *fds, size_t nfds,
			    const struct sandbox_process_events *events, void *ctx, uint64_t *ret_tag, struct error *err)
{
	struct request *q;
	struct buf b;

	if (c->has_gone)
		return error_set(err, -ECONNRESET, "the container has ended");
	buf_init(&b, WIRE_MAX_BYTES);
	wire_put_spawn(&b, spawn);
	q = request_new(c, REQUEST_SPAWN, ctx);
	q->cb.events = events;
	*ret_tag = q->tag;
	post(c, WIRE_SPAWN, q->tag, &b, fds, nfds);
	return 0;
}

static int ask(struct sandbox_container *c, uint32_t type, struct request *q, struct buf *fields)
{
	post(c, type, q->tag, fields, NULL, 0);
	return 0;
}

static int ask_done(struct sandbox_container *c, uint32_t type, struct buf *fields, sandbox_done_fn done, void *ctx)
{
	struct request *q;

	if (c->has_gone) {
		buf_done(fields);
		return -ESRCH;
	}
	q = request_new(c, REQUEST_DONE, ctx);
	q->cb.done = done;
	return ask(c, type, q, fields);
}

int sandbox_container_signal(struct sandbox_container *c, uint64_t tag, int signo, uint32_t flags, sandbox_done_fn done,
			     void *ctx)
{
	struct buf b;

	buf_init(&b, WIRE_MAX_BYTES);
	wire_put_u64(&b, tag);
	wire_put_u32(&b, (uint32_t)signo);
	wire_put_u32(&b, flags);
	return ask_done(c, WIRE_SIGNAL, &b, done, ctx);
}

int sandbox_container_pause(struct sandbox_container *c, sandbox_done_fn done, void *ctx)
{
	struct buf b;

	buf_init(&b, WIRE_MAX_BYTES);
	return ask_done(c, WIRE_PAUSE, &b, done, ctx);
}

int sandbox_container_unpause(struct sandbox_container *c, sandbox_done_fn done, void *ctx)
{
	struct buf b;

	buf_init(&b, WIRE_MAX_BYTES);
	return ask_done(c, WIRE_UNPAUSE, &b, done, ctx);
}

int sandbox_container_limit(struct sandbox_container *c, const struct limits *limits, sandbox_done_fn done, void *ctx)
{
	struct buf b;

	publish_limits(c, limits);
	buf_init(&b, WIRE_MAX_BYTES);
	wire_put_limits(&b, limits);
	return ask_done(c, WIRE_LIMITS, &b, done, ctx);
}

void sandbox_container_wake(struct sandbox_container *c)
{
	struct buf b;

	if (c->has_gone)
		return;
	buf_init(&b, WIRE_MAX_BYTES);
	post(c, WIRE_WAKE, 0, &b, NULL, 0);
}

void sandbox_container_recount(struct sandbox_container *c)
{
	struct buf b;

	buf_init(&b, WIRE_MAX_BYTES);
	if (!c->has_gone)
		post(c, WIRE_RECOUNT, 0, &b, NULL, 0);
}

int sandbox_container_top(struct sandbox_container *c,
			  void (*done)(void *ctx, int error, const struct wire_process *processes, size_t n), void *ctx)
{
	struct request *q;
	struct buf b;

	if (c->has_gone)
		return -ESRCH;
	buf_init(&b, WIRE_MAX_BYTES);
	q = request_new(c, REQUEST_TOP, ctx);
	q->cb.top = done;
	return ask(c, WIRE_TOP, q, &b);
}

int sandbox_container_stats(struct sandbox_container *c,
			    void (*done)(void *ctx, int error, const struct sandbox_figures *figures), void *ctx)
{
	struct request *q;
	struct buf b;

	if (c->has_gone)
		return -ESRCH;
	buf_init(&b, WIRE_MAX_BYTES);
	q = request_new(c, REQUEST_STATS, ctx);
	q->cb.stats = done;
	return ask(c, WIRE_STATS, q, &b);
}
