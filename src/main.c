/* sockerlessd: options in, daemon on. What belongs to the whole process (signals, umask, limits) is set here:
 * the library leaves it alone. */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <sockerless/version.h>

#include "daemon/notify.h"
#include "daemon/server.h"
#include "util/log.h"

static const int stop_signals[2] = { SIGTERM, SIGINT };
static uv_signal_t watches[2];

enum { SIGNALS_MAX = 3 }; /* as dockerd: the third ends it at once */

static void on_signal(uv_signal_t *h, int signo)
{
	static int seen;

	if (++seen == SIGNALS_MAX) {
		log_warn("ending at once on signal %d", signo);
		_exit(128 + signo);
	}
	if (seen > 1) {
		log_warn("still stopping: the next signal ends it at once");
		return;
	}
	log_info("stopping on signal %d", signo);
	notify_send("STOPPING=1");
	server_stop(h->data);
}

static void set_up_process(void)
{
	struct rlimit rl;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a full disk is an error of the write */
	umask(077); /* state is nobody else's */
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
}

static void serve(struct server *s)
{
	for (int i = 0; i < 2; i++) {
		uv_signal_init(server_loop(s), &watches[i]);
		watches[i].data = s;
		uv_signal_start(&watches[i], on_signal, stop_signals[i]);
		uv_unref((uv_handle_t *)&watches[i]);
	}
	notify_send("READY=1");
	server_run(s);
	for (int i = 0; i < 2; i++)
		uv_close((uv_handle_t *)&watches[i], NULL);
	uv_run(server_loop(s), UV_RUN_DEFAULT);
}

/* On a Unix socket the kernel answers a TCP option with EOPNOTSUPP; libmicrohttpd 0.9.75 expects ENOPROTOOPT
 * there, and not hearing it tries two options again with every reply, a tenth of the daemon's time for a small
 * request. The program's definition comes before the C library's; all else passes through unchanged. */
int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	int r = (int)syscall(SYS_setsockopt, fd, level, name, value, len);

	if (r < 0 && errno == EOPNOTSUPP && level == IPPROTO_TCP)
		errno = ENOPROTOOPT;
	return r;
}

static int run(const struct options *o)
{
	struct error err = { 0 };
	struct server *s;
	int r;

	log_configure(o->log_level, o->is_log_json);
	set_up_process();
	r = server_new(o, &s, &err);
	if (r == 0) {
		r = server_start(s, &err);
		if (r == 0)
			serve(s);
		server_free(s);
	}
	if (r < 0)
		log_error("%s", err.message);
	return r < 0;
}

int main(int argc, char **argv)
{
	struct options o;
	struct error err = { 0 };
	int status = 0;

	if (options_parse(argc, argv, &o, &err) < 0) {
		fprintf(stderr, "sockerlessd: %s\n", err.message);
		status = 2;
	} else if (o.wants_help) {
		fputs(options_help, stdout);
	} else if (o.wants_version) {
		puts("sockerlessd " SOCKERLESS_VERSION);
	} else {
		status = run(&o);
	}
	options_done(&o);
	return status;
}
