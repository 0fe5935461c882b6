#include "agent/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/handshake.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/list.h"
#include "util/log.h"
#include "util/map.h"

enum { VISITORS_MAX = 1000, HEAD_MS = 10000, LISTENERS_MAX = 8, SAID_MAX = 10 };

struct expected {
	char *id, *token, *instance; /* instance: of the agent that has come; NULL: none yet */
	struct agent_link *link;
	bool is_over, has_said;
};

struct door {
	struct list link;
	struct agent_registry *registry;
	bool is_tls;
	uv_poll_t poll;
	int fd;
};

/* Somebody whose head is being read. */
struct visitor {
	struct list link;
	struct agent_registry *registry;
	uv_poll_t poll;
	uv_timer_t deadline;
	int fd;
	unsigned handles;
	size_t len;
	char head[HANDSHAKE_HEAD_MAX];
};

/* Somebody whose TLS is being agreed upon. */
struct greeting {
	struct list link;
	struct agent_registry *registry;
	struct tls_relay *relay;
};

struct agent_registry {
	uv_loop_t *loop;
	struct tls_context *tls; /* the doors' certificate; NULL: none */
	struct map by_id;
	struct list doors, visitors, greetings;
	size_t nvisitors; /* with the greetings */
	unsigned said_unknown, said_tls; /* lines of the log; said_tls: of this minute */
	uint64_t minute;
};

/* ---- who is expected ---- */

struct agent_registry *agent_registry_new(uv_loop_t *loop)
{
	struct agent_registry *r = xnew(struct agent_registry);

	r->loop = loop;
	map_init(&r->by_id);
	list_init(&r->doors);
	list_init(&r->visitors);
	list_init(&r->greetings);
	return r;
}

static void expected_free(struct expected *e)
{
	free(e->id);
	free(e->token);
	free(e->instance);
	free(e);
}

void agent_registry_expect(struct agent_registry *r, const char *id, const char *token, struct agent_link *link)
{
	struct expected *e = map_get(&r->by_id, id);

	if (!e) {
		e = xnew(struct expected);
		e->id = xstrdup(id);
		map_put(&r->by_id, id, e);
	}
	if (e->is_over || !e->token) {
		free(e->token);
		free(e->instance);
		e->token = xstrdup(token);
		e->instance = NULL;
		e->is_over = e->has_said = false;
	}
	e->link = link;
}

const char *agent_registry_token(const struct agent_registry *r, const char *id)
{
	struct expected *e = map_get(&r->by_id, id);

	return e && !e->is_over ? e->token : NULL;
}

void agent_registry_end(struct agent_registry *r, const char *id)
{
	struct expected *e = map_get(&r->by_id, id);

	if (!e)
		return;
	e->is_over = true;
	e->link = NULL;
}

void agent_registry_forget(struct agent_registry *r, const char *id)
{
	struct expected *e = map_remove(&r->by_id, id);

	if (e)
		expected_free(e);
}

/* ---- one who comes ---- */

struct caller {
	char *id, *token, *instance, *key;
	bool is_ours;
};

static void caller_done(struct caller *c)
{
	free(c->id);
	free(c->token);
	free(c->instance);
	free(c->key);
}

/* The token may stand in the query or, as the Go agent has it, in a header. */
static const char *read_caller(const char *head, size_t len, struct caller *ret)
{
	CLEANUP(freep) char *target = handshake_target(head, len);
	CLEANUP(freep) char *bearer = handshake_header(head, len, "Authorization");
	CLEANUP(freep) char *protocols = handshake_header(head, len, "Sec-WebSocket-Protocol");

	if (!target || strncmp(target, AGENT_PATH, strlen(AGENT_PATH)) != 0 ||
	    (target[strlen(AGENT_PATH)] && target[strlen(AGENT_PATH)] != '?'))
		return "not found";
	ret->id = handshake_query(target, "id");
	ret->token = handshake_query(target, "token");
	ret->instance = handshake_query(target, "instance");
	if (!ret->token && bearer && strncmp(bearer, "Bearer ", 7) == 0)
		ret->token = xstrdup(bearer + 7);
	ret->is_ours = handshake_list_has(protocols, AGENT_PROTOCOL);
	return handshake_fault(head, len, &ret->key);
}

static int say_refusal(struct expected *e, const struct caller *c, int status, const char *why)
{
	bool *said = e ? &e->has_said : NULL;

	if (!said || !*said)
		log_warn("agent of container %.12s refused: %s", c->id ? c->id : "?", why);
	if (said)
		*said = true;
	return status;
}

/* 101, or the status that it is refused with. Containers that are not and tokens that are wrong look the same. */
static int judge(struct agent_registry *r, const struct caller *c, struct expected **ret)
{
	struct expected *e = c->id ? map_get(&r->by_id, c->id) : NULL;

	if (!e || !token_equal(c->token, e->token)) {
		if (!e && ++r->said_unknown > SAID_MAX)
			return 401;
		return say_refusal(e, c, 401, e ? "wrong token" : "no such container waits for one");
	}
	if (e->is_over)
		return say_refusal(e, c, 410, "its container has ended");
	if (!e->link)
		return 503;
	if (e->instance && strcmp(e->instance, c->instance ? c->instance : "") != 0)
		return say_refusal(e, c, 409, "another agent serves this container");
	if (e->instance && !*e->instance && agent_link_is_up(e->link))
		return say_refusal(e, c, 409, "an agent serves this container already");
	*ret = e;
	return 101;
}

static void refuse(int take_fd, int status)
{
	CLEANUP(freep)
	char *text = handshake_refusal(status, "application/json", "{\"message\":\"this agent is not expected here\"}\n");

	if (send(take_fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("an agent left before it was refused");
	shutdown(take_fd, SHUT_WR);
	close(take_fd);
}

static void take(struct agent_registry *r, int take_fd, const char *head, size_t len, const char *early, size_t early_len)
{
	CLEANUP(freep) char *response = NULL;
	struct expected *e = NULL;
	struct caller c = { 0 };
	const char *fault = read_caller(head, len, &c);
	int status = !fault ? judge(r, &c, &e) : strcmp(fault, "not found") == 0 ? 404 : 400;

	if (status != 101) {
		refuse(take_fd, status);
	} else {
		response = handshake_response(c.key, c.is_ours);
		if (!e->instance)
			e->instance = xstrdup(c.instance ? c.instance : "");
		if (agent_link_connect(e->link, take_fd, true, c.is_ours, response, early, early_len) < 0)
			close(take_fd);
	}
	caller_done(&c);
}

bool agent_registry_claims(const char *head, size_t len)
{
	static const char wanted[] = "GET " AGENT_PATH;
	size_t n = strlen(wanted);

	return len > n && len <= HANDSHAKE_HEAD_MAX && memcmp(head, wanted, n) == 0 && strchr("? ", head[n]);
}

void agent_registry_claim(void *ctx, const char *head, size_t len, int take_fd)
{
	char copy[HANDSHAKE_HEAD_MAX];

	(void)head;
	if (recv(take_fd, copy, len, MSG_DONTWAIT) == (ssize_t)len)
		take(ctx, take_fd, copy, len, NULL, 0);
	else /* it was there a moment ago */
		close(take_fd);
}

/* ---- heads that are read here ---- */

static void on_visitor_closed(uv_handle_t *h)
{
	struct visitor *v = h->data;

	if (--v->handles == 0)
		free(v);
}

/* The descriptor is the caller's from here on. */
static int leave(struct visitor *v)
{
	int fd = v->fd;

	list_remove(&v->link);
	v->registry->nvisitors--;
	uv_close((uv_handle_t *)&v->poll, on_visitor_closed);
	uv_close((uv_handle_t *)&v->deadline, on_visitor_closed);
	return fd;
}

static void on_deadline(uv_timer_t *t)
{
	close(leave(t->data));
}

static void on_head(uv_poll_t *poll, int status, int events)
{
	struct visitor *v = poll->data;
	ssize_t n = recv(v->fd, v->head + v->len, sizeof(v->head) - v->len, MSG_DONTWAIT);
	int head;

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR) && status == 0)
		return;
	v->len += n > 0 ? (size_t)n : 0;
	head = handshake_head_length(v->head, v->len);
	if (n <= 0 || head < 0) {
		close(leave(v));
		return;
	}
	if (head > 0) /* the memory stays until the handles have closed */
		take(v->registry, leave(v), v->head, (size_t)head, v->head + head, v->len - (size_t)head);
}

void agent_registry_enter(struct agent_registry *r, int take_fd, bool is_patient)
{
	struct visitor *v;

	if (r->nvisitors >= VISITORS_MAX) {
		close(take_fd);
		return;
	}
	v = xnew(struct visitor);
	v->registry = r;
	v->fd = take_fd;
	v->handles = 2;
	fcntl(take_fd, F_SETFL, fcntl(take_fd, F_GETFL) | O_NONBLOCK);
	list_append(&r->visitors, &v->link);
	r->nvisitors++;
	uv_poll_init(r->loop, &v->poll, take_fd);
	uv_timer_init(r->loop, &v->deadline);
	v->poll.data = v->deadline.data = v;
	uv_poll_start(&v->poll, UV_READABLE, on_head);
	if (!is_patient)
		uv_timer_start(&v->deadline, on_deadline, HEAD_MS, 0);
}

/* ---- listeners ---- */

/* Strangers must not fill the log. */
static void say_no_tls(struct agent_registry *r, const char *why)
{
	uint64_t minute = uv_now(r->loop) / 60000;

	if (r->minute != minute)
		r->said_tls = 0;
	r->minute = minute;
	if (r->said_tls++ < SAID_MAX)
		log_warn("a connection to --agent-listen was refused: %s", why);
}

static void on_greeted(void *arg, int take_fd, const char *why)
{
	struct greeting *g = arg;
	struct agent_registry *r = g->registry;

	list_remove(&g->link);
	r->nvisitors--;
	free(g);
	if (take_fd >= 0)
		agent_registry_enter(r, take_fd, false);
	else
		say_no_tls(r, why);
}

static void greet(struct agent_registry *r, int take_fd)
{
	struct greeting *g;

	if (r->nvisitors >= VISITORS_MAX) {
		close(take_fd);
		return;
	}
	g = xnew(struct greeting);
	g->registry = r;
	list_append(&r->greetings, &g->link);
	r->nvisitors++;
	g->relay = tls_relay_start(r->loop, r->tls, take_fd, NULL, on_greeted, g);
}

static void on_door_closed(uv_handle_t *h)
{
	struct door *d = h->data;

	close(d->fd);
	free(d);
}

static void on_knock(uv_poll_t *poll, int status, int events)
{
	struct door *d = poll->data;

	(void)status, (void)events;
	for (int i = 0; i < LISTENERS_MAX; i++) {
		int fd = accept4(d->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		if (d->is_tls)
			greet(d->registry, fd);
		else
			agent_registry_enter(d->registry, fd, false);
	}
}

void agent_registry_set_tls(struct agent_registry *r, struct tls_context *take_tls)
{
	tls_unref(r->tls);
	r->tls = take_tls;
}

int agent_registry_listen(struct agent_registry *r, int take_fd, bool is_tls, struct error *err)
{
	struct door *d = xnew(struct door);
	int result = uv_poll_init(r->loop, &d->poll, take_fd);

	if (result < 0) {
		close(take_fd);
		free(d);
		return error_set(err, result, "the agents' listener cannot be watched: %s", uv_strerror(result));
	}
	d->registry = r;
	d->fd = take_fd;
	d->is_tls = is_tls;
	d->poll.data = d;
	list_append(&r->doors, &d->link);
	uv_poll_start(&d->poll, UV_READABLE, on_knock);
	return 0;
}

void agent_registry_free(struct agent_registry *r)
{
	const struct map_entry *entry;
	size_t pos = 0;

	if (!r)
		return;
	list_for_each_safe(it, &r->doors)
		uv_close((uv_handle_t *)&container_of(it, struct door, link)->poll, on_door_closed);
	while (!list_is_empty(&r->visitors))
		close(leave(container_of(r->visitors.next, struct visitor, link)));
	list_for_each_safe(it, &r->greetings) {
		struct greeting *g = container_of(it, struct greeting, link);

		tls_relay_cancel(g->relay);
		free(g);
	}
	tls_unref(r->tls);
	while ((entry = map_next(&r->by_id, &pos)))
		expected_free(entry->value);
	map_done(&r->by_id);
	free(r);
}
