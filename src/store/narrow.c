/* Which containers a list's filters can mean, out of indexes: by label, by a
 * part of the name, by id, by having a process. It narrows; the caller looks. */
#include <stdlib.h>
#include <string.h>

#include "store/containers.h"
#include "util/alloc.h"
#include "util/buf.h"
#include "util/cleanup.h"

/* Longer labels are found by their key alone. */
enum { WORD_MAX = 256 };

/* ---- keeping the indexes ---- */

static void each_label(struct containers *cs, struct container *c,
		       void (*act)(struct index *ix, const char *word, struct container *c))
{
	const char *key;
	json_t *value;

	json_object_foreach(json_object_get(c->config, "Labels"), key, value) {
		size_t n = strlen(key) + 1 + json_string_length(value);
		CLEANUP(freep) char *word = NULL;

		if (strlen(key) <= WORD_MAX)
			act(&cs->by_label, key, c);
		if (n > WORD_MAX)
			continue;
		word = xasprintf("%s=%s", key, json_string_value(value) ? json_string_value(value) : "");
		act(&cs->by_label, word, c);
	}
}

struct part_of {
	struct containers *cs;
	struct container *c;
};

static void put_part(void *arg, const char *part)
{
	struct part_of *p = arg;

	index_put(&p->cs->by_part, part, p->c);
}

static void drop_part(void *arg, const char *part)
{
	struct part_of *p = arg;

	index_drop(&p->cs->by_part, part, p->c);
}

static void each_part(struct containers *cs, struct container *c, void (*each)(void *arg, const char *part))
{
	CLEANUP(freep) char *name = xasprintf("/%s", c->name);
	struct part_of p = { cs, c };

	index_parts(name, each, &p);
}

static void add_trait(struct buf *b, const char *kind, const char *value)
{
	if (value && *value && strlen(value) <= WORD_MAX) {
		buf_printf(b, "%s=%s", kind, value);
		buf_append(b, "", 1);
	}
}

/* Most containers are in one of these: no narrowing. */
static bool is_usual_network(const char *name)
{
	static const char *const usual[] = { "default", "bridge", "host", "none" };

	for (size_t i = 0; i < ARRAY_SIZE(usual); i++)
		if (strcmp(usual[i], name) == 0)
			return true;
	return false;
}

static char *traits_of(const struct container *c)
{
	const char *mode = json_string_value(json_object_get(c->host_config, "NetworkMode")), *name;
	json_t *endpoint;
	struct buf b;

	buf_init(&b, 1 << 24);
	for (size_t i = 0; i < c->nmounts; i++) {
		add_trait(&b, "volume", c->mounts[i].name ? c->mounts[i].name : c->mounts[i].source);
		add_trait(&b, "volume", c->mounts[i].destination);
		add_trait(&b, "image", c->mounts[i].image_id);
	}
	add_trait(&b, "image", c->image_id);
	if (mode && !is_usual_network(mode))
		add_trait(&b, "network", mode);
	json_object_foreach(json_object_get(c->networking, "EndpointsConfig"), name, endpoint)
		if (!is_usual_network(name))
			add_trait(&b, "network", name);
	if (c->state.health.status != HEALTH_NONE)
		add_trait(&b, "health", health_status_name(c->state.health.status));
	buf_append(&b, "", 1);
	return buf_steal(&b);
}

static size_t traits_len(const char *traits)
{
	const char *p = traits;

	while (*p)
		p += strlen(p) + 1;
	return (size_t)(p - traits) + 1;
}

static void each_trait(struct containers *cs, struct container *c,
		       void (*act)(struct index *ix, const char *word, struct container *c))
{
	for (const char *p = c->traits; p && *p; p += strlen(p) + 1)
		act(&cs->by_trait, p, c);
}

static void update_traits(struct containers *cs, struct container *c)
{
	char *now = traits_of(c);

	if (c->traits && traits_len(c->traits) == traits_len(now) && memcmp(c->traits, now, traits_len(now)) == 0) {
		free(now);
		return;
	}
	each_trait(cs, c, index_drop);
	free(c->traits);
	c->traits = now;
	each_trait(cs, c, index_put);
}

void narrow_add(struct containers *cs, struct container *c)
{
	each_label(cs, c, index_put);
	each_part(cs, c, put_part);
	narrow_update(cs, c);
}

void narrow_remove(struct containers *cs, struct container *c)
{
	each_label(cs, c, index_drop);
	each_part(cs, c, drop_part);
	index_drop(&cs->by_life, "live", c);
	each_trait(cs, c, index_drop);
	free(c->traits);
	c->traits = NULL;
}

void narrow_update(struct containers *cs, struct container *c)
{
	if (c->is_gone)
		return;
	(container_is_live(c) ? index_put : index_drop)(&cs->by_life, "live", c);
	update_traits(cs, c);
}

void narrow_rename(struct containers *cs, struct container *c, const char *name)
{
	each_part(cs, c, drop_part);
	free(c->name);
	c->name = xstrdup(name);
	each_part(cs, c, put_part);
}

/* ---- asking ---- */

static const struct index_row nothing;

/* The shorter of the two; `row` NULL is what no container has. */
static void take_shorter(const struct index_row **best, const struct index_row *row)
{
	if (!row)
		row = &nothing;
	if (!*best || row->n < (*best)->n)
		*best = row;
}

static void by_labels(const struct containers *cs, json_t *labels, const struct index_row **best)
{
	json_t *v;
	size_t i;

	json_array_foreach(labels, i, v) {
		const char *word = json_string_value(v);
		CLEANUP(freep) char *key = strlen(word) > WORD_MAX ? xstrndup(word, strcspn(word, "=")) : xstrdup(word);

		if (strlen(key) <= WORD_MAX)
			take_shorter(best, index_get(&cs->by_label, key));
	}
}

struct parts_search {
	const struct containers *cs;
	const struct index_row *best;
};

static void look_part(void *arg, const char *part)
{
	struct parts_search *s = arg;

	take_shorter(&s->best, index_get(&s->cs->by_part, part));
}

static void by_name_part(const struct containers *cs, json_t *parts, const struct index_row **best)
{
	struct parts_search s = { cs, NULL };

	if (json_array_size(parts) != 1) /* any of several: their union would have to be made */
		return;
	index_parts(json_string_value(json_array_get(parts, 0)), look_part, &s);
	if (s.best)
		take_shorter(best, s.best);
}

/* NULL where there are none, or several: their union would have to be made. */
static const char *only(json_t *values)
{
	return json_array_size(values) == 1 ? json_string_value(json_array_get(values, 0)) : NULL;
}

/* `is_whole`: what has no row has no container. */
static void by_trait(const struct containers *cs, const char *kind, const char *value, bool is_whole,
		     const struct index_row **best)
{
	CLEANUP(freep) char *word = NULL;
	const struct index_row *row;

	if (!value || strlen(value) > WORD_MAX)
		return;
	word = xasprintf("%s=%s", kind, value);
	row = index_get(&cs->by_trait, word);
	if (row || is_whole)
		take_shorter(best, row);
}

bool containers_narrow(const struct containers *cs, const struct narrowing *by, struct container *const **ret, size_t *ret_n)
{
	const struct index_row *best = NULL;

	if (by->is_live)
		take_shorter(&best, index_get(&cs->by_life, "live"));
	by_labels(cs, by->labels, &best);
	by_name_part(cs, by->name_parts, &best);
	by_trait(cs, "volume", only(by->volumes), true, &best);
	if (by->network && !is_usual_network(by->network))
		by_trait(cs, "network", by->network, true, &best);
	by_trait(cs, "image", by->image_id, true, &best);
	by_trait(cs, "health", only(by->healths), false, &best); /* "none" has no row */
	if (!best)
		return false;
	*ret = best->v;
	*ret_n = best->n;
	return true;
}
