/* docker top: the columns that ps would print for these arguments, filled from
 * our own table of processes; there is no ps to ask. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <time.h>

#include "api/api.h"
#include "util/alloc.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/clock.h"

struct row {
	const struct process_info *p;
	uint32_t parent;
	int64_t now_ns;
};
enum { CELL_MAX = 64 };

/* ---- cells ---- */

static int64_t elapsed_s(const struct row *r)
{
	int64_t s = (r->now_ns - (int64_t)r->p->start_ns) / 1000000000;

	return s > 0 ? s : 0;
}

static void put_pid(const struct row *r, char *t)
{
	snprintf(t, CELL_MAX, "%u", r->p->host_pid);
}
static void put_ppid(const struct row *r, char *t)
{
	snprintf(t, CELL_MAX, "%u", r->parent);
}
static void put_uid(const struct row *r, char *t)
{
	snprintf(t, CELL_MAX, "%u", r->p->uid);
}
static void put_user(const struct row *r, char *t)
{
	snprintf(t, CELL_MAX, r->p->uid ? "%u" : "root", r->p->uid);
}
static void put_state(const struct row *r, char *t)
{
	snprintf(t, CELL_MAX, "%c", r->p->state ? r->p->state : 'S');
}
static void put_tty(const struct row *r, char *t)
{
	snprintf(t, CELL_MAX, "%s", r->p->tty ? "pts/0" : "?");
}
static void put_rss(const struct row *r, char *t)
{
	snprintf(t, CELL_MAX, "%llu", (unsigned long long)r->p->rss_bytes / 1024);
}
static void put_vsz(const struct row *r, char *t)
{
	snprintf(t, CELL_MAX, "%llu", (unsigned long long)r->p->vsz_bytes / 1024);
}
static void put_comm(const struct row *r, char *t)
{
	snprintf(t, CELL_MAX, "%.15s", r->p->comm);
}
static void put_one(const struct row *r, char *t)
{
	(void)r;
	memcpy(t, "1", 2);
}
static void put_etimes(const struct row *r, char *t)
{
	snprintf(t, CELL_MAX, "%lld", (long long)elapsed_s(r));
}

/* ps's STAT: a session leader has an s. */
static void put_stat(const struct row *r, char *t)
{
	snprintf(t, CELL_MAX, "%c%s", r->p->state ? r->p->state : 'S', r->p->pid == 1 ? "s" : "");
}

static void put_duration(char *t, long long s, const char *hours)
{
	if (s >= 86400)
		snprintf(t, CELL_MAX, "%lld-%02lld:%02lld:%02lld", s / 86400, s / 3600 % 24, s / 60 % 60, s % 60);
	else if (s >= 3600 || *hours)
		snprintf(t, CELL_MAX, "%02lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
	else
		snprintf(t, CELL_MAX, "%02lld:%02lld", s / 60, s % 60);
}

static void put_time(const struct row *r, char *t)
{
	put_duration(t, (long long)(r->p->cpu_ns / 1000000000), "always");
}
static void put_etime(const struct row *r, char *t)
{
	put_duration(t, elapsed_s(r), "");
}

/* The BSD form: minutes and seconds. */
static void put_minutes(const struct row *r, char *t)
{
	long long s = (long long)(r->p->cpu_ns / 1000000000);

	snprintf(t, CELL_MAX, "%lld:%02lld", s / 60, s % 60);
}

static double cpu_share(const struct row *r)
{
	int64_t s = elapsed_s(r);

	return s ? 100.0 * (double)r->p->cpu_ns / 1e9 / (double)s : 0;
}

static void put_pcpu(const struct row *r, char *t)
{
	snprintf(t, CELL_MAX, "%.1f", cpu_share(r));
}
static void put_c(const struct row *r, char *t)
{
	snprintf(t, CELL_MAX, "%.0f", cpu_share(r));
}

static void put_pmem(const struct row *r, char *t)
{
	struct sysinfo si;

	sysinfo(&si);
	snprintf(t, CELL_MAX, "%.1f", 100.0 * (double)r->p->rss_bytes / ((double)si.totalram * si.mem_unit));
}

static void put_when(const struct row *r, char *t, const char *format)
{
	time_t s = (time_t)(r->p->start_ns / 1000000000);
	struct tm tm;

	strftime(t, CELL_MAX, format, localtime_r(&s, &tm));
}

static void put_stime(const struct row *r, char *t)
{
	put_when(r, t, elapsed_s(r) < 86400 ? "%H:%M" : "%b%d");
}
static void put_start(const struct row *r, char *t)
{
	put_when(r, t, elapsed_s(r) < 86400 ? "%H:%M:%S" : "%b %d");
}

/* put NULL: the command line, which has no limit of a cell. */
struct column {
	const char *name, *title;
	void (*put)(const struct row *r, char *text);
};

static const struct column columns[] = {
	{ "%cpu", "%CPU", put_pcpu },
	{ "%mem", "%MEM", put_pmem },
	{ "args", "COMMAND", NULL },
	{ "c", "C", put_c },
	{ "cmd", "CMD", NULL },
	{ "comm", "COMMAND", put_comm },
	{ "command", "COMMAND", NULL },
	{ "cputime", "TIME", put_time },
	{ "etime", "ELAPSED", put_etime },
	{ "etimes", "ELAPSED", put_etimes },
	{ "euid", "EUID", put_uid },
	{ "euser", "EUSER", put_user },
	{ "nlwp", "NLWP", put_one },
	{ "pcpu", "%CPU", put_pcpu },
	{ "pid", "PID", put_pid },
	{ "pmem", "%MEM", put_pmem },
	{ "ppid", "PPID", put_ppid },
	{ "rss", "RSS", put_rss },
	{ "ruid", "RUID", put_uid },
	{ "ruser", "RUSER", put_user },
	{ "s", "S", put_state },
	{ "start", "STARTED", put_start },
	{ "stat", "STAT", put_stat },
	{ "state", "S", put_state },
	{ "stime", "STIME", put_stime },
	{ "time", "TIME", put_time },
	{ "tname", "TTY", put_tty },
	{ "tt", "TT", put_tty },
	{ "tty", "TT", put_tty },
	{ "ucmd", "CMD", put_comm },
	{ "uid", "UID", put_uid },
	{ "user", "USER", put_user },
	{ "vsize", "VSZ", put_vsz },
	{ "vsz", "VSZ", put_vsz },
};

static const struct column full[] = {
	{ "", "UID", put_user },    { "", "PID", put_pid }, { "", "PPID", put_ppid }, { "", "C", put_c },
	{ "", "STIME", put_stime }, { "", "TTY", put_tty }, { "", "TIME", put_time }, { "", "CMD", NULL },
};
static const struct column user[] = {
	{ "", "USER", put_user },   { "", "PID", put_pid },      { "", "%CPU", put_pcpu }, { "", "%MEM", put_pmem },
	{ "", "VSZ", put_vsz },     { "", "RSS", put_rss },      { "", "TTY", put_tty },   { "", "STAT", put_stat },
	{ "", "START", put_stime }, { "", "TIME", put_minutes }, { "", "COMMAND", NULL },
};
static const struct column brief[] = {
	{ "", "PID", put_pid },
	{ "", "TTY", put_tty },
	{ "", "TIME", put_time },
	{ "", "CMD", put_comm },
};
static const struct column bsd[] = {
	{ "", "PID", put_pid },      { "", "TTY", put_tty },  { "", "STAT", put_stat },
	{ "", "TIME", put_minutes }, { "", "COMMAND", NULL },
};

/* ---- arguments ---- */

enum { COLUMNS_MAX = 40 };

struct top {
	struct request *req;
	struct container *container;
	struct column columns[COLUMNS_MAX];
	char *titles[COLUMNS_MAX];  /* given ones: "pid=NUMBER" */
	size_t n;
};

static void top_free(struct top *t)
{
	container_unref(t->container);
	for (size_t i = 0; i < t->n; i++)
		free(t->titles[i]);
	free(t);
}

static void use(struct top *t, const struct column *set, size_t n)
{
	if (t->n > 0)
		return; /* what -o says goes before */
	memcpy(t->columns, set, n * sizeof(*set));
	t->n = n;
}

static int fail(struct error *err, const char *what, const char *word)
{
	return error_set(err, -EINVAL, "ps: error: %s \"%.60s\"", what, word);
}

/* "pid,comm=NAME". */
static int add_columns(struct top *t, char *list, struct error *err)
{
	char *word;

	while ((word = strsep(&list, ", "))) {
		char *title = strchr(word, '=');
		size_t i;

		if (!*word)
			continue;
		if (title)
			*title++ = '\0';
		for (i = 0; i < ARRAY_SIZE(columns) && strcmp(columns[i].name, word); i++)
			;
		if (i == ARRAY_SIZE(columns) || t->n == COLUMNS_MAX)
			return fail(err, "unknown user-defined format specifier", word);
		if (title && strcmp(title, "PID") == 0 && strcmp(word, "pid"))
			return error_set(err, -EINVAL, "specifying \"%.60s=%.60s\" is not allowed", word, title);
		t->columns[t->n] = columns[i];
		t->titles[t->n++] = title && *title ? xstrdup(title) : NULL;
	}
	return 0;
}

/* What each letter of one argument asks for; 'o' takes the rest or the next argument. */
static int take_argument(struct top *t, char *word, char **rest, char *shape, struct error *err)
{
	bool is_unix = word[0] == '-' && strcmp(word, "-aux"); /* which ps takes for "aux" */
	char *all = word;

	for (word += word[0] == '-'; *word; word++) {
		if (*word == 'o') {
			char *list = word[1] ? word + 1 : strsep(rest, " ");

			return list && *list ? add_columns(t, list, err) :
					       error_set(err, -EINVAL, "ps: error: format specification must follow o");
		}
		if (is_unix ? *word == 'f' || *word == 'F' : *word == 'u')
			*shape = is_unix ? 'f' : 'u';
		else if (!is_unix && *shape == 'b')
			*shape = 's';
		if (!strchr(is_unix ? "eAadfFwH" : "axgufwe", *word))
			return fail(err, "unsupported option", all);
	}
	return 0;
}

static int parse(struct top *t, const char *text, struct error *err)
{
	CLEANUP(freep) char *copy = xstrdup(text && *text ? text : "-ef");
	char *rest = copy, *word, shape = 'b';

	while ((word = strsep(&rest, " ")))
		if (*word && take_argument(t, word, &rest, &shape, err) < 0)
			return err->code;
	if (shape == 'f')
		use(t, full, ARRAY_SIZE(full));
	else if (shape == 'u')
		use(t, user, ARRAY_SIZE(user));
	else
		use(t, shape == 's' ? bsd : brief, shape == 's' ? ARRAY_SIZE(bsd) : ARRAY_SIZE(brief));
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->titles[i] ? t->titles[i] : t->columns[i].title, "PID") == 0)
			return 0;
	return error_set(err, -EINVAL, "Couldn't find PID field in ps output");
}

/* ---- the reply ---- */

/* The table has the container's numbers; what is shown is the host's. */
static uint32_t host_pid(const struct process_info *rows, size_t n, uint32_t pid)
{
	for (size_t i = 0; i < n; i++)
		if (rows[i].pid == pid)
			return rows[i].host_pid;
	return 0;
}

static json_t *cells_of(const struct top *t, const struct row *r)
{
	json_t *cells = json_array();

	for (size_t i = 0; i < t->n; i++) {
		char text[CELL_MAX] = "";
		json_t *cell;

		if (t->columns[i].put)
			t->columns[i].put(r, text);
		cell = json_string(t->columns[i].put ? text : r->p->command);
		json_array_append_new(cells, cell ? cell : json_string("?"));
	}
	return cells;
}

static void on_top(void *arg, const struct process_info *rows, size_t n, const struct error *err)
{
	struct top *t = arg;
	json_t *titles = json_array(), *processes = json_array();

	for (size_t i = 0; !err && i < t->n; i++)
		json_array_append_new(titles, json_string(t->titles[i] ? t->titles[i] : t->columns[i].title));
	for (size_t i = 0; !err && i < n; i++) {
		struct row r = { &rows[i], host_pid(rows, n, rows[i].ppid), clock_wall_ns() };

		json_array_append_new(processes, cells_of(t, &r));
	}
	if (err) {
		json_decref(titles);
		json_decref(processes);
		reply_error(t->req, err);
	} else {
		engine_container_event(api_engine(t->req), t->container, "top", NULL);
		reply_json(t->req, 200, json_pack("{s:o, s:o}", "Titles", titles, "Processes", processes));
	}
	top_free(t);
}

void ContainerTop(struct request *req)
{
	struct container *c = api_container(req);
	struct error err = { 0 };
	struct top *t;

	if (!c)
		return;
	t = xnew(struct top);
	t->req = req;
	t->container = container_ref(c);
	if (parse(t, request_query(req, "ps_args"), &err) < 0 || engine_top(api_engine(req), c, on_top, t, &err) < 0) {
		reply_error(req, &err);
		top_free(t);
	}
}
