/* POST /build/prune: which records of the build cache go (moby: builder-next/builder.go, Prune; buildkit:
 * cache/manager.go, pruneOnce). */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/filters.h"
#include "api/versions.h"
#include "build/records.h"
#include "util/alloc.h"
#include "util/cleanup.h"

struct pruning {
	uv_fs_t stat;
	uv_timer_t next; /* the next few, from the loop */
	struct request *req;
	json_t *filters;
	int64_t until_ns; /* 0: does not matter */
	uint64_t reserved, most, min_free, free_bytes;
	uint64_t keep_bytes; /* decided at the beginning, of what there was then */
	json_t *ids; /* of those that have gone */
	uint64_t bytes;
};

enum { AT_ONCE = 200 };

static int check_bytes(struct request *req, const char *key, struct error *err)
{
	const char *text = request_query(req, key);
	int64_t bytes;

	if (request_query_int(req, key, 0, &bytes, err) == 0)
		return 0;
	error_prefix(err, "%s is in bytes and expects an integer, got %.100s", key, text);
	return err->code;
}

static int check_counts(json_t *filters, struct error *err)
{
	const char *key;
	json_t *values;

	json_object_foreach(filters, key, values)
		if (json_array_size(values) > 1)
			return error_set_class(err, ERROR_INVALID, "filters expect only one value");
	return 0;
}

static int check_filters(struct request *req, json_t **ret, int64_t *ret_until, struct error *err)
{
	static const char *const known[] = { "unused-for", "until",       "label", "label!", "id",      "parent",
					     "type",       "description", "inuse", "shared", "private", NULL };
	json_t *filters = filters_parse(req, known, err), *unused;
	int r;

	if (!filters)
		return err->code;
	if (filters_has(filters, "until") && filters_has(filters, "unused-for"))
		r = error_set_class(err, ERROR_INVALID, "conflicting filters: \"until\" and \"unused-for\"");
	else
		r = check_counts(filters, err);
	unused = json_object_get(filters, "unused-for"); /* the older name */
	if (r == 0 && unused)
		json_object_set(filters, "until", unused);
	if (r == 0 && !filters_until(filters, ret_until, err))
		r = error_set_class(err, ERROR_INVALID,
				    "\"until\" filter expects a duration (e.g., '24h') or a timestamp: failed to parse value as "
				    "time or duration: \"%.100s\"",
				    json_string_value(json_array_get(json_object_get(filters, "until"), 0)));
	if (r < 0)
		json_decref(filters);
	else
		*ret = filters;
	return r;
}

/* ---- which ones ---- */

static const char *wanted(json_t *filters, const char *key)
{
	return json_string_value(json_array_get(json_object_get(filters, key), 0));
}

static bool is_equal(json_t *filters, const char *key, const char *value)
{
	const char *text = wanted(filters, key);

	return !text || (value && strcmp(text, value) == 0);
}

/* A claim that the record must meet: "shared", "shared=true", "shared=false". */
static bool is_claimed(json_t *filters, const char *key, bool is_so)
{
	const char *text = wanted(filters, key);

	return !json_object_get(filters, key) || is_so == !(text && (strcmp(text, "false") == 0 || strcmp(text, "0") == 0));
}

static bool is_meant(void *arg, const struct cache_record *r)
{
	struct pruning *p = arg;
	const char *id = wanted(p->filters, "id");
	int64_t used_ns = r->used_ns ? r->used_ns : r->created_ns;

	return (!id || strstr(r->id, id)) && is_equal(p->filters, "parent", r->parent) &&
	       is_equal(p->filters, "type", r->type) && is_equal(p->filters, "description", r->description) &&
	       is_claimed(p->filters, "inuse", r->is_used) && is_claimed(p->filters, "shared", r->is_shared) &&
	       is_claimed(p->filters, "private", !r->is_shared) && (!p->until_ns || used_ns <= p->until_ns);
}

/* How much may stay; 0: nothing has to, for its size. buildkit: calculateKeepBytes */
static uint64_t keep_bytes(struct engine *e, const struct pruning *p)
{
	struct cache_records all;
	uint64_t keep = p->most, total, excess;

	if (!p->min_free)
		return keep > p->reserved ? keep : p->reserved;
	cache_records_get(e, &all);
	total = all.own_bytes;
	cache_records_done(&all);
	if (p->min_free > p->free_bytes) {
		excess = p->min_free - p->free_bytes < total ? p->min_free - p->free_bytes : total;
		keep = !keep || total - excess < keep ? total - excess : keep;
	} else if (!keep) {
		keep = total ? total : 1;
	}
	return keep > p->reserved ? keep : p->reserved;
}

static void on_closed(uv_handle_t *handle)
{
	struct pruning *p = handle->data;

	json_decref(p->ids);
	json_decref(p->filters);
	free(p);
}

static void reply(struct pruning *p)
{
	struct engine *e = api_engine(p->req);

	events_publish(e->events, "builder", "prune", "",
		       json_pack("{s:o}", "reclaimed", json_sprintf("%llu", (unsigned long long)p->bytes)));
	reply_json(p->req, 200,
		   json_pack("{s:o, s:I}", "CachesDeleted", json_array_size(p->ids) ? json_incref(p->ids) : json_null(),
			     "SpaceReclaimed", (json_int_t)p->bytes));
	uv_close((uv_handle_t *)&p->next, on_closed);
}

static void prune(uv_timer_t *next)
{
	struct pruning *p = next->data;
	struct engine *e = api_engine(p->req);
	struct cache_prune how = { .takes_shared = request_query_bool(p->req, "all"),
				   .limit = AT_ONCE,
				   .keep_bytes = p->keep_bytes,
				   .match = is_meant,
				   .arg = p };
	uint64_t bytes;
	json_t *ids = cache_records_prune(e, &how, &bytes);
	bool is_all = json_array_size(ids) < AT_ONCE;

	p->bytes += bytes;
	json_array_extend(p->ids, ids);
	json_decref(ids);
	if (is_all)
		reply(p);
	else
		uv_timer_start(&p->next, prune, 0, 0);
}

static void begin(struct pruning *p)
{
	p->keep_bytes = keep_bytes(api_engine(p->req), p);
	prune(&p->next);
}

static void on_stat(uv_fs_t *stat)
{
	struct pruning *p = container_of(stat, struct pruning, stat);
	const uv_statfs_t *fs = stat->ptr;

	if (stat->result == 0)
		p->free_bytes = fs->f_bavail * fs->f_bsize;
	else
		p->min_free = 0;
	uv_fs_req_cleanup(stat);
	begin(p);
}

/* The numbers of the query; those that its version does not know are 0. */
static uint64_t bytes_of(struct request *req, const char *key)
{
	int64_t v = 0;

	return versions_knows(req, key) && request_query_int(req, key, 0, &v, NULL) == 0 && v > 0 ? (uint64_t)v : 0;
}

void BuildPrune(struct request *req)
{
	static const char *const sizes[] = { "keep-storage", "reserved-space", "max-used-space", "min-free-space" };
	struct engine *e = api_engine(req);
	struct error err = { 0 };
	json_t *filters = NULL;
	int64_t until_ns = 0;
	struct pruning *p;
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(sizes); i++)
		if (versions_knows(req, sizes[i]))
			r = check_bytes(req, sizes[i], &err);
	if (r == 0)
		r = check_filters(req, &filters, &until_ns, &err);
	if (r < 0) {
		reply_error(req, &err);
		return;
	}
	p = xnew(struct pruning);
	p->req = req;
	p->ids = json_array();
	uv_timer_init(e->loop, &p->next);
	p->next.data = p;
	p->filters = filters;
	p->until_ns = until_ns;
	p->reserved = bytes_of(req, "reserved-space");
	p->reserved = p->reserved ? p->reserved : bytes_of(req, "keep-storage");
	p->most = bytes_of(req, "max-used-space");
	p->min_free = bytes_of(req, "min-free-space");
	if (!p->min_free || uv_fs_statfs(e->loop, &p->stat, e->options.data_root, on_stat) < 0)
		begin(p);
}
