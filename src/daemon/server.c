#include "daemon/server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/registry.h"
#include "api/api.h"
#include "build/build.h"
#include "daemon/listen.h"
#include "drivers/agent.h"
#include "http/server.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/list.h"
#include "util/log.h"
#include "util/tls.h"

enum { CONNECTIONS_MAX = 10000, DRAIN_MS = 1000, LOCK_TRIES = 60 };

struct posted {
	struct list link;
	void (*call)(void *arg);
	void *arg;
};

/* A driver of an embedder's that was given before there was a chain. */
struct added {
	const struct sockerless_driver_ops *ops;
	void *ctx;
};

/* What another loop needs to drive ours: our epoll descriptor, our next timer, and a look at us in each turn. */
struct attachment {
	uv_poll_t poll;
	uv_timer_t timer;
	uv_prepare_t prepare;
	unsigned handles;
	void (*stopped)(void *arg);
	void *arg;
};

struct server {
	const struct options *options;
	uv_loop_t loop;
	struct engine *engine;
	struct router *router;
	struct http_server *http;
	const struct sockerless_process_factory_ops *factory;
	void *factory_ctx;
	struct added *added;
	size_t nadded;
	const struct engine_descriptor *descriptor;
	char *urls[2 * HOSTS_MAX + 8];    /* what must be unlinked in the end */
	size_t nurls;
	int lock_fd;
	uv_async_t wake;              /* a stop is wanted, or something was posted */
	uv_mutex_t mutex;
	struct list posted;
	atomic_bool wants_stop, wants_drain;
	atomic_uint drain_ms;
	uv_timer_t lull;              /* looks whether all that is under way has come to its end */
	uint64_t lull_until_ms;
	bool is_started, is_draining, is_stopping, is_closing, is_over;
	bool is_deaf;                 /* under the mutex: takes no posts any more */
	uv_timer_t drain;             /* of a stop */
	uint64_t drain_until_ms;
	struct attachment *attachment;
};

/* ---- making ---- */

int server_new(const struct options *o, struct server **ret, struct error *err)
{
	struct server *s = xnew(struct server);
	int r = router_new(api_routes, api_route_count, &s->router, err);

	if (r == 0 && uv_loop_init(&s->loop) < 0)
		r = error_set(err, -EMFILE, "cannot make an event loop");
	if (r < 0) {
		router_free(s->router);
		free(s);
		return r;
	}
	uv_mutex_init(&s->mutex);
	list_init(&s->posted);
	s->options = o;
	s->lock_fd = -1;
	*ret = s;
	return 0;
}

struct router *server_router(struct server *s)
{
	return s->router;
}

uv_loop_t *server_loop(struct server *s)
{
	return &s->loop;
}

void server_describe(struct server *s, const struct engine_descriptor *d)
{
	s->descriptor = d;
}

struct engine *server_engine(struct server *s)
{
	return s->is_closing ? NULL : s->engine;
}

int server_set_factory(struct server *s, const struct sockerless_process_factory_ops *ops, void *ctx, struct error *err)
{
	if (s->engine)
		return engine_set_factory(s->engine, ops, ctx, err);
	if (ops && engine_check_factory(ops, err) < 0)
		return err->code;
	s->factory = ops;
	s->factory_ctx = ctx;
	return 0;
}

int server_add_driver(struct server *s, const struct sockerless_driver_ops *ops, void *ctx, struct error *err)
{
	if (s->engine)
		return engine_add_driver(s->engine, ops, ctx, err);
	if (engine_check_driver(ops, err) < 0)
		return err->code;
	s->added = xrealloc(s->added, (s->nadded + 1) * sizeof(*s->added));
	s->added[s->nadded++] = (struct added){ ops, ctx };
	return 0;
}

/* ---- start ---- */

/* One that was killed may have been about to start a program: its copy holds the lock until it has become that program. */
static bool lock_root(int fd)
{
	struct timespec pause = { .tv_nsec = 50000000 };

	for (int tries = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; tries++) {
		if (tries == LOCK_TRIES)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

static int make_data_root(struct server *s, struct error *err)
{
	const char *root = s->options->data_root;
	CLEANUP(freep) char *dir = xasprintf("%s/", root), *lock = xasprintf("%s/lock", root);

	for (char *p = strchr(dir + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(dir, 0700) < 0 && errno != EEXIST)
			return error_set(err, -errno, "%s: %s", dir, strerror(errno));
		*p = '/';
	}
	s->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock_fd < 0)
		return error_set(err, -errno, "%s: %s", lock, strerror(errno));
	if (!lock_root(s->lock_fd))
		return error_set_class(err, ERROR_CONFLICT, "%s: another daemon uses this data root", root);
	return 0;
}

static bool may_send(void *ctx, void (*go)(void *arg), void *arg)
{
	struct server *s = ctx;
	uint64_t ticket = store_ticket(s->engine->store);

	if (store_is_durable(s->engine->store, ticket))
		return true;
	store_on_durable(s->engine->store, ticket, go, arg);
	return false;
}

static bool is_safe(void *ctx, struct error *err)
{
	if (!store_has_failed(((struct server *)ctx)->engine->store, err))
		return true;
	log_error("%s", err->message);
	return false;
}

static int read_token(const char *path, char **ret, struct error *err)
{
	CLEANUP(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[512];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0)
		return error_set(err, -errno, "--agent-token-file %s: %s", path, strerror(errno));
	text[n] = '\0';
	text[strcspn(text, " \t\r\n")] = '\0';
	*ret = xstrdup(text);
	return 0;
}

/* Does this --agent-listen speak TLS? */
static bool is_tls(const struct options *o, const char *url)
{
	return o->tls_cert && !o->agent_listen_plain && strncmp(url, "tcp://", 6) == 0;
}

static int open_tls(struct server *s, struct error *err)
{
	const struct options *o = s->options;
	struct tls_context *tls = NULL;
	int r = 0;

	if (!o->tls_cert != !o->tls_key)
		return error_set_class(err, ERROR_INVALID, "--tlscert and --tlskey belong together");
	if (o->tls_ca) { /* read again when it is needed: a fault is to be told now */
		r = tls_client_new(o->tls_ca, &tls, err);
		tls_unref(tls);
	}
	if (r == 0 && o->tls_cert)
		r = tls_server_new(o->tls_cert, o->tls_key, &tls, err);
	if (r == 0 && o->tls_cert)
		agent_registry_set_tls(agent_driver_registry(s->engine->agents), tls);
	return r;
}

static int open_engine(struct server *s, struct error *err)
{
	const struct options *o = s->options;
	CLEANUP(freep) char *token = NULL, *callback = NULL;
	struct engine_options eo = { .loop = &s->loop,
				     .data_root = o->data_root,
				     .sandbox_path = o->sandbox_path,
				     .guest_path = o->guest_path,
				     .is_ephemeral = o->is_ephemeral,
				     .images_mode = o->images_mode,
				     .fetch_path = o->fetch_path,
				     .registry_mirrors = (const char *const *)o->mirrors,
				     .insecure_registries = (const char *const *)o->insecure,
				     .default_runtime = o->default_runtime,
				     .routes = (const char *const *)o->routes,
				     .address_pools = (const char *const *)o->pools,
				     .bip = o->bip,
				     .host_gateway_ip = o->host_gateway_ip,
				     .allow_host_loopback = o->allow_host_loopback,
				     .pretend = o->pretend,
				     .descriptor = s->descriptor,
				     .agents = { .wait_s = o->agent_wait_s,
						 .grace_s = o->agent_grace_s,
						 .authorities = o->tls_ca,
						 .agent_path = o->agent_path,
						 .launcher_dirs = o->launcher_dirs,
						 .native = o->native } };
	int r;

	if (o->agent_token_file && read_token(o->agent_token_file, &token, err) < 0)
		return err->code;
	eo.agents.token = token;
	for (int i = 0; i < o->nagent_listens && !callback; i++)
		if (!o->agent_callback && strncmp(o->agent_listens[i], "tcp://", 6) == 0)
			callback = xasprintf("%s%s", is_tls(o, o->agent_listens[i]) ? "wss://" : "ws://",
					     o->agent_listens[i] + 6);
	eo.agents.callback = o->agent_callback ? o->agent_callback : callback;
	r = engine_open(&eo, &s->engine, err);
	if (r == 0)
		builds_open(s->engine);
	for (size_t i = 0; r == 0 && i < s->nadded; i++)
		r = engine_add_driver(s->engine, s->added[i].ops, s->added[i].ctx, err);
	if (r == 0 && s->factory)
		r = engine_set_factory(s->engine, s->factory, s->factory_ctx, err);
	return r == 0 ? engine_check_routes(s->engine, err) : r;
}

/* Clients must not take the descriptors that containers need. */
static size_t connections_max(void)
{
	struct rlimit rl;

	return getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur / 4 * 3 < CONNECTIONS_MAX ? rl.rlim_cur / 4 * 3 :
											     CONNECTIONS_MAX;
}

/* Of theirs alone: the path by which agents connect, and not the Docker API. */
static int listen_for_agents(struct server *s, const char *url, struct error *err)
{
	bool has_tls = is_tls(s->options, url);
	int fds[LISTEN_FDS_MAX], n;

	if (!has_tls && !s->options->agent_listen_plain && strncmp(url, "tcp://", 6) == 0 && options_check_host(url, NULL) < 0)
		return error_set_class(err, ERROR_INVALID,
				       "--agent-listen %s: without TLS (--tlscert) only loopback is served, or what --agent-listen-plain allows",
				       url);
	n = listen_open(url, fds, err);
	if (n < 0)
		return n;
	s->urls[s->nurls++] = xstrdup(url);
	log_info("agents may connect to %s%s", url, has_tls ? " with TLS" : "");
	return agent_registry_listen(agent_driver_registry(s->engine->agents), fds[0], has_tls, err);
}

static int open_http(struct server *s, struct error *err)
{
	struct http_config hc = { .loop = &s->loop,
				  .router = s->router,
				  .gate = { may_send, is_safe, s },
				  .context = s->engine,
				  .claims = agent_registry_claims,
				  .claim = agent_registry_claim,
				  .claim_ctx = agent_driver_registry(s->engine->agents),
				  .limits.max_connections = connections_max(),
				  .server_header = "Docker/" SOCKERLESS_VERSION " (linux) sockerless" };
	int r = http_server_new(&hc, &s->http, err);

	if (r == 0)
		r = open_tls(s, err);
	for (int i = 0; r == 0 && i < s->options->nhosts; i++)
		r = server_listen(s, s->options->hosts[i], err);
	for (int i = 0; r == 0 && i < s->options->nagent_listens; i++)
		r = listen_for_agents(s, s->options->agent_listens[i], err);
	return r;
}

static int check_running(const struct server *s, struct error *err)
{
	return s->is_started && !s->is_stopping ? 0 : error_set(err, -ESHUTDOWN, "the server does not run");
}

int server_listen_fd(struct server *s, int take_fd, struct error *err)
{
	int r = check_running(s, err);

	if (r == 0)
		return http_server_listen(s->http, take_fd, NULL, NULL, err);
	close(take_fd);
	return r;
}

int server_listen(struct server *s, const char *url, struct error *err)
{
	int fds[LISTEN_FDS_MAX], n, r = check_running(s, err);

	if (r < 0)
		return r;
	if (s->nurls == ARRAY_SIZE(s->urls))
		return error_set_class(err, ERROR_INVALID, "%s: too many listeners", url);
	n = listen_open(url, fds, err);
	if (n < 0)
		return n;
	s->urls[s->nurls++] = xstrdup(url);
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = server_listen_fd(s, fds[i], err);
		else
			close(fds[i]);
	}
	if (r == 0)
		log_info("listening on %s", url);
	return r;
}

/* libuv writes without MSG_NOSIGNAL: one client that leaves would end the program. */
static int check_sigpipe(struct error *err)
{
	struct sigaction sa;

	if (sigaction(SIGPIPE, NULL, &sa) == 0 && !(sa.sa_flags & SA_SIGINFO) && sa.sa_handler == SIG_DFL)
		return error_set_class(err, ERROR_INVALID, "the program must ignore SIGPIPE before it starts a server");
	return 0;
}

static void on_wake(uv_async_t *async);

int server_start(struct server *s, struct error *err)
{
	int r = check_sigpipe(err);

	if (r == 0)
		r = make_data_root(s, err);
	if (r < 0)
		return r;
	r = uv_async_init(&s->loop, &s->wake, on_wake);
	if (r < 0)
		return error_set(err, r, "cannot make an event loop: %s", uv_strerror(r));
	uv_timer_init(&s->loop, &s->lull);
	s->wake.data = s->lull.data = s;
	uv_unref((uv_handle_t *)&s->wake);
	s->is_started = true;
	r = open_engine(s, err);
	return r == 0 ? open_http(s, err) : r;
}

/* ---- calls from elsewhere ---- */

static void run_posted(struct server *s)
{
	struct list mine;

	list_init(&mine);
	uv_mutex_lock(&s->mutex);
	list_for_each_safe(it, &s->posted) {
		list_remove(it);
		list_append(&mine, it);
	}
	uv_mutex_unlock(&s->mutex);
	list_for_each_safe(it, &mine) {
		struct posted *p = container_of(it, struct posted, link);

		p->call(p->arg);
		free(p);
	}
}

static void begin_stop(struct server *s);
static void begin_drain(struct server *s);

static void on_wake(uv_async_t *async)
{
	struct server *s = async->data;

	run_posted(s);
	if (atomic_load(&s->wants_stop))
		begin_stop(s);
	else if (atomic_load(&s->wants_drain))
		begin_drain(s);
}

int server_post(struct server *s, void (*call)(void *arg), void *arg)
{
	struct posted *p;
	int r = 0;

	uv_mutex_lock(&s->mutex);
	if (s->is_deaf) {
		r = -ESHUTDOWN;
	} else {
		p = xnew(struct posted);
		p->call = call;
		p->arg = arg;
		list_append(&s->posted, &p->link);
		uv_async_send(&s->wake);
	}
	uv_mutex_unlock(&s->mutex);
	return r;
}

void server_stop(struct server *s)
{
	if (!atomic_exchange(&s->wants_stop, true))
		uv_async_send(&s->wake);
}

void server_drain(struct server *s, unsigned timeout_ms)
{
	atomic_store(&s->drain_ms, timeout_ms);
	atomic_store(&s->wants_drain, true);
	uv_async_send(&s->wake);
}

/* ---- stop ---- */

static void on_engine_stopped(void *arg)
{
	(void)arg;
}

static void on_http_stopped(void *arg)
{
	struct server *s = arg;

	builds_stop(s->engine);
	engine_stop(s->engine, on_engine_stopped, s);
}

static void unlink_sockets(struct server *s)
{
	while (s->nurls > 0) {
		listen_unlink(s->urls[--s->nurls]);
		free(s->urls[s->nurls]);
	}
}

/* What has been answered goes out first, to those who read. */
static void on_drain(uv_timer_t *t)
{
	struct server *s = t->data;

	if (http_server_unsent(s->http) > 0 && uv_now(&s->loop) < s->drain_until_ms)
		return;
	uv_close((uv_handle_t *)t, NULL);
	s->is_closing = true;
	http_server_stop(s->http, on_http_stopped, s);
}

/* The containers have ended. */
static void on_shut_down(void *arg)
{
	struct server *s = arg;

	uv_mutex_lock(&s->mutex);
	s->is_deaf = true;
	uv_mutex_unlock(&s->mutex);
	run_posted(s);
	uv_timer_init(&s->loop, &s->drain);
	s->drain.data = s;
	s->drain_until_ms = uv_now(&s->loop) + DRAIN_MS;
	uv_timer_start(&s->drain, on_drain, 0, 2);
}

static void begin_stop(struct server *s)
{
	if (s->is_stopping)
		return;
	s->is_stopping = true;
	uv_timer_stop(&s->lull);
	unlink_sockets(s);
	engine_shut_down(s->engine, on_shut_down, s);
}

/* ---- drain ---- */

enum { LULL_MS = 20 };

static void on_lull(uv_timer_t *t)
{
	struct server *s = t->data;

	if (http_server_is_idle(s->http) || uv_now(&s->loop) >= s->lull_until_ms)
		begin_stop(s);
}

static void begin_drain(struct server *s)
{
	if (s->is_stopping || s->is_draining)
		return;
	s->is_draining = true;
	s->lull_until_ms = uv_now(&s->loop) + atomic_load(&s->drain_ms);
	unlink_sockets(s);
	http_server_drain(s->http);
	uv_timer_start(&s->lull, on_lull, 0, LULL_MS);
}

/* The stop as far as it goes without waiting: each part goes when nothing on the loop needs it any more. */
static bool wind_up(struct server *s)
{
	while (!uv_loop_alive(&s->loop)) {
		if (s->engine) {
			builds_close(s->engine);
			engine_free(s->engine);
			s->engine = NULL;
		} else if (s->is_started) {
			s->is_started = false;
			uv_close((uv_handle_t *)&s->wake, NULL);
			uv_close((uv_handle_t *)&s->lull, NULL);
		} else {
			s->is_over = true;
			return true;
		}
	}
	return false;
}

void server_run(struct server *s)
{
	do
		uv_run(&s->loop, UV_RUN_DEFAULT);
	while (!wind_up(s));
}

/* ---- inside another loop ---- */

static void on_attachment_closed(uv_handle_t *h)
{
	struct server *s = h->data;
	struct attachment *a = s->attachment;

	if (--a->handles > 0)
		return;
	s->attachment = NULL;
	if (a->stopped)
		a->stopped(a->arg); /* which may free the server */
	free(a);
}

static void detach(struct server *s)
{
	uv_close((uv_handle_t *)&s->attachment->poll, on_attachment_closed);
	uv_close((uv_handle_t *)&s->attachment->timer, on_attachment_closed);
	uv_close((uv_handle_t *)&s->attachment->prepare, on_attachment_closed);
}

static void on_outer_timer(uv_timer_t *t)
{
	(void)t; /* the look at us comes in the same turn */
}

static void on_outer_poll(uv_poll_t *p, int status, int events)
{
	(void)p, (void)status, (void)events;
}

/* One turn of our loop before each wait of theirs, and then as long a wait as ours would be. */
static void on_outer_prepare(uv_prepare_t *p)
{
	struct server *s = p->data;
	int wait_ms;

	uv_run(&s->loop, UV_RUN_NOWAIT);
	if (s->is_stopping && wind_up(s)) {
		detach(s);
		return;
	}
	wait_ms = uv_backend_timeout(&s->loop);
	if (wait_ms >= 0)
		uv_timer_start(&s->attachment->timer, on_outer_timer, (uint64_t)wait_ms, 0);
	else
		uv_timer_stop(&s->attachment->timer);
}

int server_attach(struct server *s, uv_loop_t *outer, void (*stopped)(void *arg), void *arg, struct error *err)
{
	struct attachment *a = xnew(struct attachment);
	int r = uv_poll_init(outer, &a->poll, uv_backend_fd(&s->loop));

	if (r < 0) {
		free(a);
		return error_set(err, r, "cannot watch the server's loop: %s", uv_strerror(r));
	}
	uv_timer_init(outer, &a->timer);
	uv_prepare_init(outer, &a->prepare);
	a->poll.data = a->timer.data = a->prepare.data = s;
	a->handles = 3;
	a->stopped = stopped;
	a->arg = arg;
	s->attachment = a;
	uv_poll_start(&a->poll, UV_READABLE, on_outer_poll);
	uv_prepare_start(&a->prepare, on_outer_prepare);
	return 0;
}

/* ---- the end ---- */

void server_free(struct server *s)
{
	if (!s)
		return;
	if (!s->is_over) { /* it never served, or could not be started */
		if (s->http) {
			begin_stop(s);
		} else {
			if (s->engine)
				builds_close(s->engine);
			engine_free(s->engine);
			s->engine = NULL;
		}
		server_run(s);
	}
	http_server_free(s->http);
	uv_run(&s->loop, UV_RUN_DEFAULT); /* streams that were never begun close */
	router_free(s->router);
	free(s->added);
	list_for_each_safe(it, &s->posted)
		free(container_of(it, struct posted, link));
	uv_loop_close(&s->loop);
	uv_mutex_destroy(&s->mutex);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	free(s);
}
