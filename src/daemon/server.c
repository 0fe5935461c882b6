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

struct server {
	const struct options *options;
	uv_loop_t loop;
	uv_signal_t signals[2];
	struct engine *engine;
	struct router *router;
	struct http_server *http;
	int lock_fd;
	bool is_stopping;
};

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

static int open_http(struct server *s, struct error *err)
{
	struct http_config hc = { .loop = &s->loop, .gate = { may_send, s }, .context = s->engine,
				  .server_header = "Docker/" SOCKERLESS_VERSION " (linux) sockerless" };
	int r = router_new(api_routes, api_route_count, &s->router, err);

	hc.router = s->router;
	if (r == 0)
		r = http_server_new(&hc, &s->http, err);
	for (int i = 0; r == 0 && i < s->options->nhosts; i++) {
		int fd = listen_open(s->options->hosts[i], err);

		r = fd < 0 ? fd : http_server_listen(s->http, fd, NULL, NULL, err);
		if (r == 0)
			log_info("listening on %s", s->options->hosts[i]);
	}
	return r;
}

/* ---- stop ---- */

static void on_engine_stopped(void *arg)
{
	(void)arg;
}

static void on_http_stopped(void *arg)
{
	struct server *s = arg;

	engine_stop(s->engine, on_engine_stopped, s);
}

static void on_signal(uv_signal_t *h, int signo)
{
	struct server *s = h->data;

	if (s->is_stopping)
		return;
	s->is_stopping = true;
	log_info("stopping on signal %d", signo);
	notify("STOPPING=1");
	for (int i = 0; i < 2; i++)
		uv_close((uv_handle_t *)&s->signals[i], NULL);
	for (int i = 0; i < s->options->nhosts; i++)
		listen_unlink(s->options->hosts[i]);
	http_server_stop(s->http, on_http_stopped, s);
}

static void raise_fd_limit(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
}

static void serve(struct server *s)
{
	static const int numbers[2] = { SIGTERM, SIGINT };

	for (int i = 0; i < 2; i++) {
		uv_signal_init(&s->loop, &s->signals[i]);
		s->signals[i].data = s;
		uv_signal_start(&s->signals[i], on_signal, numbers[i]);
	}
	notify("READY=1");
	uv_run(&s->loop, UV_RUN_DEFAULT);
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
	r = make_data_root(s, err);
	if (r == 0)
		r = open_engine(s, err);
	if (r == 0)
		r = open_http(s, err);
	if (r == 0)
		serve(s);
	else if (s->http) /* its handles would keep the loop below running for ever */
		http_server_stop(s->http, on_engine_stopped, s);
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
