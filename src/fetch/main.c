/* sockerless-fetch: the registry client, a process for one operation.
 *
 * One line of JSON comes on standard input (credentials only there), lines of JSON go out on standard output; the last
 * is the event "result" or "error". Nothing is logged. docs/images.md tells the lines. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <curl/curl.h>

#include "fetch/confine.h"
#include "fetch/events.h"
#include "fetch/ops.h"

#define LINE_MAX_BYTES (8u << 20)

int input_line(struct input *in, bool is_blocking, size_t *ret_len)
{
	for (;;) {
		char *end = in->buf.len ? memchr(in->buf.data, '\n', in->buf.len) : NULL;
		struct pollfd fd = { .fd = STDIN_FILENO, .events = POLLIN };
		char data[65536];
		ssize_t n;

		if (end || (in->is_at_end && in->buf.len)) {
			*ret_len = end ? (size_t)(end - in->buf.data) : in->buf.len;
			return 1;
		}
		if (in->is_at_end || (!is_blocking && poll(&fd, 1, 0) != 1))
			return 0;
		n = read(STDIN_FILENO, data, sizeof(data));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || buf_append(&in->buf, data, (size_t)n) < 0)
			in->is_at_end = true;
	}
}

void input_consume(struct input *in, size_t len)
{
	buf_consume(&in->buf, len < in->buf.len ? len + 1 : in->buf.len);
}

int run_endpoints(struct run *run, bool is_pull,
		  int (*use)(struct run *run, struct endpoint **e, void *arg, struct error *err), void *arg, struct error *err)
{
	struct endpoint_address *list;
	size_t n = endpoint_addresses(run->session, is_pull, &list);
	bool is_unreachable = true;
	int r = -EIO;

	for (size_t i = 0; i < n; i++) {
		struct endpoint *e = NULL;
		bool is_silent = false;

		error_clear(err);
		r = endpoint_open(run->session, run->http, &list[i], &e, &is_silent, err);
		if (r < 0) {
			is_unreachable = is_unreachable && is_silent;
			if (err->cls == ERROR_INVALID)
				break; /* our own configuration is wrong: not a reason to go on without it */
			continue;
		}
		is_unreachable = false;
		r = use(run, &e, arg, err);
		endpoint_free(e);
		if (r == 0 || !list[i].is_mirror)
			break;
	}
	endpoint_addresses_free(list, n);
	run->is_unreachable = r < 0 && is_unreachable;
	return r;
}

static const struct {
	const char *name;
	int (*run)(struct run *run, struct error *err);
} ops[] = {
	{ "pull", op_pull },     { "push", op_push },   { "inspect", op_inspect },
	{ "tags", op_tags },     { "check", op_check }, { "config", op_config },
	{ "search", op_search }, { "login", op_login }, { "download", op_download },
};

static int dispatch(struct run *run, struct error *err)
{
	const char *op = session_text(run->session, "op");

	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (strcmp(op, ops[i].name) == 0)
			return ops[i].run(run, err);
	return error_set_class(err, ERROR_INVALID, "no such operation: %.40s", op);
}

/* Nobody may look into a process that holds passwords: no core, no ptrace. */
static void protect(void)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
}

int main(void)
{
	struct input in = { 0 };
	struct session session = { 0 };
	struct run run = { .session = &session, .input = &in };
	struct error err = { 0 };
	json_t *request = NULL;
	size_t len = 0;
	int r;

	protect();
	buf_init(&in.buf, LINE_MAX_BYTES);
	if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK)
		return 1;
	if (input_line(&in, true, &len) == 1)
		request = json_loadb(in.buf.data, len, 0, NULL);
	explicit_bzero(in.buf.data, len);
	input_consume(&in, len);
	if (!json_is_object(request)) {
		error_set_class(&err, ERROR_INVALID, "one line of JSON is expected on standard input");
		event_error(&err, 0);
		return 2;
	}
	r = session_open(request, &session, &err);
	if (r == 0)
		r = confine(session.dir, &err);
	if (r == 0) {
		run.http = http_new(&session.http);
		r = dispatch(&run, &err);
	}
	if (r < 0) {
		event_error(&err, run.is_unreachable);
		_exit(1); /* threads may still be at work: what they use stays */
	}
	http_free(run.http);
	session_done(&session);
	buf_done(&in.buf);
	curl_global_cleanup();
	return 0;
}
