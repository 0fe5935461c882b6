#include "daemon/server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/api.h"
#include "daemon/listen.h"
#include "http/server.h"
#include "util/alloc.h"
#include "util/cleanup.h"

static const int signal_numbers[] = { SIGTERM, SIGINT };

struct server {
	const struct options *options;
	uv_loop_t loop;
	uv_signal_t signals[ARRAY_SIZE(signal_numbers)];
	struct engine *engine;
	struct router *router;
	struct http_server *http;
	int lock_fd, signals_seen;
	bool is_listening[HOSTS_MAX];
};

enum { SIGNALS_MAX = 3 /* as dockerd: the third ends it at once */, CONNECTIONS_MAX = 10000 };

/* sd_notify(3) without its library: one datagram. */
static void notify(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd;

	if (!path || strlen(path) >= sizeof(addr.sun_path))
		return;
	memcpy(addr.sun_path, path, strlen(path));
	if (addr.sun_path[0] == '@')
		addr.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)!sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&addr,
		      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path)));
	close(fd);
}

/* ---- start ---- */

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
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
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

static int open_engine(struct server *s, struct error *err)
{
	const struct options *o = s->options;
	struct engine_options eo = { .loop = &s->loop, .data_root = o->data_root, .sandbox_path = o->sandbox_path,
				     .guest_path = o->guest_path, .is_ephemeral = o->is_ephemeral, .images_mode = o->images_mode,
				     .default_runtime = o->default_runtime, .pretend = o->pretend };

	return engine_open(&eo, &s->engine, err);
}

/* Clients must not take the descriptors that containers need. */
static size_t connections_max(void)
{
	struct rlimit rl;

	return getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur / 4 * 3 < CONNECTIONS_MAX ? rl.rlim_cur / 4 * 3 : CONNECTIONS_MAX;
}

static int open_listener(struct server *s, int host, struct error *err)
{
	const char *url = s->options->hosts[host];
	int fds[LISTEN_FDS_MAX];
	int n = listen_open(url, fds, err), r = n < 0 ? n : 0;

	s->is_listening[host] = n >= 0;
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = http_server_listen(s->http, fds[i], NULL, NULL, err);
		else
			close(fds[i]);
	}
	if (r == 0)
		log_info("listening on %s", url);
	return r;
}

static int open_http(struct server *s, struct error *err)
{
	struct http_config hc = { .loop = &s->loop, .gate = { may_send, s }, .context = s->engine,
				  .server_header = "Docker/" SOCKERLESS_VERSION " (linux) sockerless" };
	int r = router_new(api_routes, api_route_count, &s->router, err);

	hc.router = s->router;
	hc.limits.max_connections = connections_max();
	if (r == 0)
		r = http_server_new(&hc, &s->http, err);
	for (int i = 0; r == 0 && i < s->options->nhosts; i++)
		r = open_listener(s, i, err);
	return r;
}

/* ---- stop ---- */

static void on_engine_stopped(void *arg)
{
	struct server *s = arg;

	for (size_t i = 0; i < ARRAY_SIZE(signal_numbers); i++)
		uv_close((uv_handle_t *)&s->signals[i], NULL);
}

static void on_http_stopped(void *arg)
{
	struct server *s = arg;

	if (s->engine)
		engine_stop(s->engine, on_engine_stopped, s);
	else
		on_engine_stopped(s);
}

/* Also after a start that came only so far: what there is has handles on the loop. */
static void stop(struct server *s)
{
	for (int i = 0; i < s->options->nhosts; i++)
		if (s->is_listening[i])
			listen_unlink(s->options->hosts[i]);
	if (s->http)
		http_server_stop(s->http, on_http_stopped, s);
	else
		on_http_stopped(s);
}

static void on_signal(uv_signal_t *h, int signo)
{
	struct server *s = h->data;

	s->signals_seen++;
	if (s->signals_seen == SIGNALS_MAX) {
		log_warn("ending at once on signal %d", signo);
		_exit(128 + signo);
	}
	if (s->signals_seen > 1)
		return;
	log_info("stopping on signal %d", signo);
	notify("STOPPING=1");
	stop(s);
}

static void init_signals(struct server *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(signal_numbers); i++) {
		uv_signal_init(&s->loop, &s->signals[i]);
		s->signals[i].data = s;
	}
}

static void watch_signals(struct server *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(signal_numbers); i++)
		uv_signal_start(&s->signals[i], on_signal, signal_numbers[i]);
	notify("READY=1");
}

static void raise_fd_limit(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
}

int server_run(const struct options *o, struct error *err)
{
	struct server *s = xnew(struct server);
	int r;

	s->options = o;
	s->lock_fd = -1;
	signal(SIGPIPE, SIG_IGN);
	umask(077); /* state is nobody else's */
	raise_fd_limit();
	uv_loop_init(&s->loop);
	init_signals(s);
	r = make_data_root(s, err);
	if (r == 0)
		r = open_engine(s, err);
	if (r == 0)
		r = open_http(s, err);
	if (r == 0)
		watch_signals(s);
	else
		stop(s);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	engine_free(s->engine);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	http_server_free(s->http);
	router_free(s->router);
	uv_loop_close(&s->loop);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	free(s);
	return r;
}
