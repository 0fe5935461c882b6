/* Which containers a list's filters can mean, out of indexes: by label, by a
 * part of the name, by id, by having a process. It narrows; the caller looks. */
#include <stdlib.h>
#include <string.h>

#include "store/containers.h"
#include "util/alloc.h"
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
}

void narrow_update(struct containers *cs, struct container *c)
{
	(container_is_live(c) ? index_put : index_drop)(&cs->by_life, "live", c);
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

bool containers_narrow(const struct containers *cs, const struct narrowing *by, struct container *const **ret, size_t *ret_n)
{
	const struct index_row *best = NULL;

	if (by->is_live)
		take_shorter(&best, index_get(&cs->by_life, "live"));
	by_labels(cs, by->labels, &best);
	by_name_part(cs, by->name_parts, &best);
	if (!best)
		return false;
	*ret = best->v;
	*ret_n = best->n;
	return true;
}
