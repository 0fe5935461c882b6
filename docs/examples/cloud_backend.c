/* A backend as a cloud would have one: containers are made and listed here, and
 * run as tasks over there. Four operations are overridden, as docs/embedding.md
 * explains them:
 *
 *   ContainerStart    starts a task, and when the cloud says that it runs, tells the server so (adopt)
 *   ContainerStop     stops the task, and answers when it has ended
 *   ContainerLogs     answers with the cloud's own log, and follows it
 *   ContainerDelete   deletes the task, then lets the server remove its container
 *
 *   cloud_backend SOCKET DATA_ROOT [SANDBOX_PROGRAM GUEST_ROOT]
 *
 * SIGTERM ends it. SIGHUP ends the server and begins a new one, as an upgrade would:
 * tasks run on, and the new server takes their containers over again.
 * The cloud (cloud.h) is a thread that pretends. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sockerless/sockerless.h>

#include "cloud.h"

static struct sockerless_server *server; /* the cloud's thread looks at it under the lock */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static volatile sig_atomic_t wants_restart;

/* ---- a container's task, as the server sees it: a process ---- */

struct remote {
	char id[65];
	int has_tty;
	const struct sockerless_process_listener *listener; /* attached clients and the server's own log */
	void *listener_arg;
	void (*exited)(void *arg, int code);
	void *exited_arg;
	struct follower *followers; /* docker logs -f */
	struct sockerless_request *stopping; /* docker stop, until the task has ended */
	struct sockerless_request *removing; /* docker rm -f, likewise */
	struct remote *next;
};

struct follower {
	struct sockerless_stream *stream;
	struct remote *remote;
	struct follower *next;
};

static struct remote *remotes;

static struct remote *find_remote(const char *id)
{
	struct remote *r = remotes;

	while (r && strcmp(r->id, id) != 0)
		r = r->next;
	return r;
}

/* ---- logs in the form of the API: frames, or as it comes from a terminal ---- */

static void send_line(struct sockerless_stream *s, int has_tty, const char *line)
{
	size_t n = strlen(line);
	unsigned char head[8] = { 1, 0, 0, 0, 0, 0, (unsigned char)(n >> 8), (unsigned char)n }; /* stdout; lines are short */

	if (!has_tty)
		sockerless_stream_write(s, head, sizeof(head));
	sockerless_stream_write(s, line, n);
}

static void end_followers(struct remote *r)
{
	for (struct follower *f = r->followers; f; f = f->next)
		sockerless_stream_end(f->stream);
}

/* ---- the slots: what the server asks of the process. Those that are NULL are refused to clients. ---- */

static int remote_wait(void *process, void (*exited)(void *arg, int code), void *arg)
{
	struct remote *r = process;

	r->exited = exited;
	r->exited_arg = arg;
	return 0;
}

static int remote_subscribe(void *process, const struct sockerless_process_listener *listener, void *arg)
{
	struct remote *r = process;

	r->listener = listener;
	r->listener_arg = arg;
	return 0;
}

/* docker kill, and docker rm -f. */
static int remote_signal(void *process, int signo)
{
	return cloud_stop(((struct remote *)process)->id, signo) ? 0 : -ESRCH;
}

static void answer_late(struct sockerless_request *req)
{
	if (req)
		sockerless_reply_error(req, 503, "the backend is stopping");
}

/* The container's run is over, or the server ends. The task is not touched: it may well live longer than we do. */
static void remote_close(void *process)
{
	struct remote *r = process;

	answer_late(r->stopping);
	answer_late(r->removing);
	end_followers(r);
	for (struct follower *f = r->followers; f; f = f->next)
		f->remote = NULL;
	for (struct remote **at = &remotes; *at; at = &(*at)->next)
		if (*at == r) {
			*at = r->next;
			break;
		}
	free(r);
}

static const struct sockerless_container_process_ops remote_ops = {
	.size = sizeof(remote_ops),
	.wait = remote_wait,
	.subscribe = remote_subscribe,
	.signal = remote_signal,
	.close = remote_close,
};

/* From now on the container runs. */
static int adopt(const struct sockerless_container *c, struct sockerless_error *err)
{
	struct remote *r = calloc(1, sizeof(*r));
	int result;

	if (!r)
		return -ENOMEM;
	snprintf(r->id, sizeof(r->id), "%s", sockerless_container_id(c));
	r->has_tty = sockerless_container_has_tty(c);
	r->next = remotes;
	remotes = r;
	result = sockerless_container_adopt(server, r->id, &remote_ops, r, err);
	if (result < 0) /* the process is still ours */
		remote_close(r);
	return result;
}

/* ---- docker start, until the cloud has answered ---- */

struct starting {
	char id[65];
	struct sockerless_request *req;
	struct starting *next;
};

static struct starting *starts;

/* Out of the list; NULL: nobody waits for it (any more). */
static struct sockerless_request *take_start(const char *id)
{
	for (struct starting **at = &starts; *at; at = &(*at)->next)
		if (strcmp((*at)->id, id) == 0) {
			struct starting *s = *at;
			struct sockerless_request *req = s->req;

			*at = s->next;
			free(s);
			return req;
		}
	return NULL;
}

/* The client has left, or the server stops: whatever becomes of the task, the request must be answered. */
static void on_start_gone(void *arg)
{
	struct starting *s = arg;

	answer_late(take_start(s->id));
}

/* ---- what the cloud tells, posted to the loop by its thread ---- */

struct news {
	char id[65];
	enum cloud_news what;
	int code;
	char line[256];
};

static void tell_running(const struct news *n)
{
	struct sockerless_error err = { .size = sizeof(err) };
	const struct sockerless_container *c = sockerless_container_find(server, n->id, &err);
	struct sockerless_request *req = take_start(n->id);
	int r = c ? adopt(c, &err) : err.code;

	if (r < 0)
		cloud_delete(n->id);
	if (!req)
		return;
	if (r < 0)
		sockerless_reply_error(req, err.status, err.message);
	else
		sockerless_reply(req, 204, NULL, NULL, 0);
}

static void tell_failed(const struct news *n)
{
	struct sockerless_request *req = take_start(n->id);

	if (req)
		sockerless_reply_error(req, 500, n->line);
}

static void tell_line(struct remote *r, const char *line)
{
	r->listener->output(r->listener_arg, 1, line, strlen(line));
	for (struct follower *f = r->followers; f; f = f->next)
		send_line(f->stream, r->has_tty, line);
}

static void tell_end(struct remote *r, int code)
{
	struct sockerless_request *stopping = r->stopping, *removing = r->removing;

	r->stopping = r->removing = NULL;
	if (removing)
		cloud_delete(r->id);
	r->exited(r->exited_arg, code); /* the server closes r when it has taken that in */
	if (stopping)
		sockerless_reply(stopping, 204, NULL, NULL, 0);
	if (removing) /* the built-in handler does the rest, and answers */
		sockerless_request_continue(removing);
}

static void on_news(void *arg)
{
	struct news *n = arg;
	struct remote *r = find_remote(n->id);

	if (n->what == CLOUD_RUNNING)
		tell_running(n);
	else if (n->what == CLOUD_FAILED)
		tell_failed(n);
	else if (r && n->what == CLOUD_LINE)
		tell_line(r, n->line);
	else if (r)
		tell_end(r, n->code);
	free(n);
}

/* The cloud's thread. While no server runs nobody listens, and nothing is lost: the cloud keeps states and logs. */
static void on_cloud(const char *id, enum cloud_news what, int code, const char *line)
{
	struct news *n = calloc(1, sizeof(*n));

	if (!n)
		return;
	snprintf(n->id, sizeof(n->id), "%s", id);
	snprintf(n->line, sizeof(n->line), "%s", line);
	n->what = what;
	n->code = code;
	pthread_mutex_lock(&lock);
	if (!server || sockerless_server_post(server, on_news, n) < 0)
		free(n);
	pthread_mutex_unlock(&lock);
}

/* ---- the four operations ---- */

/* The container that the path names; answers the request itself when there is none. */
static const struct sockerless_container *container_of_request(struct sockerless_request *req)
{
	struct sockerless_error err = { .size = sizeof(err) };
	const struct sockerless_container *c = sockerless_container_find(server, sockerless_request_param(req, "name"), &err);

	if (!c)
		sockerless_reply_error(req, err.status, err.message);
	return c;
}

static int is_true(struct sockerless_request *req, const char *key)
{
	const char *v = sockerless_request_query(req, key, 0);

	return v && (strcmp(v, "1") == 0 || strcmp(v, "true") == 0);
}

static void start(struct sockerless_request *req, void *arg)
{
	const struct sockerless_container *c = container_of_request(req);
	char command[256] = "";
	struct starting *s;

	(void)arg;
	if (!c)
		return;
	if (strcmp(sockerless_container_status(c), "running") == 0) {
		sockerless_reply(req, 304, NULL, NULL, 0);
		return;
	}
	for (size_t i = 0; sockerless_container_argument(c, i); i++) {
		size_t n = strlen(command);

		snprintf(command + n, sizeof(command) - n, "%s%s", i ? " " : "", sockerless_container_argument(c, i));
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		abort();
	snprintf(s->id, sizeof(s->id), "%s", sockerless_container_id(c));
	s->req = req; /* answered when the cloud has */
	s->next = starts;
	starts = s;
	sockerless_request_on_gone(req, on_start_gone, s);
	cloud_run(s->id, command);
}

static void stop(struct sockerless_request *req, void *arg)
{
	const struct sockerless_container *c = container_of_request(req);
	struct remote *r = c ? find_remote(sockerless_container_id(c)) : NULL;

	(void)arg;
	if (!c)
		return;
	if (!r)
		sockerless_reply(req, 304, NULL, NULL, 0); /* stopped already */
	else if (r->stopping || r->removing)
		sockerless_reply_error(req, 409, "the task is being stopped");
	else {
		r->stopping = req; /* answered by tell_end */
		cloud_stop(r->id, SIGTERM);
	}
}

static void on_follower_closed(void *arg)
{
	struct follower *f = arg, **at;

	for (at = f->remote ? &f->remote->followers : NULL; at && *at; at = &(*at)->next)
		if (*at == f) {
			*at = f->next;
			break;
		}
	free(f);
}

static const struct sockerless_stream_events follower_events = {
	.size = sizeof(follower_events),
	.closed = on_follower_closed,
};

struct log_reader {
	struct sockerless_stream *stream;
	int has_tty;
};

static void send_logged(void *arg, const char *line)
{
	const struct log_reader *l = arg;

	send_line(l->stream, l->has_tty, line);
}

static void logs(struct sockerless_request *req, void *arg)
{
	const struct sockerless_container *c = container_of_request(req);
	const char *tail = sockerless_request_query(req, "tail", 0);
	struct follower *f;
	struct log_reader l;
	struct remote *r;

	(void)arg;
	if (!c)
		return;
	f = calloc(1, sizeof(*f));
	if (!f)
		abort();
	l.has_tty = sockerless_container_has_tty(c);
	f->stream = l.stream = sockerless_reply_stream(
		req, 200, l.has_tty ? "application/vnd.docker.raw-stream" : "application/vnd.docker.multiplexed-stream",
		&follower_events, f);
	cloud_logs(sockerless_container_id(c), tail && strcmp(tail, "all") != 0 ? atoi(tail) : -1, send_logged, &l);
	r = is_true(req, "follow") ? find_remote(sockerless_container_id(c)) : NULL;
	if (!r) {
		sockerless_stream_end(f->stream);
		return;
	}
	f->remote = r; /* every line from now on: both are on the loop thread */
	f->next = r->followers;
	r->followers = f;
}

static void delete(struct sockerless_request *req, void *arg)
{
	const struct sockerless_container *c = container_of_request(req);
	struct remote *r = c ? find_remote(sockerless_container_id(c)) : NULL;

	(void)arg;
	if (!c)
		return;
	if (r && is_true(req, "force") && !r->removing) {
		r->removing = req; /* goes on in tell_end */
		cloud_stop(r->id, SIGKILL);
		return;
	}
	if (!r)
		cloud_delete(sockerless_container_id(c));
	sockerless_request_continue(req); /* of one that runs it is refused, in Docker's words */
}

/* ---- a server's life ---- */

/* Tasks that the cloud has and that the last server knew. */
static void take_over(void *arg)
{
	struct sockerless_error err = { .size = sizeof(err) };
	const struct sockerless_container *c = NULL;

	(void)arg;
	while ((c = sockerless_container_next(server, c)))
		if (cloud_is_running(sockerless_container_id(c)) && adopt(c, &err) < 0)
			fprintf(stderr, "cloud_backend: %s: %s\n", sockerless_container_name(c), err.message);
}

static void end_server(void)
{
	struct sockerless_server *last;

	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	pthread_mutex_lock(&lock);
	last = server;
	server = NULL;
	pthread_mutex_unlock(&lock);
	sockerless_server_free(last);
}

static int set_up(char **argv, int argc, struct sockerless_error *err)
{
	struct sockerless_options *o = sockerless_options_new();
	struct sockerless_descriptor d = { .size = sizeof(d), .name = "example-cloud", .driver = "cloud", .cpus = 1024 };
	char url[4096];
	int r;

	snprintf(url, sizeof(url), "unix://%s", argv[1]);
	r = sockerless_options_set(o, "host", url, err);
	if (r == 0)
		r = sockerless_options_set(o, "data-root", argv[2], err);
	if (r == 0 && argc > 4)
		r = sockerless_options_set(o, "sandbox", argv[3], err);
	if (r == 0 && argc > 4)
		r = sockerless_options_set(o, "guest", argv[4], err);
	if (r == 0)
		r = sockerless_server_new(o, &server, err);
	sockerless_options_free(o);
	if (r == 0)
		r = sockerless_server_describe(server, &d, err);
	if (r == 0)
		r = sockerless_server_override(server, "ContainerStart", start, NULL, err);
	if (r == 0)
		r = sockerless_server_override(server, "ContainerStop", stop, NULL, err);
	if (r == 0)
		r = sockerless_server_override(server, "ContainerLogs", logs, NULL, err);
	if (r == 0)
		r = sockerless_server_override(server, "ContainerDelete", delete, NULL, err);
	return r;
}

static void on_signal(int signo)
{
	wants_restart = signo == SIGHUP;
	sockerless_server_stop(server); /* NOLINT(bugprone-signal-handler,cert-*): its header allows it */
}

int main(int argc, char **argv)
{
	struct sockerless_error err = { .size = sizeof(err) };
	int is_well;

	if (argc < 3)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	cloud_open(on_cloud);
	do {
		wants_restart = 0;
		is_well = set_up(argv, argc, &err) == 0 && sockerless_server_start(server, &err) == 0;
		if (is_well) {
			signal(SIGTERM, on_signal);
			signal(SIGHUP, on_signal);
			sockerless_server_post(server, take_over, NULL);
			puts("ready");
			sockerless_server_run(server);
		} else {
			fprintf(stderr, "cloud_backend: %s\n", err.message);
		}
		end_server();
	} while (is_well && wants_restart);
	cloud_close();
	return !is_well;
}
