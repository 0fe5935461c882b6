#include "agent/link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/conn.h"
#include "agent/flow.h"
#include "agent/handshake.h"
#include "agent/message.h"
#include "agent/queries.h"
#include "util/alloc.h"
#include "util/list.h"

enum { SESSIONS_MAX = 16384, ATTACH_MS = 300, PLAIN_STDIN_MAX = 32 << 10, SIGNALS_KEPT = 16 };

struct agent_link {
	uv_loop_t *loop;
	struct agent_conn *conn; /* NULL: down */
	const struct agent_link_events *events;
	void *arg;
	struct list sessions, waiting; /* waiting: stdin to be sent */
	struct queries queries;
	struct agent_session **channels;
	size_t nchannels;
	uv_timer_t grace;
	unsigned grace_ms, npaused;
	uint64_t next_id;
	json_t *hello;
	bool is_ours, is_up, was_resumed, is_freed, has_lost;
	char name[TOKEN_LEN + 1];
	char reason[200];
};

enum session_step { SESSION_NEW, SESSION_SENT, SESSION_RUNS, SESSION_OVER };

/* What a session is to be told, one after the other: a callback may change all others. */
enum session_news { NEWS_NONE, NEWS_STARTED, NEWS_LOST };

struct agent_session {
	struct list link, waiting;
	struct agent_link *owner;
	const struct agent_session_events *events;
	void *arg;
	json_t *message;        /* until it has started: it may have to be sent again */
	char id[40];
	uint32_t channel;
	enum session_step step;
	struct flow_out out;    /* stdin */
	struct flow_in in;      /* what comes back */
	size_t held;            /* given on, but not to be acknowledged yet */
	uv_timer_t timer;       /* plain: whether an attach has worked; else a start or end to be told */
	unsigned char signals[SIGNALS_KEPT]; /* the latest: number n stands at (n - 1) % SIGNALS_KEPT */
	uint64_t nsignals, ngot;             /* all of them; those that the agent has got, by its resume */
	enum session_news news;
	int pid;
	bool is_flowing, was_full, is_eof, is_eof_sent, is_known, is_resized;
};

/* ---- sending ---- */

static void send_json(struct agent_link *l, json_t *take)
{
	if (l->conn)
		agent_conn_send_json(l->conn, take);
	else
		json_decref(take);
}

static void send_frame(struct agent_session *s, enum frame_kind kind, const void *data, size_t len)
{
	unsigned char head[FRAME_HEAD_LEN];

	frame_head(head, kind, s->channel);
	agent_conn_send_binary(s->owner->conn, head, sizeof(head), data, len);
}

static void send_open(struct agent_session *s)
{
	json_t *copy = json_copy(s->message);

	json_object_set_new(copy, "id", json_string(s->id));
	if (s->owner->is_ours)
		json_object_set_new(copy, "channel", json_integer(s->channel));
	send_json(s->owner, copy);
	s->step = SESSION_SENT;
}

static void send_simple(struct agent_session *s, const char *type)
{
	send_json(s->owner, json_pack("{s:s, s:s}", "type", type, "id", s->id));
}

static void send_signal(struct agent_session *s, uint64_t number)
{
	char name[16];
	json_t *m = json_pack("{s:s, s:s, s:s}", "type", "signal", "id", s->id, "signal",
			      signal_name(s->signals[(number - 1) % SIGNALS_KEPT], name));

	if (s->owner->is_ours)
		json_object_set_new(m, "number", json_integer((json_int_t)number));
	send_json(s->owner, m);
}

/* Those that went down with an earlier connection, or waited for this one. */
static void send_signals_after(struct agent_session *s, uint64_t got)
{
	uint64_t oldest = s->nsignals > SIGNALS_KEPT ? s->nsignals - SIGNALS_KEPT : 0;

	for (uint64_t n = got > oldest ? got : oldest; n < s->nsignals; n++)
		send_signal(s, n + 1);
}

static void send_size(struct agent_session *s)
{
	json_t *rows = json_object_get(s->message, "height"), *cols = json_object_get(s->message, "width");

	send_json(s->owner, json_pack("{s:s, s:s, s:O, s:O}", "type", "resize", "id", s->id, "width", cols, "height", rows));
}

/* stdin, as far as window and queue allow. */
static void pump(struct agent_session *s)
{
	struct agent_link *l = s->owner;
	const struct flow_chunk *c;

	if (!l->is_up || s->step == SESSION_NEW || s->step == SESSION_OVER)
		return;
	while (!flow_out_is_sent(&s->out)) {
		if (agent_conn_is_full(l->conn)) {
			if (list_is_empty(&s->waiting))
				list_append(&l->waiting, &s->waiting);
			return;
		}
		c = flow_out_next(&s->out);
		if (!c)
			return;
		if (l->is_ours)
			send_frame(s, FRAME_STDIN, c->data, c->len);
		else
			send_json(l, message_with_data("stdin", s->id, c->data, c->len));
		if (!l->is_ours) /* nobody acknowledges */
			flow_out_ack(&s->out, s->out.sent);
	}
	if (s->is_eof && !s->is_eof_sent) {
		s->is_eof_sent = true;
		send_simple(s, "close_stdin");
	}
}

static void tell_drained(struct agent_session *s)
{
	if (!s->was_full || flow_out_room(&s->out) < FLOW_WINDOW / 2)
		return;
	s->was_full = false;
	if (s->events && s->events->drained)
		s->events->drained(s->arg);
}

/* ---- the life of a session ---- */

static void on_timer_closed(uv_handle_t *h)
{
	struct agent_session *s = h->data;

	json_decref(s->message);
	flow_out_done(&s->out);
	free(s);
}

/* Out of the link's sight. Memory goes with the timer. */
static void forget(struct agent_session *s)
{
	struct agent_link *l = s->owner;

	if (!s->is_flowing && l->npaused > 0 && --l->npaused == 0 && l->conn && !l->is_ours)
		agent_conn_pause(l->conn, false);
	s->is_flowing = true;
	list_remove(&s->link);
	list_remove(&s->waiting);
	if (s->channel < l->nchannels && l->channels[s->channel] == s)
		l->channels[s->channel] = NULL;
	s->events = NULL;
	uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}

static void has_started(struct agent_session *s, int pid)
{
	if (s->step != SESSION_SENT)
		return;
	s->step = SESSION_RUNS;
	uv_timer_stop(&s->timer);
	if (s->events)
		s->events->started(s->arg, pid);
}

static void has_ended(struct agent_session *s, int code, const char *reason)
{
	has_started(s, 0); /* a plain agent has no word for it */
	if (s->step == SESSION_OVER)
		return;
	s->step = SESSION_OVER;
	if (s->events)
		s->events->exited(s->arg, code, reason);
}

static void has_failed(struct agent_session *s, int code, const char *message)
{
	if (s->step == SESSION_SENT || s->step == SESSION_NEW) {
		s->step = SESSION_OVER;
		uv_timer_stop(&s->timer);
		if (s->events)
			s->events->failed(s->arg, code, message);
	} else if (s->step == SESSION_RUNS) {
		char line[600];
		int n = snprintf(line, sizeof(line), "%.500s\n", message);

		if (s->events)
			s->events->output(s->arg, 2, line, (size_t)n);
		has_ended(s, code, NULL);
	}
}

static void on_plain_started(uv_timer_t *t)
{
	has_started(t->data, 0);
}

static struct agent_session *new_session(struct agent_link *l, size_t channel)
{
	struct agent_session *s = xnew(struct agent_session);

	s->owner = l;
	s->channel = (uint32_t)channel;
	s->is_flowing = true;
	flow_out_init(&s->out);
	list_init(&s->waiting);
	list_append(&l->sessions, &s->link);
	uv_timer_init(l->loop, &s->timer);
	s->timer.data = s;
	l->channels[channel] = s;
	return s;
}

static bool find_channel(struct agent_link *l, size_t *ret)
{
	size_t i = 0, n = l->nchannels;

	while (i < n && l->channels[i])
		i++;
	if (i >= SESSIONS_MAX)
		return false;
	if (i == n) {
		l->nchannels = n ? 2 * n : 16;
		l->channels = xrealloc(l->channels, l->nchannels * sizeof(*l->channels));
		memset(l->channels + n, 0, (l->nchannels - n) * sizeof(*l->channels));
	}
	*ret = i;
	return true;
}

static void begin(struct agent_session *s)
{
	const char *type = json_string_value(json_object_get(s->message, "type"));

	send_open(s);
	if (!s->owner->is_ours)
		uv_timer_start(&s->timer, on_plain_started, strcmp(type, "attach") == 0 ? ATTACH_MS : 0, 0);
	pump(s);
	send_signals_after(s, 0);
}

struct agent_session *agent_session_open(struct agent_link *l, json_t *take_message,
					 const struct agent_session_events *events, void *arg)
{
	struct agent_session *s;
	size_t channel;

	if (l->has_lost || !find_channel(l, &channel)) {
		json_decref(take_message);
		return NULL;
	}
	s = new_session(l, channel);
	s->message = take_message;
	s->events = events;
	s->arg = arg;
	snprintf(s->id, sizeof(s->id), "%.12s-%llu", l->name, (unsigned long long)l->next_id++);
	if (l->is_up)
		begin(s);
	return s;
}

int agent_session_stdin(struct agent_session *s, const void *data, size_t len)
{
	if (s->step == SESSION_OVER || s->is_eof)
		return -EPIPE;
	flow_out_add(&s->out, FRAME_STDIN, data, len);
	pump(s);
	if (flow_out_room(&s->out) == 0)
		s->was_full = true;
	return s->was_full ? 1 : 0;
}

void agent_session_close_stdin(struct agent_session *s)
{
	s->is_eof = true;
	pump(s);
}

int agent_session_signal(struct agent_session *s, int signo)
{
	if (s->step == SESSION_OVER)
		return -ESRCH;
	if (!s->owner->conn)
		return -ENOTCONN;
	s->signals[s->nsignals++ % SIGNALS_KEPT] = (unsigned char)signo;
	if (s->owner->is_up) /* else with what the agent says of itself first */
		send_signal(s, s->nsignals);
	return 0;
}

void agent_session_resize(struct agent_session *s, unsigned rows, unsigned cols)
{
	/* What it begins with, or begins with again. */
	s->is_resized = true;
	json_object_set_new(s->message, "height", json_integer(rows));
	json_object_set_new(s->message, "width", json_integer(cols));
	if (s->owner->is_up)
		send_size(s);
}

static void send_ack(struct agent_session *s)
{
	unsigned char total[FRAME_ACK_LEN];

	frame_put_total(total, s->in.consumed);
	send_frame(s, FRAME_ACK, total, sizeof(total));
}

static void acknowledge(struct agent_session *s, size_t len)
{
	if (flow_in_consume(&s->in, len) && s->owner->is_up && s->owner->is_ours)
		send_ack(s);
}

void agent_session_flow(struct agent_session *s, bool is_open)
{
	struct agent_link *l = s->owner;

	if (s->is_flowing == is_open)
		return;
	s->is_flowing = is_open;
	l->npaused += is_open ? -1U : 1U;
	/* A plain agent knows no windows: its whole connection waits. */
	if (l->conn && !l->is_ours)
		agent_conn_pause(l->conn, l->npaused > 0);
	if (is_open && s->held > 0) {
		acknowledge(s, s->held);
		s->held = 0;
	}
}

void agent_session_release(struct agent_session *s)
{
	if (!s)
		return;
	if (s->owner->is_up && s->step != SESSION_NEW) {
		if (s->owner->is_ours)
			send_simple(s, "release");
		else if (s->step != SESSION_OVER)
			agent_session_signal(s, 9);
	}
	forget(s);
}

int agent_link_query(struct agent_link *l, const char *what,
		     void (*done)(void *arg, json_t *value, const struct error *err), void *arg)
{
	const char *id;

	if (!l->is_up || !l->is_ours)
		return -ENOTCONN;
	id = queries_add(&l->queries, l->next_id++, done, arg);
	send_json(l, json_pack("{s:s, s:s, s:s}", "type", "query", "id", id, "what", what));
	return 0;
}

/* ---- what the agent says ---- */

static struct agent_session *find(struct agent_link *l, const char *id)
{
	const char *dash = strrchr(id, '-');

	if (!dash || strncmp(id, l->name, 12) != 0)
		return NULL;
	list_for_each(it, &l->sessions) {
		struct agent_session *s = container_of(it, struct agent_session, link);

		if (strcmp(s->id, id) == 0)
			return s;
	}
	return NULL;
}

static void take_output(struct agent_session *s, int stream, const void *data, size_t len)
{
	has_started(s, 0);
	if (s->step == SESSION_RUNS && s->events)
		s->events->output(s->arg, stream, data, len);
}

static void on_data_message(struct agent_session *s, const struct message *m)
{
	struct buf data;

	buf_init(&data, WS_MESSAGE_MAX);
	if (message_data(m, &data) == 0 && data.len > 0)
		take_output(s, m->type == MESSAGE_STDERR ? 2 : 1, data.data, data.len);
	buf_done(&data);
}

/* Our name, and which sessions we have, with how much of each has come. The answer says which of them are there. */
static void send_resume(struct agent_link *l)
{
	json_t *list = json_array();

	list_for_each(it, &l->sessions) {
		struct agent_session *s = container_of(it, struct agent_session, link);

		if (s->step == SESSION_SENT || s->step == SESSION_RUNS)
			json_array_append_new(list, json_pack("{s:s, s:I}", "id", s->id, "received", (json_int_t)s->in.received));
	}
	send_json(l, json_pack("{s:s, s:s, s:o}", "type", "resume", "daemon", l->name, "sessions", list));
}

static void is_now_up(struct agent_link *l)
{
	l->is_up = true;
	uv_timer_stop(&l->grace);
	list_for_each_safe(it, &l->sessions) {
		struct agent_session *s = container_of(it, struct agent_session, link);

		if (s->step == SESSION_NEW)
			begin(s);
	}
	if (l->events)
		l->events->up(l->arg, l->hello);
}

static void mark_known(struct agent_link *l, const struct message *m)
{
	json_t *v, *got;
	size_t i;

	json_array_foreach(json_object_get(m->json, "sessions"), i, v) {
		const char *id = json_string_value(json_object_get(v, "id"));
		struct agent_session *s = id ? find(l, id) : NULL;

		if (!s || flow_out_rewind(&s->out, (uint64_t)json_integer_value(json_object_get(v, "received"))) < 0)
			continue;
		s->is_known = true;
		s->is_eof_sent = false;
		s->pid = (int)json_integer_value(json_object_get(v, "pid"));
		got = json_object_get(v, "signals"); /* older agents do not say: nothing is signalled twice */
		s->ngot = got ? (uint64_t)json_integer_value(got) : s->nsignals;
	}
}

static struct agent_session *next_with(struct agent_link *l, enum session_news news)
{
	list_for_each(it, &l->sessions) {
		struct agent_session *s = container_of(it, struct agent_session, link);

		if (s->news != news)
			continue;
		s->news = NEWS_NONE;
		return s;
	}
	return NULL;
}

/* A session that lived through a connection goes on where the agent is. */
static void take_up(struct agent_session *s)
{
	send_ack(s);
	pump(s);
	if (s->is_resized)
		send_size(s);
	send_signals_after(s, s->ngot);
}

/* Whom the agent does not know: one that never reached it is sent again; another is lost with its agent. */
static void on_resumed(struct agent_link *l, const struct message *m)
{
	struct agent_session *s;

	if (l->is_up)
		return;
	mark_known(l, m);
	list_for_each(it, &l->sessions) {
		s = container_of(it, struct agent_session, link);
		if (!s->is_known && s->step == SESSION_RUNS)
			s->news = NEWS_LOST;
		else if (s->is_known && s->step == SESSION_SENT) /* the word of its beginning went down with its connection */
			s->news = NEWS_STARTED;
		else if (s->step == SESSION_SENT)
			s->step = SESSION_NEW;
	}
	is_now_up(l);
	list_for_each(it, &l->sessions) {
		s = container_of(it, struct agent_session, link);
		if (s->is_known)
			take_up(s);
		s->is_known = false;
	}
	while ((s = next_with(l, NEWS_STARTED)))
		has_started(s, s->pid);
	while ((s = next_with(l, NEWS_LOST)))
		has_ended(s, LINK_LOST_CODE, "the agent that came back does not know this process: it was started anew");
}

static void on_hello(struct agent_link *l, const struct message *m)
{
	json_decref(l->hello);
	l->hello = json_incref(m->json);
	send_resume(l);
}

static void on_session_message(struct agent_link *l, const struct message *m)
{
	struct agent_session *s = find(l, m->id);
	const char *text = message_text(m, "message");

	if (!s)
		return; /* released meanwhile */
	switch (m->type) {
	case MESSAGE_STDOUT:
	case MESSAGE_STDERR: on_data_message(s, m); break;
	case MESSAGE_STARTED: has_started(s, (int)message_number(m, "pid", 0)); break;
	case MESSAGE_EXIT: has_ended(s, (int)message_number(m, "code", 0) & 255, NULL); break;
	case MESSAGE_ERROR:
		has_failed(s, (int)message_number(m, "code", 126), text ? text : "the agent refuses");
		break;
	default: break;
	}
}

static void on_text(struct agent_link *l, const struct message *m)
{
	switch (m->type) {
	case MESSAGE_HELLO:
		if (l->is_ours && !l->is_up)
			on_hello(l, m);
		break;
	case MESSAGE_RESUME: on_resumed(l, m); break;
	case MESSAGE_ANSWER: queries_answer(&l->queries, m->id, json_object_get(m->json, "value")); break;
	case MESSAGE_LIFETIME_EXPIRED:
		snprintf(l->reason, sizeof(l->reason), "the time that its platform gives it is over");
		break;
	default:
		if (*m->id)
			on_session_message(l, m);
	}
}

/* False: it breaks the protocol. */
static bool on_binary(struct agent_link *l, const void *data, size_t len)
{
	struct agent_session *s;
	struct frame f;

	if (!l->is_ours || frame_parse(data, len, &f) < 0 || f.kind == FRAME_STDIN)
		return false;
	s = f.channel < l->nchannels ? l->channels[f.channel] : NULL;
	if (!s)
		return true;
	if (f.kind == FRAME_ACK) {
		if (flow_out_ack(&s->out, f.total) < 0)
			return false;
		pump(s);
		tell_drained(s);
		return true;
	}
	if (flow_in_add(&s->in, f.len) < 0)
		return false;
	s->held += f.len;
	take_output(s, f.kind == FRAME_STDERR ? 2 : 1, f.data, f.len);
	s = f.channel < l->nchannels ? l->channels[f.channel] : NULL; /* it may have been released, and no other taken its place */
	if (s && s->is_flowing && s->held > 0) {
		acknowledge(s, s->held);
		s->held = 0;
	}
	return true;
}

static void on_message(void *arg, bool is_binary, const void *data, size_t len)
{
	struct agent_link *l = arg;
	struct message m;

	if (is_binary) {
		if (!on_binary(l, data, len))
			agent_conn_close(l->conn, WS_CLOSE_PROTOCOL, "it sent a frame that breaks the protocol");
		return;
	}
	if (message_parse(data, len, &m) < 0) {
		agent_conn_close(l->conn, WS_CLOSE_PROTOCOL, "it sent a message that is none");
		return;
	}
	on_text(l, &m);
	message_done(&m);
}

static void on_drained(void *arg)
{
	struct agent_link *l = arg;
	struct list turn;

	list_init(&turn);
	list_for_each_safe(it, &l->waiting) {
		list_remove(it);
		list_append(&turn, it);
	}
	while (!list_is_empty(&turn)) {
		struct agent_session *s = container_of(turn.next, struct agent_session, waiting);

		list_remove(&s->waiting);
		pump(s);
		tell_drained(s);
	}
}

/* ---- connections ---- */

static void on_grace_closed(uv_handle_t *h)
{
	struct agent_link *l = h->data;

	json_decref(l->hello);
	free(l->channels);
	free(l);
}

static void lose(struct agent_link *l, const char *reason)
{
	struct agent_session *s;

	if (l->has_lost)
		return;
	l->has_lost = true;
	list_for_each(it, &l->sessions) {
		s = container_of(it, struct agent_session, link);
		s->news = s->step != SESSION_OVER ? NEWS_LOST : NEWS_NONE;
	}
	while ((s = next_with(l, NEWS_LOST))) {
		if (s->step == SESSION_NEW || s->step == SESSION_SENT)
			has_failed(s, 126, reason);
		else
			has_ended(s, LINK_LOST_CODE, reason);
	}
	if (l->events)
		l->events->lost(l->arg, reason);
}

static void on_grace_over(uv_timer_t *t)
{
	struct agent_link *l = t->data;
	char reason[300];

	snprintf(reason, sizeof(reason), "the agent was lost (%s) and did not come back within %u seconds", l->reason,
		 l->grace_ms / 1000);
	lose(l, reason);
}

static void on_closed(void *arg, const char *reason)
{
	struct agent_link *l = arg;
	bool was_up = l->is_up;

	l->conn = NULL;
	l->is_up = false;
	l->npaused = 0;
	if (!l->reason[0] || was_up)
		snprintf(l->reason, sizeof(l->reason), "%s", reason);
	queries_end(&l->queries, reason);
	if (l->events && !l->has_lost)
		l->events->down(l->arg, l->reason);
	if (l->is_freed || l->has_lost)
		return;
	/* A plain agent kills what a connection began when that ends. */
	uv_timer_start(&l->grace, on_grace_over, l->is_ours ? l->grace_ms : 0, 0);
}

static void on_plain_up(uv_timer_t *t)
{
	is_now_up(t->data);
}

static const struct agent_conn_events conn_events = { on_message, on_drained, on_closed };

int agent_link_connect(struct agent_link *l, int take_fd, bool is_server, bool is_ours, const char *preface,
		       const void *early, size_t early_len)
{
	struct agent_conn *conn;
	int r = agent_conn_new(l->loop, take_fd, is_server, early, early_len, &conn_events, l, &conn);

	if (r < 0)
		return r;
	if (l->conn)
		agent_conn_drop(l->conn);
	l->conn = conn;
	l->is_up = false;
	queries_end(&l->queries, "it has come back by another connection"); /* which brings no answers to what the older one took */
	l->is_ours = is_ours;
	if (preface)
		agent_conn_preface(conn, preface);
	if (!is_ours) /* it says no hello */
		uv_timer_start(&l->grace, on_plain_up, 0, 0);
	return 0;
}

struct agent_link *agent_link_new(uv_loop_t *loop, unsigned grace_ms, const struct agent_link_events *events, void *arg)
{
	struct agent_link *l = xnew(struct agent_link);

	l->loop = loop;
	l->grace_ms = grace_ms;
	l->events = events;
	l->arg = arg;
	list_init(&l->sessions);
	list_init(&l->waiting);
	queries_init(&l->queries);
	token_make(l->name);
	uv_timer_init(loop, &l->grace);
	l->grace.data = l;
	return l;
}

bool agent_link_is_up(const struct agent_link *l)
{
	return l->is_up;
}

bool agent_link_is_ours(const struct agent_link *l)
{
	return l->is_ours;
}

static const struct agent_conn_events no_events;

void agent_link_free(struct agent_link *l, bool ends_agent)
{
	if (!l || l->is_freed)
		return;
	l->is_freed = true;
	l->events = NULL;
	list_for_each_safe(it, &l->sessions)
		agent_session_release(container_of(it, struct agent_session, link));
	queries_end(&l->queries, "the container has ended");
	if (l->conn) {
		if (ends_agent && l->is_ours)
			send_json(l, json_pack("{s:s}", "type", "end"));
		agent_conn_set_events(l->conn, &no_events, NULL);
		agent_conn_close(l->conn, WS_CLOSE_NORMAL, "the daemon needs it no more");
		l->conn = NULL;
	}
	uv_close((uv_handle_t *)&l->grace, on_grace_closed);
}
