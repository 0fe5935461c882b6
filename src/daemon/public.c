/* The public API of sockerless/server.h over the server object. */
#include <sockerless/sockerless.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "daemon/public.h"
#include "daemon/server.h"
#include "drivers/public.h"
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
	struct engine_descriptor descriptor;
	bool is_started;
};

/* ---- errors ---- */

int public_tell(struct sockerless_error *ret, const struct error *err)
{
	struct sockerless_error told = { .code = err->code, .status = error_http_status(err->cls) };

	if (!ret)
		return err->code;
	told.size = ret->size;
	memcpy(told.message, err->message, sizeof(told.message));
	told.message[sizeof(told.message) - 1] = '\0';
	memcpy(ret, &told, told.size && told.size < sizeof(told) ? told.size : sizeof(told));
	return err->code;
}

static int invalid(struct sockerless_error *ret, const char *what)
{
	struct error err = { 0 };

	error_set_class(&err, ERROR_INVALID, "%s", what);
	return public_tell(ret, &err);
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
	return options_set(&o->o, name, value, &err) < 0 ? public_tell(ret_err, &err) : 0;
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
		return public_tell(ret_err, &err);
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
		return public_tell(ret_err, &err);
	}
	s->overrides = xrealloc(s->overrides, (s->noverrides + 1) * sizeof(struct override *));
	s->overrides[s->noverrides++] = o;
	return 0;
}

static void replace_text(char **at, const char *text)
{
	free(*at);
	*at = xstrdup(text);
}

static void set_descriptor(struct engine_descriptor *to, const struct sockerless_descriptor *from)
{
	replace_text(&to->id, from->id);
	replace_text(&to->name, from->name);
	replace_text(&to->driver, from->driver);
	replace_text(&to->operating_system, from->operating_system);
	replace_text(&to->os_type, from->os_type);
	replace_text(&to->architecture, from->architecture);
	replace_text(&to->server_version, from->server_version);
	to->cpus = from->cpus;
	to->memory_bytes = from->memory_bytes;
}

int sockerless_server_describe(struct sockerless_server *s, const struct sockerless_descriptor *d,
			       struct sockerless_error *ret_err)
{
	struct sockerless_descriptor whole;

	if (s->is_started)
		return invalid(ret_err, "the server has been started: its description is settled");
	public_copy(&whole, sizeof(whole), d, d->size);
	set_descriptor(&s->descriptor, &whole);
	server_describe(s->server, &s->descriptor);
	return 0;
}

int sockerless_server_set_process_factory(struct sockerless_server *s, const struct sockerless_process_factory_ops *ops,
					  void *ctx, struct sockerless_error *ret_err)
{
	struct error err = { 0 };

	return server_set_factory(s->server, ops, ctx, &err) < 0 ? public_tell(ret_err, &err) : 0;
}

int sockerless_server_add_driver(struct sockerless_server *s, const struct sockerless_driver_ops *ops, void *ctx,
				 struct sockerless_error *ret_err)
{
	struct error err = { 0 };

	return server_add_driver(s->server, ops, ctx, &err) < 0 ? public_tell(ret_err, &err) : 0;
}

struct engine *public_engine(struct sockerless_server *s, struct sockerless_error *ret_err)
{
	struct engine *e = server_engine(s->server);
	struct error err = { 0 };

	if (e)
		return e;
	error_set(&err, -ESHUTDOWN, "the server does not run");
	public_tell(ret_err, &err);
	return NULL;
}

int sockerless_server_start(struct sockerless_server *s, struct sockerless_error *ret_err)
{
	struct error err = { 0 };

	if (s->is_started)
		return invalid(ret_err, "the server has been started already");
	s->is_started = true;
	return server_start(s->server, &err) < 0 ? public_tell(ret_err, &err) : 0;
}

int sockerless_server_listen(struct sockerless_server *s, const char *url, struct sockerless_error *ret_err)
{
	struct error err = { 0 };

	if (options_check_host(url, &err) < 0 || server_listen(s->server, url, &err) < 0)
		return public_tell(ret_err, &err);
	return 0;
}

int sockerless_server_listen_fd(struct sockerless_server *s, int take_fd, struct sockerless_error *ret_err)
{
	struct error err = { 0 };

	return server_listen_fd(s->server, take_fd, &err) < 0 ? public_tell(ret_err, &err) : 0;
}

void sockerless_server_run(struct sockerless_server *s)
{
	server_run(s->server);
}

int sockerless_server_attach(struct sockerless_server *s, struct uv_loop_s *loop, void (*stopped)(void *arg), void *arg,
			     struct sockerless_error *ret_err)
{
	struct error err = { 0 };

	return server_attach(s->server, loop, stopped, arg, &err) < 0 ? public_tell(ret_err, &err) : 0;
}

int sockerless_server_post(struct sockerless_server *s, void (*call)(void *arg), void *arg)
{
	return server_post(s->server, call, arg);
}

void sockerless_server_drain(struct sockerless_server *s, unsigned timeout_ms)
{
	server_drain(s->server, timeout_ms);
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
	set_descriptor(&s->descriptor, &(struct sockerless_descriptor){ 0 });
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
