/* Goes over the tables of versions.c: makes newest replies old and old requests new. */
#include <string.h>

#include "api/versions.h"
#include "util/list.h"

/* ---- the places that a path names ---- */

struct place {
	const struct difference *row;
	int api_version;
};

typedef void (*at_place)(json_t *parent, const char *key, const struct place *p);

/* The member, and nobody else's: what is shared with the store is copied before it changes. */
static json_t *own_member(json_t *parent, const char *key)
{
	json_t *v = json_object_get(parent, key);

	if (!v || v->refcount == 1 || !(json_is_object(v) || json_is_array(v)))
		return v;
	v = json_copy(v);
	json_object_set_new(parent, key, v);
	return v;
}

static json_t *own_element(json_t *parent, size_t i)
{
	json_t *v = json_array_get(parent, i);

	if (!v || v->refcount == 1 || !(json_is_object(v) || json_is_array(v)))
		return v;
	v = json_copy(v);
	json_array_set_new(parent, i, v);
	return v;
}

/* Calls `do_it` with each object that the path's last member belongs to; key "" means the object itself. */
static void walk(json_t *at, const char *path, at_place do_it, const struct place *p)
{
	size_t n = strcspn(path, ".");
	const char *rest = path[n] ? path + n + 1 : path + n, *name;
	char key[64];
	void *next;
	json_t *v;

	if (json_is_array(at) && *path == '*') {
		for (size_t i = 0; i < json_array_size(at); i++)
			walk(own_element(at, i), rest, do_it, p);
		return;
	}
	if (!json_is_object(at) || n >= sizeof(key))
		return;
	if (*path == '*') {
		json_object_foreach_safe(at, next, name, v)
			walk(own_member(at, name), rest, do_it, p);
	} else if (!path[n]) {
		do_it(at, path, p);
	} else {
		memcpy(key, path, n);
		key[n] = '\0';
		walk(own_member(at, key), rest, do_it, p);
	}
}

/* ---- replies ---- */

static json_t *value_of(const struct difference *row)
{
	return json_loads(row->value, JSON_DECODE_ANY, NULL);
}

/* FILL, CALL and NEST are about the object that the path names, the others about its parent's member. */
static void change_object(json_t *o, const struct place *p)
{
	json_t *members;

	if (p->row->change == CHANGE_CALL) {
		p->row->call(o);
	} else if (p->row->change == CHANGE_NEST) {
		versions_shape(p->row->nested, o, p->api_version);
	} else {
		members = value_of(p->row);
		json_object_update_missing(o, members);
		json_decref(members);
	}
}

static void change_reply(json_t *parent, const char *key, const struct place *p)
{
	json_t *v;

	switch (p->row->change) {
	case CHANGE_ABSENT: json_object_del(parent, key); break;
	case CHANGE_SET: json_object_set_new(parent, key, value_of(p->row)); break;
	case CHANGE_COPY:
		v = json_object_get(parent, p->row->value);
		if (v)
			json_object_set(parent, key, v);
		break;
	default:
		v = *key ? own_member(parent, key) : parent;
		if (json_is_object(v))
			change_object(v, p);
		break;
	}
}

void versions_shape(enum shape shape, json_t *reply, int api_version)
{
	struct place p = { .api_version = api_version };

	/* The rows fall: what no longer concerns this version ends it, at the first row for the newest. */
	for (p.row = versions_of_replies[shape]; p.row && p.row->path && p.row->before > api_version; p.row++) {
		if (api_version < p.row->since)
			continue;
		if (!json_is_array(reply)) {
			walk(reply, p.row->path, change_reply, &p);
			continue;
		}
		for (size_t i = 0; i < json_array_size(reply); i++)
			walk(own_element(reply, i), p.row->path, change_reply, &p);
	}
}

void reply_shaped(struct request *req, int status, enum shape shape, json_t *take_reply)
{
	versions_shape(shape, take_reply, request_api_version(req));
	reply_json(req, status, take_reply);
}

/* ---- requests ---- */

struct asking {
	struct place place;
	json_t *warnings;
	struct error *err;
	int result;
};

static bool is_said(const json_t *v)
{
	switch (v ? json_typeof(v) : JSON_NULL) {
	case JSON_NULL:
	case JSON_FALSE: return false;
	case JSON_STRING: return json_string_length(v) > 0;
	case JSON_INTEGER: return json_integer_value(v) != 0;
	case JSON_REAL: return json_real_value(v) != 0;
	case JSON_ARRAY: return json_array_size(v) > 0;
	case JSON_OBJECT: return json_object_size(v) > 0;
	default: return true;
	}
}

static void change_body(json_t *parent, const char *key, const struct place *p)
{
	struct asking *a = container_of(p, struct asking, place);
	json_t *v = *key ? json_object_get(parent, key) : parent;

	if (a->result < 0)
		return;
	switch (p->row->change) {
	case CHANGE_IGNORE: json_object_del(parent, key); break;
	case CHANGE_DEFAULT:
		if (!is_said(v))
			json_object_set_new(parent, key, value_of(p->row));
		break;
	case CHANGE_REFUSE:
		if (is_said(v))
			a->result = error_set_class(a->err, ERROR_INVALID, "%s", p->row->value);
		break;
	case CHANGE_WARN:
		if (is_said(v) && a->warnings)
			json_array_append_new(a->warnings, json_string(p->row->value));
		break;
	default:
		if (v)
			a->result = p->row->check(v, a->warnings, a->err);
		break;
	}
}

int versions_request(enum body which, json_t *body, int api_version, json_t *warnings, struct error *err)
{
	struct asking a = { .warnings = warnings, .err = err };

	for (const struct difference *row = versions_of_bodies[which]; row && row->path && a.result == 0; row++) {
		if (api_version < row->since || api_version >= row->before)
			continue;
		a.place.row = row;
		walk(body, row->path, change_body, &a.place);
	}
	return a.result;
}
