#include "agent/program/session.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"
#include "util/cleanup.h"

enum { SESSIONS_MAX = 20000, WORDS_MAX = 1 << 20, GROUPS_MAX = 1024 };

static bool is_plain_full(const struct session *s)
{
	return s->peer && agent_conn_is_full(s->peer->conn);
}

/* ---- output ---- */

bool session_is_open(const struct session *s)
{
	return s->is_ours ? flow_out_room(&s->out) > 0 : !is_plain_full(s);
}

static void tell_exit(struct session *s)
{
	if (!s->has_exited || s->is_exit_told || !s->peer || !flow_out_is_sent(&s->out))
		return;
	s->is_exit_told = true;
	agent_conn_send_json(s->peer->conn, json_pack("{s:s, s:s, s:i}", "type", "exit", "id", s->id, "code", s->code));
	if (!s->is_ours)
		session_free(s, false);
}

void session_update_flow(struct session *s)
{
	if (s->is_main)
		main_flow();
	else if (s->child)
		child_flow(s->child, session_is_open(s));
}

void session_pump(struct session *s)
{
	struct peer *p = s->peer;
	const struct flow_chunk *c;
	unsigned char head[FRAME_HEAD_LEN];

	if (!p)
		return;
	while (s->is_ours && !flow_out_is_sent(&s->out)) {
		if (agent_conn_is_full(p->conn)) {
			if (list_is_empty(&s->waiting))
				list_append(&p->waiting, &s->waiting);
			return;
		}
		c = flow_out_next(&s->out);
		if (!c)
			break;
		frame_head(head, c->kind, s->channel);
		agent_conn_send_binary(p->conn, head, sizeof(head), c->data, c->len);
	}
	tell_exit(s);
}

void session_output(struct session *s, enum frame_kind kind, const void *data, size_t len)
{
	struct peer *p = s->peer;

	if (s->is_ours) {
		flow_out_add(&s->out, kind, data, len);
		session_pump(s);
		return;
	}
	if (!p)
		return;
	agent_conn_send_json(p->conn, message_with_data(kind == FRAME_STDERR ? "stderr" : "stdout", s->id, data, len));
	if (agent_conn_is_full(p->conn) && list_is_empty(&s->waiting))
		list_append(&p->waiting, &s->waiting);
}

static void on_output(void *arg, enum frame_kind kind, const void *data, size_t len)
{
	struct session *s = arg;

	session_output(s, kind, data, len);
	if (!session_is_open(s))
		session_update_flow(s);
}

void session_exited(struct session *s, int code)
{
	s->has_exited = true;
	s->code = code;
	tell_exit(s);
}

static void on_exited(void *arg, int code)
{
	struct session *s = arg;

	child_free(s->child, false);
	s->child = NULL;
	session_exited(s, code);
	main_other_ended();
}

bool sessions_are_over(void)
{
	list_for_each(it, &agent.sessions)
		if (container_of(it, struct session, link)->child)
			return false;
	return true;
}

static void tell_consumed(struct session *s)
{
	unsigned char head[FRAME_HEAD_LEN], total[FRAME_ACK_LEN];

	frame_head(head, FRAME_ACK, s->channel);
	frame_put_total(total, s->in.consumed);
	agent_conn_send_binary(s->peer->conn, head, sizeof(head), total, sizeof(total));
}

void session_stdin_written(struct session *s, size_t len)
{
	if (s->is_ours && flow_in_consume(&s->in, len) && s->peer)
		tell_consumed(s);
}

static void on_stdin_written(void *arg, size_t len)
{
	session_stdin_written(arg, len);
}

static void on_reaped(void *arg)
{
	struct session *s = arg;

	if (s->is_whole)
		tree_end_session(s->pid);
}

static const struct child_events child_events = {
	.output = on_output, .reaped = on_reaped, .exited = on_exited, .stdin_written = on_stdin_written
};

/* ---- their life ---- */

static bool is_of(const struct session *s, const struct peer *p)
{
	return p->is_ours ? s->is_ours && p->daemon && s->daemon && strcmp(s->daemon, p->daemon) == 0 : s->peer == p;
}

struct session *session_find(struct peer *p, const char *id)
{
	list_for_each(it, &agent.sessions) {
		struct session *s = container_of(it, struct session, link);

		if (is_of(s, p) && strcmp(s->id, id) == 0)
			return s;
	}
	return NULL;
}

struct session *session_by_channel(struct peer *p, uint32_t channel)
{
	return channel < p->nchannels ? p->channels[channel] : NULL;
}

/* The daemon counts them from 0 and uses them again. */
static void take_channel(struct peer *p, struct session *s)
{
	if (!p->is_ours)
		return;
	if (s->channel >= p->nchannels) {
		size_t n = (size_t)s->channel + 64;

		p->channels = xrealloc(p->channels, n * sizeof(struct session *));
		memset(p->channels + p->nchannels, 0, (n - p->nchannels) * sizeof(struct session *));
		p->nchannels = n;
	}
	p->channels[s->channel] = s;
}

static void leave_channel(struct session *s)
{
	struct peer *p = s->peer;

	if (p && s->channel < p->nchannels && p->channels[s->channel] == s)
		p->channels[s->channel] = NULL;
}

static struct session *session_new(struct peer *p, const struct message *m)
{
	struct session *s = xnew(struct session);

	s->id = xstrdup(m->id);
	s->daemon = xstrdup(p->daemon);
	s->peer = p;
	s->is_ours = p->is_ours;
	s->channel = (uint32_t)message_number(m, "channel", 0);
	s->is_whole = json_is_true(json_object_get(m->json, "whole"));
	flow_out_init(&s->out);
	list_init(&s->waiting);
	list_init(&s->attached);
	list_append(&agent.sessions, &s->link);
	take_channel(p, s);
	return s;
}

void session_free(struct session *s, bool kill_it)
{
	if (s->is_main)
		main_detach(s);
	leave_channel(s);
	child_free(s->child, kill_it);
	list_remove(&s->link);
	list_remove(&s->waiting);
	flow_out_done(&s->out);
	free(s->id);
	free(s->daemon);
	free(s);
}

void session_away(struct session *s)
{
	leave_channel(s);
	s->peer = NULL;
	s->away_ms = uv_now(agent.loop);
	list_remove(&s->waiting);
	if (!s->is_ours)
		session_free(s, true);
}

void sessions_forget_away(void)
{
	list_for_each_safe(it, &agent.sessions) {
		struct session *s = container_of(it, struct session, link);

		if (!s->peer && uv_now(agent.loop) - s->away_ms >= agent.grace_ms)
			session_free(s, true);
	}
}

/* ---- new ones ---- */

static const char *fault_of_new(struct peer *p, const struct message *m)
{
	json_int_t channel = message_number(m, "channel", -1);
	size_t n = 0;

	list_for_each(it, &agent.sessions)
		n++;
	if (!*m->id)
		return "a session needs an id";
	if (p->is_ours && !p->is_resumed)
		return "resume comes first";
	if (p->is_ours && (channel < 0 || channel >= SESSIONS_MAX))
		return "a session needs a channel";
	if (session_find(p, m->id) || (p->is_ours && session_by_channel(p, (uint32_t)channel)))
		return "there is such a session";
	return n >= SESSIONS_MAX ? "too many sessions" : NULL;
}

static void free_words(char **v)
{
	for (size_t i = 0; v && v[i]; i++)
		free(v[i]);
	free(v);
}

/* Strings of an array; NULL when it is none. */
static char **words_of(json_t *array)
{
	size_t n = json_array_size(array);
	char **v;

	if (!json_is_array(array) || n > WORDS_MAX)
		return NULL;
	v = xcalloc(n + 1, sizeof(*v));
	for (size_t i = 0; i < n; i++) {
		json_t *word = json_array_get(array, i);

		if (!json_is_string(word) || strlen(json_string_value(word)) != json_string_length(word)) {
			free_words(v);
			return NULL;
		}
		v[i] = xstrdup(json_string_value(word));
	}
	return v;
}

/* A plain peer's come upon the agent's own. */
static char **environment_of(json_t *array, bool is_whole)
{
	extern char **environ;
	char **v = words_of(array), **all;
	size_t n = 0, k = 0;

	if (is_whole || !v)
		return v;
	while (environ[n])
		n++;
	for (k = 0; v[k];)
		k++;
	all = xcalloc(n + k + 1, sizeof(*all));
	n = 0;
	for (char **e = environ; *e; e++) {
		size_t len = strcspn(*e, "=") + 1;
		bool is_replaced = strncmp(*e, "SOCKERLESS_AGENT_", 17) == 0;

		for (size_t i = 0; v[i]; i++)
			is_replaced = is_replaced || strncmp(v[i], *e, len) == 0;
		if (!is_replaced)
			all[n++] = xstrdup(*e);
	}
	memcpy(all + n, v, k * sizeof(*v));
	free(v);
	return all;
}

static void read_user(const struct message *m, struct child_spec *spec)
{
	json_t *user = json_object_get(m->json, "user"), *groups = json_object_get(user, "groups");
	size_t n = json_array_size(groups);

	if (!json_is_object(user))
		return;
	spec->has_user = true;
	spec->uid = (uid_t)json_integer_value(json_object_get(user, "uid"));
	spec->gid = (gid_t)json_integer_value(json_object_get(user, "gid"));
	spec->ngroups = n < GROUPS_MAX ? n : GROUPS_MAX;
	spec->groups = xcalloc(spec->ngroups + 1, sizeof(*spec->groups));
	for (size_t i = 0; i < spec->ngroups; i++)
		spec->groups[i] = (gid_t)json_integer_value(json_array_get(groups, i));
}

static void read_rlimits(const struct message *m, struct child_spec *spec)
{
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(m->json, "rlimits"), i, v) {
		if (spec->nrlimits == ARRAY_SIZE(spec->rlimits))
			break;
		spec->rlimits[spec->nrlimits].resource = (int)json_integer_value(json_array_get(v, 0));
		spec->rlimits[spec->nrlimits].soft = (uint64_t)json_integer_value(json_array_get(v, 1));
		spec->rlimits[spec->nrlimits++].hard = (uint64_t)json_integer_value(json_array_get(v, 2));
	}
}

/* False: it is malformed. */
static bool read_spec(struct peer *p, const struct message *m, struct child_spec *spec)
{
	json_t *env = json_object_get(m->json, "env");
	const char *cwd = message_text(m, "workdir");

	spec->argv = words_of(json_object_get(m->json, "cmd"));
	if (!spec->argv || !spec->argv[0])
		return false;
	if (env)
		spec->env = environment_of(env, p->is_ours);
	if (env && !spec->env)
		return false;
	spec->cwd = cwd && *cwd ? cwd : NULL;
	spec->tty = json_is_true(json_object_get(m->json, "tty"));
	spec->has_stdin = !p->is_ours || json_is_true(json_object_get(m->json, "stdin"));
	spec->cols = (unsigned)message_number(m, "width", 0);
	spec->rows = (unsigned)message_number(m, "height", 0);
	read_user(m, spec);
	read_rlimits(m, spec);
	return true;
}

static void spec_done(struct child_spec *spec)
{
	free_words(spec->argv);
	free_words(spec->env);
	free(spec->groups);
}

/* Runs what the specification says as the session's own process. */
static void start(struct peer *p, struct session *s, const struct child_spec *spec, bool is_main)
{
	struct error err = { 0 };
	int code = 126, r;

	r = is_main ? main_adopt(s, spec, &code, &err) :
		      child_start(agent.loop, spec, &child_events, s, &s->child, &code, &err);
	if (r < 0) {
		peer_error(p, s->id, code, err.message);
		session_free(s, false);
		return;
	}
	s->pid = (int)child_pid(is_main ? main_child() : s->child);
	if (p->is_ours)
		agent_conn_send_json(p->conn, json_pack("{s:s, s:s, s:i}", "type", "started", "id", s->id, "pid", s->pid));
	session_update_flow(s);
}

void session_exec(struct peer *p, const struct message *m)
{
	const char *fault = fault_of_new(p, m);
	struct child_spec spec = { 0 };

	if (!fault && !read_spec(p, m, &spec))
		fault = "exec needs a command, and an environment of strings";
	if (fault)
		peer_error(p, m->id, 126, fault);
	else
		start(p, session_new(p, m), &spec, p->is_ours && json_is_true(json_object_get(m->json, "main")));
	spec_done(&spec);
}

void session_attach(struct peer *p, const struct message *m)
{
	const char *fault = fault_of_new(p, m);
	struct session *s;

	if (!fault && !agent.main)
		fault = "no main process to attach to";
	if (fault) {
		peer_error(p, m->id, 126, fault);
		return;
	}
	s = session_new(p, m);
	s->is_main = true;
	s->pid = main_child() ? (int)child_pid(main_child()) : 0;
	if (p->is_ours)
		agent_conn_send_json(p->conn, json_pack("{s:s, s:s, s:i}", "type", "started", "id", s->id, "pid", s->pid));
	main_attach(s);
}

void session_files(struct peer *p, const struct message *m)
{
	const char *fault = fault_of_new(p, m), *op = message_text(m, "op"), *path = message_text(m, "path");
	struct files_request r = { 0 };
	struct child_spec spec = { .run = files_run, .ctx = &r };

	if (!p->is_ours || !op || !strchr("sgp", op[0]) || !path || path[0] != '/')
		fault = "files needs an operation and a path";
	if (fault) {
		peer_error(p, m->id, 126, fault);
		return;
	}
	r.op = op[0];
	r.path = (char *)path;
	r.no_overwrite_dir_non_dir = json_is_true(json_object_get(m->json, "no_overwrite"));
	r.is_gzip = json_is_true(json_object_get(m->json, "gzip"));
	r.has_owner = json_is_integer(json_object_get(m->json, "uid"));
	r.uid = (uid_t)message_number(m, "uid", 0);
	r.gid = (gid_t)message_number(m, "gid", 0);
	spec.has_stdin = r.op == 'p';
	start(p, session_new(p, m), &spec, false);
}

/* ---- what is asked of them ---- */

static struct child *child_of(struct session *s)
{
	return s->is_main ? main_child() : s->child;
}

void session_stdin(struct session *s, const void *data, size_t len)
{
	struct child *c = child_of(s);

	if (c)
		child_write(c, data, len);
	else
		session_stdin_written(s, len);
}

void session_close_stdin(struct session *s)
{
	if (child_of(s))
		child_close_stdin(child_of(s));
}

void session_signal(struct session *s, int signo)
{
	if (child_of(s))
		child_signal(child_of(s), signo);
}

void session_resize(struct session *s, unsigned cols, unsigned rows)
{
	if (child_of(s))
		child_resize(child_of(s), rows, cols);
}

/* ---- a daemon comes back ---- */

static json_t *find_listed(json_t *list, const char *id)
{
	json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
		if (json_is_string(json_object_get(v, "id")) && strcmp(json_string_value(json_object_get(v, "id")), id) == 0)
			return v;
	return NULL;
}

/* Takes up again those that the daemon knows, ends those that it does not. Whom it knows and we do not, it is told. */
void session_resume(struct peer *p, json_t *list)
{
	json_t *v, *alive = json_array();
	size_t i;

	list_for_each_safe(it, &agent.sessions) {
		struct session *s = container_of(it, struct session, link);
		json_t *known = is_of(s, p) ? find_listed(list, s->id) : NULL;

		if (!is_of(s, p))
			continue;
		if (!known || flow_out_rewind(&s->out, (uint64_t)json_integer_value(json_object_get(known, "received"))) < 0) {
			session_free(s, true);
			continue;
		}
		s->peer = p;
		take_channel(p, s);
		s->is_exit_told = false;
		tell_consumed(s);
		json_array_append_new(alive, json_pack("{s:s, s:I, s:I, s:i}", "id", s->id, "received",
						       (json_int_t)s->in.received, "signals", (json_int_t)s->nsignals,
						       "pid", s->pid));
	}
	agent_conn_send_json(p->conn, json_pack("{s:s, s:o}", "type", "resume", "sessions", json_incref(alive)));
	json_array_foreach(alive, i, v)
		session_pump(session_find(p, json_string_value(json_object_get(v, "id"))));
	json_decref(alive);
}
