/* GET /containers/json: newest first, and no further than the limit. */
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/filters.h"
#include "api/versions.h"
#include "engine/networks.h"
#include "image/images.h"
#include "util/alloc.h"
#include "util/buf.h"
#include "util/cleanup.h"

/* A query, prepared once: what costs per container is only looking. */
struct listing {
	struct engine *engine;
	json_t *filters;
	bool all;
	int64_t limit;               /* 0: none */
	regex_t *names;              /* those that are expressions */
	size_t nnames;
	json_t *plain_names;         /* those that are not: parts of a name */
	json_t *ancestors;           /* ids of images → true */
	json_t *networks;            /* as given, and their names and ids → true */
	const char *network;         /* the only one that was asked for; borrowed; NULL: none, or several */
	json_t *published, *exposed; /* "80/tcp" → true */
	const struct container *before, *since;
	struct container **ids;      /* of filter "id", oldest first */
	size_t nids;
};

static const char *const known[] = { "ancestor", "before",    "exited", "expose", "health",  "id",
				     "is-task",  "isolation", "label",  "name",   "network", "publish",
				     "since",    "status",    "volume", NULL };

/* ---- preparing ---- */

static int check_words(struct listing *l, const char *key, const char *what, const char *const *words, size_t n,
		       struct error *err)
{
	json_t *v;
	size_t i, k;

	json_array_foreach(json_object_get(l->filters, key), i, v) {
		const char *word = json_string_value(v);
		struct buf all;

		for (k = 0; k < n && strcmp(words[k], word); k++)
			;
		if (k < n)
			continue;
		buf_init(&all, 1024);
		for (k = 0; k < n; k++)
			buf_printf(&all, "%s%s", k ? ", " : "", words[k]);
		error_set_class(err, ERROR_INVALID,
				"invalid filter '%s=%.100s': invalid value for %s (%.100s): must be one of %s", key,
				word, what, word, all.data);
		buf_done(&all);
		return err->code;
	}
	return 0;
}

static int check_exited(struct listing *l, struct error *err)
{
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(l->filters, "exited"), i, v) {
		const char *text = json_string_value(v);
		char *end;

		strtol(text, &end, 10);
		if (!*text || *end)
			return error_set_class(err, ERROR_INVALID,
					       "invalid filter 'exited=%.100s': strconv.Atoi: parsing \"%.100s\": invalid syntax",
					       text, text);
	}
	return 0;
}

/* Go's expressions as POSIX knows them: "\d", "(?:", and "(?i)" in front. */
static int compile(regex_t *re, const char *text)
{
	int flags = REG_EXTENDED | REG_NOSUB, r;
	struct buf b;

	buf_init(&b, 1 << 16);
	if (strncmp(text, "(?i)", 4) == 0) {
		flags |= REG_ICASE;
		text += 4;
	}
	for (; *text; text++) {
		if (strncmp(text, "\\d", 2) == 0) {
			buf_puts(&b, "[0-9]");
			text++;
		} else if (strncmp(text, "(?:", 3) == 0) {
			buf_puts(&b, "(");
			text += 2;
		} else {
			buf_append(&b, text, 1);
			if (*text == '\\' && text[1])
				buf_append(&b, ++text, 1);
		}
	}
	r = regcomp(re, b.data ? b.data : "", flags);
	buf_done(&b);
	return r;
}

/* An expression that is none matches nothing, as in Docker. */
static void prepare_names(struct listing *l)
{
	json_t *names = json_object_get(l->filters, "name"), *v;
	size_t i;

	l->plain_names = json_array();
	l->names = xcalloc(json_array_size(names) + 1, sizeof(*l->names));
	json_array_foreach(names, i, v) {
		const char *text = json_string_value(v);

		if (!strpbrk(text, "\\^$.|?*+()[]{}"))
			json_array_append(l->plain_names, v);
		else if (compile(&l->names[l->nnames], text) == 0)
			l->nnames++;
	}
}

static void prepare_ancestors(struct listing *l)
{
	json_t *v;
	size_t i;

	l->ancestors = json_object();
	json_array_foreach(json_object_get(l->filters, "ancestor"), i, v) {
		struct image *image;

		if (images_find(l->engine->images, json_string_value(v), &image, NULL) == 0)
			json_object_set_new(l->ancestors, image->id, json_true());
	}
}

static void prepare_networks(struct listing *l)
{
	json_t *v;
	size_t i;

	l->networks = json_object();
	json_array_foreach(json_object_get(l->filters, "network"), i, v) {
		struct network *n;

		json_object_set_new(l->networks, json_string_value(v), json_true());
		if (networks_find(l->engine->networks, json_string_value(v), &n, NULL) < 0)
			continue;
		json_object_set_new(l->networks, n->name, json_true());
		json_object_set_new(l->networks, n->id, json_true());
		l->network = json_array_size(json_object_get(l->filters, "network")) == 1 ? n->name : NULL;
	}
}

static int prepare_ports(struct listing *l, const char *key, json_t **ret, struct error *err)
{
	unsigned first, last;
	char protocol[8];
	json_t *v;
	size_t i;

	*ret = json_object();
	json_array_foreach(json_object_get(l->filters, key), i, v) {
		const char *text = json_string_value(v);

		if (strchr(text, ':'))
			return error_set_class(err, ERROR_INVALID, "filter for '%s' should not contain ':': %.100s", key, text);
		if (!port_parse(text, &first, &last, protocol))
			return error_set_class(err, ERROR_INVALID, "error while looking up for %s %.100s: invalid port",
					       key, text);
		for (unsigned n = first; n <= last; n++) {
			CLEANUP(freep) char *port = xasprintf("%u/%s", n, protocol);

			json_object_set_new(*ret, port, json_true());
		}
	}
	return 0;
}

/* before, since: another container; the last one said counts. */
static int prepare_other(struct listing *l, const char *key, const struct container **ret, struct error *err)
{
	struct container *other;
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(l->filters, key), i, v) {
		if (containers_find(&l->engine->containers, json_string_value(v), &other, err) < 0)
			return err->code;
		*ret = other;
	}
	return 0;
}

static int by_age(const void *a, const void *b)
{
	const struct container *x = *(struct container *const *)a, *y = *(struct container *const *)b;

	return (x->age > y->age) - (x->age < y->age);
}

/* Beginnings of one container's id; those of several mean none, as in Docker. */
static void prepare_ids(struct listing *l)
{
	json_t *ids = json_object_get(l->filters, "id"), *v;
	struct container *c;
	size_t i, n = 0;

	l->ids = xcalloc(json_array_size(ids) + 1, sizeof(*l->ids));
	json_array_foreach(ids, i, v)
		if (containers_find(&l->engine->containers, json_string_value(v), &c, NULL) == 0 &&
		    strncmp(c->id, json_string_value(v), json_string_length(v)) == 0)
			l->ids[n++] = c;
	qsort(l->ids, n, sizeof(*l->ids), by_age);
	for (i = 0; i < n; i++)
		if (i == 0 || l->ids[i] != l->ids[i - 1])
			l->ids[l->nids++] = l->ids[i];
}

static int prepare(struct listing *l, struct error *err)
{
	static const char *const states[] = { "created", "running", "paused", "restarting", "removing", "exited", "dead" };
	static const char *const healths[] = { "none", "starting", "healthy", "unhealthy" };
	bool is_task;

	if (check_exited(l, err) < 0 || check_words(l, "status", "state", states, ARRAY_SIZE(states), err) < 0 ||
	    !filters_bool(l->filters, "is-task", false, &is_task, err) ||
	    check_words(l, "health", "health", healths, ARRAY_SIZE(healths), err) < 0 ||
	    prepare_other(l, "before", &l->before, err) < 0 || prepare_other(l, "since", &l->since, err) < 0 ||
	    prepare_ports(l, "publish", &l->published, err) < 0 || prepare_ports(l, "expose", &l->exposed, err) < 0)
		return err->code;
	l->all = l->all || filters_has(l->filters, "status");
	prepare_ids(l);
	prepare_names(l);
	prepare_ancestors(l);
	prepare_networks(l);
	return 0;
}

static void listing_done(struct listing *l)
{
	for (size_t i = 0; i < l->nnames; i++)
		regfree(&l->names[i]);
	free(l->names);
	free(l->ids);
	json_decref(l->plain_names);
	json_decref(l->ancestors);
	json_decref(l->networks);
	json_decref(l->published);
	json_decref(l->exposed);
	json_decref(l->filters);
}

/* ---- looking at one ---- */

static const struct container *as_container(const void *object)
{
	return object;
}
static bool match_status(const void *o, const char *v)
{
	return strcmp(container_status_name(as_container(o)->state.status), v) == 0;
}
static bool match_health(const void *o, const char *v)
{
	return strcmp(health_status_name(as_container(o)->state.health.status), v) == 0;
}
static bool match_task(const void *o, const char *v)
{
	(void)o;
	return strcmp(v, "false") == 0 || strcmp(v, "0") == 0;
}

static bool match_exited(const void *o, const char *v)
{
	const struct container *c = o;

	return !container_is_live(c) && c->state.started_ns && c->state.exit_code == atoi(v);
}

static bool match_volume(const void *o, const char *v)
{
	const struct container *c = o;

	for (size_t i = 0; i < c->nmounts; i++) {
		const struct container_mount *m = &c->mounts[i];
		const char *name = m->name ? m->name : m->source;

		if (strcmp(m->destination, v) == 0 || (name && strcmp(name, v) == 0))
			return true;
	}
	return false;
}

static bool matches_network(const struct listing *l, const struct container *c)
{
	json_t *endpoints = json_object_get(c->networking, "EndpointsConfig"), *v;
	const char *name;

	if (!filters_has(l->filters, "network"))
		return true;
	if (!endpoints)
		return json_object_get(l->networks, network_mode_of(c)) != NULL;
	json_object_foreach(endpoints, name, v)
		if (json_object_get(l->networks, name))
			return true;
	return false;
}

/* With its slash and without. */
static bool matches_name(const struct listing *l, const struct container *c)
{
	char name[512];
	json_t *v;
	size_t i;

	if (l->nnames == 0 && !filters_has(l->filters, "name"))
		return true;
	snprintf(name, sizeof(name), "/%s", c->name);
	json_array_foreach(l->plain_names, i, v)
		if (strstr(name, json_string_value(v)))
			return true;
	for (i = 0; i < l->nnames; i++)
		if (regexec(&l->names[i], name, 0, NULL, 0) == 0 || regexec(&l->names[i], name + 1, 0, NULL, 0) == 0)
			return true;
	return false;
}

static bool matches_ports(const struct listing *l, const struct container *c)
{
	json_t *ports, *v;
	bool is_match = false;
	size_t i;

	if (json_object_size(l->published) == 0 && json_object_size(l->exposed) == 0)
		return true;
	ports = view_ports(l->engine, c);
	json_array_foreach(ports, i, v) {
		const char *type = json_string_value(json_object_get(v, "Type"));
		json_int_t public = json_integer_value(json_object_get(v, "PublicPort"));
		CLEANUP(freep)
		char *inner = xasprintf("%d/%s", (int)json_integer_value(json_object_get(v, "PrivatePort")), type);
		CLEANUP(freep) char *outer = xasprintf("%d/%s", (int)public, type);

		is_match = is_match || json_object_get(l->exposed, inner) || (public && json_object_get(l->published, outer));
	}
	json_decref(ports);
	return is_match;
}

static bool is_listed(const struct listing *l, const struct container *c)
{
	if (!container_is_live(c) && !l->all && l->limit <= 0)
		return false;
	return matches_name(l, c) && filters_any(l->filters, "is-task", match_task, c) &&
	       filters_labels(l->filters, json_object_get(c->config, "Labels")) &&
	       filters_any(l->filters, "exited", match_exited, c) &&
	       filters_any(l->filters, "status", match_status, c) && filters_any(l->filters, "health", match_health, c) &&
	       filters_any(l->filters, "volume", match_volume, c) && matches_network(l, c) &&
	       (!filters_has(l->filters, "ancestor") || json_object_get(l->ancestors, c->image_id)) && matches_ports(l, c);
}

/* ---- the list ---- */

struct found {
	struct container **v;
	size_t n, size;
};

static void found_add(struct found *f, struct container *c)
{
	if (f->n == f->size) {
		f->size = f->size ? 2 * f->size : 64;
		f->v = xrealloc(f->v, f->size * sizeof(*f->v));
	}
	f->v[f->n++] = container_ref(c);
}

/* What the list goes over, newest first: the few that the indexes leave, or all. */
struct candidates {
	struct container *const *few;
	size_t left;
	bool is_narrow;
	struct list *at, *end;
};

/* Every state asked for is one of a container with a process, or soon again. */
static bool wants_live(const struct listing *l)
{
	json_t *states = json_object_get(l->filters, "status"), *v;
	bool is = l->all ? json_array_size(states) > 0 : l->limit <= 0;
	size_t i;

	json_array_foreach(states, i, v)
		is = is && (strcmp(json_string_value(v), "running") == 0 || strcmp(json_string_value(v), "paused") == 0 ||
			    strcmp(json_string_value(v), "restarting") == 0);
	return is;
}

static struct candidates candidates_of(const struct listing *l)
{
	struct containers *cs = &l->engine->containers;
	struct narrowing by = { .labels = json_object_get(l->filters, "label"),
				.volumes = json_object_get(l->filters, "volume"),
				.network = l->network,
				.healths = json_object_get(l->filters, "health"),
				.name_parts = l->nnames == 0 && json_array_size(l->plain_names) == 1 ? l->plain_names : NULL,
				.is_live = wants_live(l) };
	struct candidates s = { .at = cs->by_age.prev, .end = &cs->by_age };

	if (filters_has(l->filters, "id")) {
		s.is_narrow = true;
		s.few = l->ids;
		s.left = l->nids;
	} else {
		s.is_narrow = containers_narrow(cs, &by, &s.few, &s.left);
	}
	return s;
}

static struct container *next_candidate(struct candidates *s)
{
	struct container *c;

	if (s->is_narrow)
		return s->left ? s->few[--s->left] : NULL;
	if (s->at == s->end)
		return NULL;
	c = container_of(s->at, struct container, by_age);
	s->at = s->at->prev;
	return c;
}

/* `found` NULL: no sizes are wanted. */
static json_t *collect(const struct listing *l, struct found *found)
{
	struct candidates from = candidates_of(l);
	json_t *list = json_array();
	struct container *c;

	while ((l->limit <= 0 || (int64_t)json_array_size(list) < l->limit) && (c = next_candidate(&from))) {
		if (l->since && c->age <= l->since->age)
			break;
		if ((l->before && c->age >= l->before->age) || !is_listed(l, c))
			continue;
		json_array_append_new(list, view_container_summary(l->engine, c));
		if (found)
			found_add(found, c);
	}
	return list;
}

void ContainerList(struct request *req)
{
	struct listing l = { .engine = api_engine(req), .all = request_query_bool(req, "all") };
	bool is_sized = request_query_bool(req, "size");
	struct found found = { 0 };
	struct error err = { 0 };
	json_t *list;

	l.filters = filters_parse(req, known, &err);
	if (!l.filters || request_query_int(req, "limit", 0, &l.limit, &err) < 0 || prepare(&l, &err) < 0) {
		listing_done(&l);
		reply_error(req, &err);
		return;
	}
	list = collect(&l, is_sized ? &found : NULL);
	versions_shape(SHAPE_CONTAINER_SUMMARY, list, request_api_version(req));
	listing_done(&l);
	if (is_sized)
		api_reply_sized(req, list, found.v, found.n);
	else
		reply_json(req, 200, list);
}
