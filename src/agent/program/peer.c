/* A connection to a daemon: its messages become calls upon sessions. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <sockerless/version.h>

#include "agent/program/session.h"
#include "util/alloc.h"

void peer_error(struct peer *p, const char *id, int code, const char *message)
{
	agent_conn_send_json(
		p->conn, json_pack("{s:s, s:s, s:i, s:s}", "type", "error", "id", id, "code", code, "message", message));
}

static void on_stdin(struct peer *p, const struct message *m)
{
	struct session *s = session_find(p, m->id);
	struct buf data;

	buf_init(&data, WS_MESSAGE_MAX);
	if (s && message_data(m, &data) == 0 && data.len > 0)
		session_stdin(s, data.data, data.len);
	buf_done(&data);
}

static void on_signal(struct peer *p, const struct message *m)
{
	struct session *s = session_find(p, m->id);
	const char *name = message_text(m, "signal");
	int signo = name ? signal_by_name(name) : 0;
	uint64_t number = (uint64_t)message_number(m, "number", 0);

	if (!s || signo <= 0 || (number && number <= s->nsignals)) /* it has come before: the daemon could not know */
		return;
	s->nsignals = number ? number : s->nsignals;
	session_signal(s, signo);
}

/* Who it is, and what it knows. An older connection of the same daemon's is over. */
static void on_resume(struct peer *p, const struct message *m)
{
	const char *daemon = message_text(m, "daemon");

	if (!p->is_ours || p->is_resumed || !daemon) {
		peer_error(p, "", 0, "resume comes once, and first");
		return;
	}
	list_for_each_safe(it, &agent.peers) {
		struct peer *other = container_of(it, struct peer, link);

		if (other != p && other->daemon && strcmp(other->daemon, daemon) == 0)
			agent_conn_close(other->conn, WS_CLOSE_GOING_AWAY, "another connection takes its place");
	}
	list_for_each_safe(it, &agent.sessions) {
		struct session *s = container_of(it, struct session, link);

		if (s->is_ours && s->daemon && strcmp(s->daemon, daemon) == 0)
			session_away(s);
	}
	p->daemon = xstrdup(daemon);
	p->is_resumed = true;
	session_resume(p, json_object_get(m->json, "sessions"));
}

static void on_query(struct peer *p, const struct message *m)
{
	const char *what = message_text(m, "what");
	json_t *answer = json_null();

	if (what && strcmp(what, "top") == 0)
		answer = tree_top();
	else if (what && strcmp(what, "stats") == 0)
		answer = tree_stats();
	else if (what && strcmp(what, "pause") == 0)
		tree_pause(true);
	else if (what && strcmp(what, "unpause") == 0)
		tree_pause(false);
	agent_conn_send_json(p->conn, json_pack("{s:s, s:s, s:o}", "type", "answer", "id", m->id, "value", answer));
}

static void on_release(struct peer *p, const struct message *m)
{
	struct session *s = session_find(p, m->id);
	bool is_over = s && s->is_main && s->has_exited;

	if (s)
		session_free(s, true);
	if (is_over)
		main_maybe_end();
}

static void on_text(struct peer *p, const struct message *m)
{
	struct session *s;

	switch (m->type) {
	case MESSAGE_EXEC: session_exec(p, m); break;
	case MESSAGE_ATTACH: session_attach(p, m); break;
	case MESSAGE_FILES: session_files(p, m); break;
	case MESSAGE_STDIN: on_stdin(p, m); break;
	case MESSAGE_SIGNAL: on_signal(p, m); break;
	case MESSAGE_RESUME: on_resume(p, m); break;
	case MESSAGE_QUERY: on_query(p, m); break;
	case MESSAGE_RELEASE: on_release(p, m); break;
	case MESSAGE_END: agent_finish(0);
	case MESSAGE_CLOSE_STDIN:
		s = session_find(p, m->id);
		if (s)
			session_close_stdin(s);
		break;
	case MESSAGE_RESIZE:
		s = session_find(p, m->id);
		if (s)
			session_resize(s, (unsigned)message_number(m, "width", 0), (unsigned)message_number(m, "height", 0));
		break;
	default: peer_error(p, m->id, 0, "unknown message type"); break;
	}
}

static void on_binary(struct peer *p, const void *data, size_t len)
{
	struct session *s;
	struct frame f;

	if (!p->is_ours || frame_parse(data, len, &f) < 0 || (f.kind != FRAME_STDIN && f.kind != FRAME_ACK)) {
		agent_conn_close(p->conn, WS_CLOSE_PROTOCOL, "a binary frame that is none of ours");
		return;
	}
	s = session_by_channel(p, f.channel);
	if (!s)
		return; /* it has just ended */
	if (f.kind == FRAME_STDIN ? flow_in_add(&s->in, f.len) < 0 : flow_out_ack(&s->out, f.total) < 0) {
		agent_conn_close(p->conn, WS_CLOSE_PROTOCOL, "a session beyond its window");
		return;
	}
	if (f.kind == FRAME_STDIN) {
		session_stdin(s, f.data, f.len);
	} else {
		session_pump(s);
		session_update_flow(s);
	}
}

static void on_message(void *arg, bool is_binary, const void *data, size_t len)
{
	struct peer *p = arg;
	struct message m;

	if (is_binary) {
		on_binary(p, data, len);
	} else if (message_parse(data, len, &m) < 0) {
		if (p->is_ours)
			agent_conn_close(p->conn, WS_CLOSE_PROTOCOL, "a message that is none");
		else
			say("a message that is none was ignored");
	} else {
		on_text(p, &m);
		message_done(&m);
	}
}

/* Each of those that wait gets its turn, as far as the queue takes them. */
static void on_drained(void *arg)
{
	struct peer *p = arg;
	struct list turn;

	list_init(&turn);
	list_for_each_safe(it, &p->waiting) {
		list_remove(it);
		list_append(&turn, it);
	}
	while (!list_is_empty(&turn)) {
		struct session *s = container_of(turn.next, struct session, waiting);

		list_remove(&s->waiting);
		session_update_flow(s);
		session_pump(s); /* which may free it */
	}
}

static void on_closed(void *arg, const char *reason)
{
	struct peer *p = arg;

	list_for_each_safe(it, &agent.sessions) {
		struct session *s = container_of(it, struct session, link);

		if (s->peer == p)
			session_away(s);
	}
	list_remove(&p->link);
	if (p->gone)
		p->gone(p->arg, reason);
	peers_changed();
	free(p->channels);
	free(p->daemon);
	free(p);
}

static const struct agent_conn_events events = { on_message, on_drained, on_closed };

static json_t *hello(void)
{
	struct utsname u = { 0 };
	struct sysinfo info = { 0 };

	uname(&u);
	sysinfo(&info);
	return json_pack("{s:s, s:s, s:s, s:s, s:i, s:I, s:i, s:b, s:b}", "type", "hello", "version",
			 SOCKERLESS_VERSION, "arch", u.machine, "kernel", u.release, "cpus",
			 (int)sysconf(_SC_NPROCESSORS_ONLN), "memory", (json_int_t)info.totalram * info.mem_unit, "pid",
			 (int)getpid(), "main", agent.main != NULL, "alone", getpid() == 1);
}

struct peer *peer_new(int take_fd, bool is_server, bool has_protocol, const void *early, size_t early_len,
		      void (*gone)(void *arg, const char *reason), void *arg, struct error *err)
{
	struct peer *p = xnew(struct peer);
	int r;

	list_init(&p->waiting);
	list_append(&agent.peers, &p->link);
	p->is_ours = has_protocol;
	p->gone = gone;
	p->arg = arg;
	r = agent_conn_new(agent.loop, take_fd, is_server, early, early_len, &events, p, &p->conn);
	if (r < 0) {
		list_remove(&p->link);
		free(p);
		error_set(err, r, "the connection cannot be used: %s", error_text(-r));
		return NULL;
	}
	if (has_protocol && !is_server)
		agent_conn_send_json(p->conn, hello());
	peers_changed();
	return p;
}

void peer_welcome(struct peer *p, const char *response)
{
	agent_conn_preface(p->conn, response);
	if (p->is_ours)
		agent_conn_send_json(p->conn, hello());
}
