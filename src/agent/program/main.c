/* sockerless-agent: runs commands for a daemon where it is started. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/program/agent.h"
#include <sockerless/version.h>
#include "util/alloc.h"

struct agent agent;

static const char help[] =
	"usage: sockerless-agent [--addr ADDRESS:PORT] [options] [--keep-alive -- command…]\n"
	"       sockerless-agent --callback URL [options] [--keep-alive -- command…]\n"
	"\n"
	"  --addr ADDRESS:PORT  serve GET /health and GET /ws there (default :9111)\n"
	"  --callback URL       connect to a daemon instead: ws[s]://HOST:PORT/PATH, unix:///SOCKET:/PATH, fd://N\n"
	"  --keep-alive         run the command as the main process; the agent ends when it has\n"
	"  --token-file FILE    where the token is (default: $SOCKERLESS_AGENT_TOKEN)\n"
	"  --ca-file FILE       who vouches for a daemon at wss:// (default: $SOCKERLESS_AGENT_CA_FILE, then the system's)\n"
	"  --tls-cert FILE --tls-key FILE  serve with this certificate: wss:// and https://\n"
	"  --grace SECONDS      how long processes outlive the last connection (default 60)\n"
	"  --chroot DIRECTORY   its root, and that of what it runs\n"
	"  --version, --help\n";

void say(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	dprintf(2, "sockerless-agent: %s\n", text);
}

void agent_finish(int exit_code)
{
	tree_signal(SIGKILL);
	children_reap();
	exit(exit_code);
}

static void on_child(uv_signal_t *s, int signo)
{
	(void)s, (void)signo;
	children_reap();
}

static void on_signal(uv_signal_t *s, int signo)
{
	(void)s;
	if (agent.main && !main_is_over())
		main_signal(signo);
	else
		agent_finish(128 + signo);
}

static void on_lonely(uv_timer_t *t)
{
	(void)t;
	if (agent.is_reverse) {
		say("no daemon for %u seconds: this is the end", agent.grace_ms / 1000);
		agent_finish(1);
	}
	sessions_forget_away();
	main_maybe_end();
}

void peers_changed(void)
{
	if (list_is_empty(&agent.peers))
		uv_timer_start(&agent.lonely, on_lonely, agent.grace_ms, 0);
	else
		uv_timer_stop(&agent.lonely);
}

static char *read_token(const char *file, struct error *err)
{
	char text[512];
	ssize_t n;
	int fd;

	const char *said = getenv("SOCKERLESS_AGENT_TOKEN");

	char *copy;

	if (!file) {
		copy = said && *said ? xstrdup(said) : NULL;
		if (said)
			memset((char *)said, 'x', strlen(said)); /* what runs here may look into /proc/1/environ */
		return copy;
	}
	fd = open(file, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		error_set(err, -errno, "%s: %s", file, error_text(errno));
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return NULL;
	text[n] = '\0';
	text[strcspn(text, " \t\r\n")] = '\0';
	return xstrdup(text);
}

static void set_up(uv_loop_t *loop)
{
	struct rlimit files;

	agent.loop = loop;
	list_init(&agent.sessions);
	list_init(&agent.peers);
	token_make(agent.instance);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		agent.files_limit = files.rlim_cur;
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	uv_timer_init(loop, &agent.lonely);
	uv_signal_init(loop, &agent.chld);
	uv_signal_start(&agent.chld, on_child, SIGCHLD);
	uv_signal_init(loop, &agent.term);
	uv_signal_start(&agent.term, on_signal, SIGTERM);
	uv_signal_init(loop, &agent.intr);
	uv_signal_start(&agent.intr, on_signal, SIGINT);
}

enum {
	OPT_ADDR = 1,
	OPT_CALLBACK,
	OPT_KEEP_ALIVE,
	OPT_TOKEN_FILE,
	OPT_CA_FILE,
	OPT_TLS_CERT,
	OPT_TLS_KEY,
	OPT_GRACE,
	OPT_LOG_LEVEL,
	OPT_CHROOT,
	OPT_VERSION,
	OPT_HELP
};

struct wishes {
	const char *addr, *callback, *token_file, *chroot, *ca_file, *tls_cert, *tls_key;
	bool keep_alive;
};

/* -1: go on; else the exit code. */
static int read_options(int argc, char **argv, struct wishes *w)
{
	static const struct option options[] = {
		{ "addr", required_argument, NULL, OPT_ADDR },
		{ "callback", required_argument, NULL, OPT_CALLBACK },
		{ "keep-alive", no_argument, NULL, OPT_KEEP_ALIVE },
		{ "token-file", required_argument, NULL, OPT_TOKEN_FILE },
		{ "ca-file", required_argument, NULL, OPT_CA_FILE },
		{ "tls-cert", required_argument, NULL, OPT_TLS_CERT },
		{ "tls-key", required_argument, NULL, OPT_TLS_KEY },
		{ "grace", required_argument, NULL, OPT_GRACE },
		{ "log-level", required_argument, NULL, OPT_LOG_LEVEL }, /* of the Go agent; there is one level here */
		{ "chroot", required_argument, NULL, OPT_CHROOT },
		{ "version", no_argument, NULL, OPT_VERSION },
		{ "help", no_argument, NULL, OPT_HELP },
		{ NULL, 0, NULL, 0 },
	};
	int o;

	while ((o = getopt_long_only(argc, argv, "+", options, NULL)) != -1) {
		switch (o) {
		case OPT_ADDR: w->addr = optarg; break;
		case OPT_CALLBACK: w->callback = optarg; break;
		case OPT_KEEP_ALIVE: w->keep_alive = true; break;
		case OPT_TOKEN_FILE: w->token_file = optarg; break;
		case OPT_CA_FILE: w->ca_file = optarg; break;
		case OPT_TLS_CERT: w->tls_cert = optarg; break;
		case OPT_TLS_KEY: w->tls_key = optarg; break;
		case OPT_GRACE: agent.grace_ms = (unsigned)strtoul(optarg, NULL, 10) * 1000; break;
		case OPT_LOG_LEVEL: break;
		case OPT_CHROOT: w->chroot = optarg; break;
		case OPT_VERSION: puts("sockerless-agent " SOCKERLESS_VERSION); return 0;
		case OPT_HELP: fputs(help, stdout); return 0;
		default: fputs(help, stderr); return 2;
		}
	}
	return -1;
}

static int open_door(const struct wishes *w, struct error *err)
{
	if (w->callback)
		return dial_open(w->callback, w->ca_file ? w->ca_file : getenv("SOCKERLESS_AGENT_CA_FILE"), err);
	if (!w->tls_cert != !w->tls_key)
		return error_set(err, -EINVAL, "--tls-cert and --tls-key belong together");
	return serve_open(w->addr, w->tls_cert, w->tls_key, err);
}

int main(int argc, char **argv)
{
	struct wishes w = { .addr = ":9111" };
	struct error err = { 0 };
	uv_loop_t loop;
	int r, code = 1;

	if (argc > 1 && strcmp(argv[1], "--native") == 0)
		return native_main(argc - 2, argv + 2);
	if (argc > 3 && strcmp(argv[1], "--guard") == 0)
		return guard_main(argv + 3);
	agent.grace_ms = 60000;
	agent.linger_ms = 10000;
	r = read_options(argc, argv, &w);
	if (r >= 0)
		return r;
	uv_loop_init(&loop);
	set_up(&loop);
	agent.is_reverse = w.callback != NULL;
	agent.token = read_token(w.token_file, &err);
	r = err.code;
	unsetenv("SOCKERLESS_AGENT_TOKEN"); /* not for what it runs */
	if (r == 0 && w.keep_alive && optind == argc)
		r = error_set(&err, -EINVAL, "--keep-alive needs a command");
	if (r == 0)
		r = open_door(&w, &err); /* its certificates are files of the outer root */
	if (r == 0 && w.chroot && (chroot(w.chroot) < 0 || chdir("/") < 0))
		r = error_set(&err, -errno, "--chroot %s: %s", w.chroot, error_text(errno));
	if (r == 0 && w.keep_alive)
		r = main_start(argv + optind, &code, &err);
	if (r < 0) {
		say("%s", err.message);
		return code;
	}
	peers_changed();
	uv_run(&loop, UV_RUN_DEFAULT);
	return 0;
}
