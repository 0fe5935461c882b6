#include "dockerfile/args.h"

#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

static char no_value[1]; /* stands in the maps for "declared without" */

static const char *const proxies[] = { "ALL_PROXY", "FTP_PROXY", "HTTPS_PROXY", "HTTP_PROXY",  "NO_PROXY",
				       "all_proxy", "ftp_proxy", "http_proxy",  "https_proxy", "no_proxy" };

static bool is_proxy(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(proxies); i++)
		if (strcmp(proxies[i], name) == 0)
			return true;
	return false;
}

void build_args_init(struct build_args *b, json_t *given, const char *platform)
{
	*b = (struct build_args){ .given = given, .platform = platform };
	map_init(&b->metas);
	map_init(&b->allowed);
	map_init(&b->seen);
}

void build_args_done(struct build_args *b)
{
	map_done(&b->metas);
	map_done(&b->allowed);
	map_done(&b->seen);
	arena_done(&b->arena);
}

void build_args_begin_stage(struct build_args *b)
{
	map_done(&b->allowed);
	map_init(&b->allowed);
}

void build_args_declare(struct build_args *b, const char *name, const char *value, bool is_meta)
{
	void *kept = value ? arena_dup(&b->arena, value) : no_value;

	map_put(is_meta ? &b->metas : &b->allowed, name, kept);
	map_put(&b->seen, name, no_value);
}

/* What BuildKit gives of its own: they build where they run. */
static const char *predefined(const struct build_args *b, const char *name)
{
	const char *slash = strchr(b->platform, '/');

	if (strncmp(name, "TARGET", 6) != 0 && strncmp(name, "BUILD", 5) != 0)
		return NULL;
	name += *name == 'T' ? 6 : 5;
	if (strcmp(name, "PLATFORM") == 0)
		return b->platform;
	if (strcmp(name, "OS") == 0)
		return "linux";
	if (strcmp(name, "ARCH") == 0)
		return slash ? slash + 1 : "";
	return strcmp(name, "VARIANT") == 0 ? "" : NULL;
}

static const char *value_in(const struct build_args *b, const struct map *scope, const char *name)
{
	const char *given = json_string_value(json_object_get(b->given, name)), *value;

	if (given)
		return given;
	value = map_get(scope, name);
	if (value && value != no_value)
		return value;
	value = map_get(&b->metas, name);
	return value && value != no_value ? value : predefined(b, name);
}

const char *build_args_get_meta(const struct build_args *b, const char *name)
{
	if (!map_has(&b->metas, name) && !is_proxy(name))
		return predefined(b, name);
	return value_in(b, &b->metas, name);
}

const char *build_args_get(const struct build_args *b, const char *name)
{
	return map_has(&b->allowed, name) || is_proxy(name) ? value_in(b, &b->allowed, name) : NULL;
}

bool build_args_is_transparent(const struct build_args *b, const char *name)
{
	return is_proxy(name) && !map_has(&b->allowed, name);
}

/* ---- lists ---- */

static int by_name(const void *x, const void *y)
{
	return strcmp(*(char *const *)x, *(char *const *)y);
}

static bool is_in_env(json_t *env, const char *name)
{
	size_t n = strlen(name), i;
	json_t *v;

	json_array_foreach(env, i, v) {
		const char *text = json_string_value(v);

		if (text && strncmp(text, name, n) == 0 && text[n] == '=')
			return true;
	}
	return false;
}

static void list_one(const struct build_args *b, struct arena *a, json_t *env, const char *name, struct words *ret)
{
	const char *value = build_args_get(b, name);

	if (value && !is_in_env(env, name))
		words_add(a, ret, arena_printf(a, "%s=%s", name, value));
}

void build_args_list(const struct build_args *b, struct arena *a, json_t *env, struct words *ret)
{
	const struct map_entry *e;
	size_t pos = 0;

	while ((e = map_next(&b->allowed, &pos)))
		list_one(b, a, env, e->key, ret);
	for (size_t i = 0; i < ARRAY_SIZE(proxies); i++)
		if (!map_has(&b->allowed, proxies[i]))
			list_one(b, a, env, proxies[i], ret);
	if (ret->count)
		qsort(ret->items, ret->count, sizeof(*ret->items), by_name);
}

char *build_args_unused(const struct build_args *b, struct arena *a)
{
	struct words left = { 0 };
	const char *name;
	json_t *v;

	json_object_foreach(b->given, name, v)
		if (!map_has(&b->seen, name) && !is_proxy(name) && strcmp(name, "SOURCE_DATE_EPOCH") != 0)
			words_add(a, &left, arena_dup(a, name));
	if (!left.count)
		return NULL;
	qsort(left.items, left.count, sizeof(*left.items), by_name);
	return arena_printf(a, "[Warning] One or more build-args [%s] were not consumed\n", words_join(a, &left, " "));
}
