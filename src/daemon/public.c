/* The public API of sockerless/server.h over the server object. */
#include <sockerless/sockerless.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "daemon/public.h"
#include "daemon/server.h"
#include "drivers/plugin.h"
#include "util/alloc.h"
#include "util/cleanup.h"

struct sockerless_options {
	struct options o;
};

struct override {
	sockerless_handler handler;
	void *arg;
};

struct sockerless_server {
	struct options options;
	struct server *server;
	struct override **overrides; /* the router holds pointers to them */
	size_t noverrides;
	bool has_factory, is_started;
};

/* ---- errors ---- */

static int tell(struct sockerless_error *ret, const struct error *err)
{
	if (ret) {
		ret->code = err->code;
		ret->status = error_http_status(err->cls);
		memcpy(ret->message, err->message, sizeof(ret->message));
		ret->message[sizeof(ret->message) - 1] = '\0';
	}
	return err->code;
}

static int invalid(struct sockerless_error *ret, const char *what)
{
	struct error err = { 0 };

	error_set_class(&err, ERROR_INVALID, "%s", what);
	return tell(ret, &err);
}

/* ---- options ---- */

struct sockerless_options *sockerless_options_new(void)
{
	struct sockerless_options *o = xnew(struct sockerless_options);

	options_init(&o->o);
	return o;
}

int sockerless_options_set(struct sockerless_options *o, const char *name, const char *value, struct sockerless_error *ret_err)
{
	struct error err = { 0 };

	if (strncmp(name, "log-", 4) == 0)
		return invalid(ret_err, "the log is the whole process's: sockerless_log_to");
	return options_set(&o->o, name, value, &err) < 0 ? tell(ret_err, &err) : 0;
}

void sockerless_options_free(struct sockerless_options *o)
{
	if (!o)
		return;
	options_done(&o->o);
	free(o);
}

/* ---- the server ---- */

int sockerless_server_new(const struct sockerless_options *o, struct sockerless_server **ret, struct sockerless_error *ret_err)
{
	struct sockerless_server *s = xnew(struct sockerless_server);
	struct error err = { 0 };

	options_copy(&o->o, &s->options);
	options_complete(&s->options);
	if (server_new(&s->options, &s->server, &err) < 0) {
		options_done(&s->options);
		free(s);
		return tell(ret_err, &err);
	}
	*ret = s;
	return 0;
}

const char *sockerless_operation(size_t n)
{
	return n < api_route_count ? api_routes[n].operation : NULL;
}

static void call_override(struct request *req)
{
	const struct override *o = request_override_arg(req);

	o->handler(public_request(req), o->arg);
}

int sockerless_server_override(struct sockerless_server *s, const char *operation, sockerless_handler handler,
			       void *arg, struct sockerless_error *ret_err)
{
	struct override *o;
	struct error err = { 0 };

	if (s->is_started)
		return invalid(ret_err, "the server has been started: its operations are settled");
	o = xnew(struct override);
	*o = (struct override){ handler, arg };
	if (router_override(server_router(s->server), operation, call_override, o, &err) < 0) {
		free(o);
		return tell(ret_err, &err);
	}
	s->overrides = xrealloc(s->overrides, (s->noverrides + 1) * sizeof(struct override *));
	s->overrides[s->noverrides++] = o;
	return 0;
}

int sockerless_server_set_process_factory(struct sockerless_server *s, const struct sockerless_process_factory_ops *ops,
					  void *ctx, struct sockerless_error *ret_err)
{
	if (s->is_started || s->has_factory)
		return invalid(ret_err, "a process factory can be set once, before the start");
	if (!plugin_factory_is_complete(ops))
		return invalid(ret_err, "a process factory needs a name of [a-z0-9-] and new_process");
	if (routing_is_runtime(ops->name))
		return invalid(ret_err, "a process factory cannot have the name of a runtime that is there");
	server_set_factory(s->server, ops, ctx);
	s->has_factory = true;
	return 0;
}

int sockerless_server_start(struct sockerless_server *s, struct sockerless_error *ret_err)
{
	struct error err = { 0 };

	if (s->is_started)
		return invalid(ret_err, "the server has been started already");
	s->is_started = true;
	return server_start(s->server, &err) < 0 ? tell(ret_err, &err) : 0;
}

int sockerless_server_listen(struct sockerless_server *s, const char *url, struct sockerless_error *ret_err)
{
	struct error err = { 0 };

	if (options_check_host(url, &err) < 0 || server_listen(s->server, url, &err) < 0)
		return tell(ret_err, &err);
	return 0;
}

int sockerless_server_listen_fd(struct sockerless_server *s, int take_fd, struct sockerless_error *ret_err)
{
	struct error err = { 0 };

	return server_listen_fd(s->server, take_fd, &err) < 0 ? tell(ret_err, &err) : 0;
}

void sockerless_server_run(struct sockerless_server *s)
{
	server_run(s->server);
}

int sockerless_server_attach(struct sockerless_server *s, struct uv_loop_s *loop, void (*stopped)(void *arg), void *arg,
			     struct sockerless_error *ret_err)
{
	struct error err = { 0 };

	return server_attach(s->server, loop, stopped, arg, &err) < 0 ? tell(ret_err, &err) : 0;
}

int sockerless_server_post(struct sockerless_server *s, void (*call)(void *arg), void *arg)
{
	return server_post(s->server, call, arg);
}

void sockerless_server_stop(struct sockerless_server *s)
{
	server_stop(s->server);
}

void sockerless_server_free(struct sockerless_server *s)
{
	if (!s)
		return;
	server_free(s->server);
	for (size_t i = 0; i < s->noverrides; i++)
		free(s->overrides[i]);
	free(s->overrides);
	options_done(&s->options);
	free(s);
}

/* ---- the log ---- */

static void (*log_target)(void *arg, enum sockerless_log_level level, const char *text);

static void write_log(void *arg, enum log_level level, const char *text)
{
	log_target(arg, (enum sockerless_log_level)level, text);
}

void sockerless_log_to(enum sockerless_log_level threshold,
		       void (*write)(void *arg, enum sockerless_log_level level, const char *text), void *arg)
{
	log_configure((enum log_level)threshold, false);
	log_redirect(NULL, NULL);
	log_target = write;
	log_redirect(write ? write_log : NULL, arg);
}

const char *sockerless_version(void)
{
	return SOCKERLESS_VERSION;
}
