#include "drivers/launchers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/launchers_internal.h"
#include "util/alloc.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

enum { CHECK_MS = 30000, TOLD_MAX = 8192, AGAIN_MS = 60000, ASKED_AGAIN_MS = 1000 };

/* ---- what is there ---- */

static void read_facts(struct launcher *l)
{
	FILE *f = fopen(l->path, "re");
	char line[256], word[64];
	int n;

	for (int i = 0; f && i < 20 && fgets(line, sizeof(line), f) && (line[0] == '#' || line[0] == '\n'); i++) {
		if (sscanf(line, "# root: %63s", word) == 1)
			l->root = strcmp(word, "overlay") == 0 ? LAUNCHER_OVERLAY :
				  strcmp(word, "copy") == 0    ? LAUNCHER_COPY :
								 LAUNCHER_NONE;
		else if (sscanf(line, "# where: %63s", word) == 1)
			l->is_remote = strcmp(word, "remote") == 0;
		else if (sscanf(line, "# grade: %d", &n) == 1)
			l->grade = n;
	}
	if (f)
		fclose(f);
}

static bool is_name(const char *name)
{
	return *name && strlen(name) < 64 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name);
}

static void read_dir(struct launchers *ls, const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && ls->n < LAUNCHERS_MAX && (e = readdir(d))) {
		CLEANUP(freep) char *file = xasprintf("%s/%s", path, e->d_name);
		struct launcher *l;

		if (!is_name(e->d_name) || launchers_find(ls, e->d_name) || access(file, X_OK) < 0)
			continue;
		l = &ls->v[ls->n++];
		*l = (struct launcher){ .name = xstrdup(e->d_name), .path = realpath(file, NULL) };
		if (!l->path)
			l->path = xstrdup(file);
		read_facts(l);
	}
	if (d)
		closedir(d);
}

struct launchers *launchers_new(const struct launchers_options *o)
{
	struct launchers *ls = xnew(struct launchers);
	CLEANUP(freep) char *dirs = xstrdup(o->dirs ? o->dirs : "");
	char *save = NULL;

	ls->loop = o->loop;
	ls->agent_path = xstrdup(o->agent_path);
	ls->data_root = xstrdup(o->data_root);
	ls->native = xstrdup(o->native ? o->native : "auto");
	ls->callback = xstrdup(o->callback);
	ls->authorities = xstrdup(o->authorities);
	ls->again_ns = INT64_C(1000000) * (o->again_ms ? o->again_ms : AGAIN_MS);
	list_init(&ls->waiting);
	list_init(&ls->runs);
	list_init(&ls->sweeps);
	if (ls->agent_path)
		for (char *dir = strtok_r(dirs, ":", &save); dir; dir = strtok_r(NULL, ":", &save))
			read_dir(ls, dir);
	launches_sweep(ls);
	return ls;
}

const struct launcher *launchers_find(const struct launchers *ls, const char *name)
{
	for (size_t i = 0; i < ls->n; i++)
		if (strcmp(ls->v[i].name, name) == 0)
			return &ls->v[i];
	return NULL;
}

const struct launcher *launchers_next(const struct launchers *ls, const struct launcher *after)
{
	size_t i = after ? (size_t)(after - ls->v) + 1 : 0;

	return i < ls->n ? &ls->v[i] : NULL;
}

/* ---- which of them work: each is asked, one after the other ---- */

struct check {
	struct launchers *owner;
	struct launcher *launcher;
	bool is_alone;
	uv_process_t process;
	uv_pipe_t out;
	uv_timer_t deadline;
	unsigned handles;
	bool is_late;
	int64_t status;
	int signo;
	size_t len;
	char said[200], rest[1024];
};

static void check_next(struct launchers *ls);

static void check_done(uv_handle_t *h)
{
	struct check *c = h->data;
	struct launchers *ls = c->owner;
	struct launcher *l = c->launcher;

	if (--c->handles > 0)
		return;
	ls->checking = NULL;
	if (ls->is_freed) {
		launchers_free_memory(ls);
		free(c);
		return;
	}
	c->said[strcspn(c->said, "\n")] = '\0';
	if (!c->is_late && c->status == 0 && c->signo == 0) {
		l->is_wanted_again = false;
		l->state = LAUNCHER_WORKS;
		l->is_alone = c->is_alone;
	} else if (!c->is_alone && l->root == LAUNCHER_COPY) {
		ls->alone_next = l;
	} else {
		l->is_wanted_again = false;
		l->state = LAUNCHER_FAILS;
		l->failed_ns = clock_monotonic_ns();
		snprintf(l->why, sizeof(l->why), "%s",
			 c->is_late ? "it does not answer" :
			 c->said[0] ? c->said :
				      "its check fails");
	}
	free(c);
	check_next(ls);
}

static void on_check_exit(uv_process_t *p, int64_t status, int signo)
{
	struct check *c = p->data;
	ssize_t n;
	int fd;

	/* What it said last may not have been read yet. */
	if (uv_fileno((uv_handle_t *)&c->out, &fd) == 0 && c->len + 1 < sizeof(c->said)) {
		n = read(fd, c->said + c->len, sizeof(c->said) - 1 - c->len);
		c->len += n > 0 ? (size_t)n : 0;
	}
	c->status = status;
	c->signo = signo;
	uv_close((uv_handle_t *)&c->process, check_done);
	uv_close((uv_handle_t *)&c->deadline, check_done);
	uv_close((uv_handle_t *)&c->out, check_done);
}

static void on_late(uv_timer_t *t)
{
	struct check *c = t->data;

	c->is_late = true;
	kill(-c->process.pid, SIGKILL);
}

static void on_alloc(uv_handle_t *h, size_t size, uv_buf_t *buf)
{
	struct check *c = h->data;

	(void)size;
	*buf = c->len + 1 < sizeof(c->said) ? uv_buf_init(c->said + c->len, (unsigned)(sizeof(c->said) - 1 - c->len)) :
					      uv_buf_init(c->rest, sizeof(c->rest));
}

static void on_said(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct check *c = s->data;

	if (n > 0 && buf->base == c->said + c->len)
		c->len += (size_t)n;
	if (n < 0)
		uv_read_stop(s);
}

static void check(struct launchers *ls, struct launcher *l, bool is_alone)
{
	struct check *c = xnew(struct check);
	uv_stdio_container_t stdio[3] = { { .flags = UV_IGNORE },
					  { .flags = UV_IGNORE },
					  { .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&c->out } };
	char *argv[8];
	uv_process_options_t options = {
		.exit_cb = on_check_exit, .stdio = stdio, .stdio_count = 3, .flags = UV_PROCESS_DETACHED, .args = argv
	};
	size_t n = launcher_prefix(argv, is_alone);
	int r;

	argv[n++] = l->path;
	argv[n++] = (char *)"--check";
	argv[n] = NULL;
	options.file = argv[0];
	c->owner = ls;
	c->launcher = l;
	c->is_alone = is_alone;
	ls->checking = c;
	uv_pipe_init(ls->loop, &c->out, 0);
	uv_timer_init(ls->loop, &c->deadline);
	c->process.data = c->out.data = c->deadline.data = c;
	c->handles = 3;
	r = uv_spawn(ls->loop, &c->process, &options);
	if (r < 0) {
		snprintf(c->said, sizeof(c->said), "%s", uv_strerror(r));
		on_check_exit(&c->process, 127, 0);
		return;
	}
	uv_timer_start(&c->deadline, on_late, CHECK_MS, 0);
	uv_read_start((uv_stream_t *)&c->out, on_alloc, on_said);
}

static bool takes_part(const struct launchers *ls, const struct launcher *l)
{
	return strcmp(ls->native, "auto") == 0 ? l->grade > 0 && !l->is_remote : strcmp(ls->native, l->name) == 0;
}

/* Of those that do not fail: what is not known yet counts. */
static struct launcher *best(struct launchers *ls)
{
	struct launcher *found = NULL;

	if (strcmp(ls->native, "none") == 0)
		return NULL;
	for (size_t i = 0; i < ls->n; i++) {
		struct launcher *l = &ls->v[i];

		if (takes_part(ls, l) && l->state != LAUNCHER_FAILS && (!found || l->grade > found->grade))
			found = l;
	}
	return found;
}

char *launchers_tell(struct launchers *ls)
{
	struct launcher *l = best(ls);
	const char *separator = " (";
	char *text;
	struct buf b;

	if (l && l->state == LAUNCHER_UNKNOWN)
		return xstrdup("not tried yet: the first container with native programs does");
	buf_init(&b, TOLD_MAX);
	if (l)
		buf_printf(&b, "launcher %s", l->name);
	else
		buf_printf(&b, "the sandbox: %s", strcmp(ls->native, "none") == 0 ? "--native none" : "no launcher works here");
	for (size_t i = 0; i < ls->n; i++) {
		if (!takes_part(ls, &ls->v[i]) || ls->v[i].state != LAUNCHER_FAILS)
			continue;
		buf_printf(&b, "%s%s: %s", separator, ls->v[i].name, ls->v[i].why);
		separator = "; ";
	}
	if (*separator == ';')
		buf_puts(&b, ")");
	text = xstrdup(b.data);
	buf_done(&b);
	return text;
}

struct waiting {
	struct list link;
	struct launcher *launcher; /* NULL: the best */
	void (*known)(void *arg);
	void *arg;
};

static bool has_failed_for(const struct launcher *l, int64_t ns)
{
	return l->state == LAUNCHER_FAILS && clock_monotonic_ns() - l->failed_ns >= ns;
}

static bool is_open(const struct launcher *l)
{
	return l->state == LAUNCHER_UNKNOWN || l->is_wanted_again;
}

/* What is to be checked now: those that were asked for by name, then from the best downwards until one works, then what
 * failed a while ago, for which nobody waits. */
static struct launcher *next_to_check(struct launchers *ls)
{
	struct launcher *l;

	list_for_each(it, &ls->waiting) {
		l = container_of(it, struct waiting, link)->launcher;
		if (l)
			return l;
	}
	l = best(ls);
	if (l && l->state == LAUNCHER_UNKNOWN)
		return l;
	for (size_t i = 0; i < ls->n; i++)
		if (ls->v[i].is_wanted_again)
			return &ls->v[i];
	return NULL;
}

/* In the log once, until it is another one. */
static void log_choice(struct launchers *ls)
{
	char *told = launchers_tell(ls);

	if (ls->told && strcmp(ls->told, told) == 0) {
		free(told);
		return;
	}
	free(ls->told);
	ls->told = told;
	log_info("images with native programs go to %s", told);
}

/* The first who waits for this one (NULL: for the best) is told. False: nobody does. */
static bool tell_one(struct launchers *ls, const struct launcher *l)
{
	list_for_each(it, &ls->waiting) {
		struct waiting *w = container_of(it, struct waiting, link), copy = *w;

		if (w->launcher != l)
			continue;
		list_remove(it);
		free(w);
		copy.known(copy.arg);
		return true;
	}
	return false;
}

static void check_next(struct launchers *ls)
{
	struct launcher *l;

	for (size_t i = 0; i < ls->n; i++)
		while (!is_open(&ls->v[i]) && tell_one(ls, &ls->v[i])) {
		}
	l = best(ls);
	if (!l || l->state != LAUNCHER_UNKNOWN) {
		log_choice(ls);
		while (tell_one(ls, NULL)) {
		}
	}
	if (ls->checking) /* or whoever was told has asked for more */
		return;
	if (ls->alone_next) { /* perhaps without a namespace */
		l = ls->alone_next;
		ls->alone_next = NULL;
		check(ls, l, true);
		return;
	}
	l = next_to_check(ls);
	if (l)
		check(ls, l, geteuid() == 0);
}

/* Better ones than that which works are tried again beside it; where nothing works whoever asks waits for them. */
static void try_again(struct launchers *ls, const struct launcher *than)
{
	for (size_t i = 0; i < ls->n; i++) {
		struct launcher *l = &ls->v[i];

		if (!takes_part(ls, l) || !has_failed_for(l, ls->again_ns) || (than && l->grade <= than->grade))
			continue;
		if (than)
			l->is_wanted_again = true;
		else
			l->state = LAUNCHER_UNKNOWN;
	}
}

const struct launcher *launchers_best(struct launchers *ls, bool *ret_is_known)
{
	struct launcher *l = best(ls);

	if (!l || l->state == LAUNCHER_WORKS)
		try_again(ls, l);
	l = best(ls);
	*ret_is_known = !l || l->state == LAUNCHER_WORKS;
	if (next_to_check(ls))
		check_next(ls);
	return *ret_is_known ? l : NULL;
}

bool launchers_is_known(const struct launcher *l)
{
	if (l->state == LAUNCHER_FAILS)
		return !l->is_wanted_again && !has_failed_for(l, INT64_C(1000000) * ASKED_AGAIN_MS);
	return geteuid() == 0 || l->root != LAUNCHER_COPY || l->state != LAUNCHER_UNKNOWN;
}

void launchers_when_known(struct launchers *ls, const struct launcher *l, void (*known)(void *arg), void *arg)
{
	struct waiting *w = xnew(struct waiting);

	w->launcher = l ? &ls->v[l - ls->v] : NULL;
	if (l && l->state == LAUNCHER_FAILS)
		w->launcher->is_wanted_again = true;
	w->known = known;
	w->arg = arg;
	list_append(&ls->waiting, &w->link);
	check_next(ls);
}

/* ---- the end ---- */

void launchers_free_memory(struct launchers *ls)
{
	if (ls->checking || !list_is_empty(&ls->runs))
		return;
	for (size_t i = 0; i < ls->n; i++) {
		free(ls->v[i].name);
		free(ls->v[i].path);
	}
	free(ls->agent_path);
	free(ls->data_root);
	free(ls->native);
	free(ls->callback);
	free(ls->authorities);
	free(ls->told);
	free(ls);
}

void launchers_free(struct launchers *ls)
{
	ls->is_freed = true;
	list_for_each_safe(it, &ls->waiting)
		free(container_of(it, struct waiting, link));
	list_init(&ls->waiting);
	if (ls->checking)
		kill(-ls->checking->process.pid, SIGKILL);
	launches_drop(ls);
	launchers_free_memory(ls);
}
