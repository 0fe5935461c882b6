/* From one instruction to the next: stages, arguments, triggers, and what the
 * client is told of each step (moby: builder/dockerfile/builder.go, evaluator.go). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "build/internal.h"
#include "build/remote.h"
#include "dockerfile/change.h"
#include "dockerfile/text.h"
#include "image/platform.h"
#include "util/alloc.h"
#include "util/clock.h"

static const char default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

static void go_on(struct build *b);

/* ---- variables ---- */

const char *step_variable(void *arg, const char *name)
{
	struct build *b = arg;
	const char *value = change_env_get(json_object_get(b->config, "Env"), name);

	return value ? value : build_args_get(&b->args, name);
}

static const char *meta_variable(void *arg, const char *name)
{
	return build_args_get_meta(&((struct build *)arg)->args, name);
}

/* ---- the plan: which stages are reached ---- */

static int expand_meta(struct build *b, const char *text, char **ret, struct error *err)
{
	struct expand_source source = { meta_variable, b };

	return expand_word(&b->arena, text, b->dockerfile->escape, 0, &source, ret, err);
}

static void need(struct build *b, size_t stage);

static void need_named(struct build *b, size_t at, const char *name, bool is_from)
{
	int stage = *name ? dockerfile_stage_before(b->dockerfile, at, name, is_from) : -1;

	if (stage >= 0)
		need(b, (size_t)stage);
}

/* A base's triggers may name any stage. */
static bool has_triggers(struct build *b, const char *base)
{
	struct image *i;

	return images_find(b->engine->images, base, &i, NULL) == 0 &&
	       json_array_size(json_object_get(json_object_get(i->config, "config"), "OnBuild")) > 0;
}

static void need_sources(struct build *b, size_t at, const struct instruction *i)
{
	need_named(b, at, i->from, true);
	for (size_t k = 0; k < i->mounts.count; k++) {
		struct expand_source source = { step_variable, b };
		struct run_mount_flag mount;

		if (run_mount_parse(&b->arena, i->mounts.items[k], b->dockerfile->escape, &source, &mount, NULL) == 0)
			need_named(b, at, mount.from, true);
	}
}

static void need(struct build *b, size_t at)
{
	const struct stage *s = &b->dockerfile->stages[at];
	char *base;

	if (b->is_needed[at])
		return;
	b->is_needed[at] = true;
	b->nsteps += 1 + (unsigned)s->count;
	if (expand_meta(b, s->from->base, &base, NULL) == 0) {
		need_named(b, at, base, false);
		if (dockerfile_stage_before(b->dockerfile, at, base, false) < 0 && has_triggers(b, base))
			for (size_t k = 0; k < at; k++)
				need(b, k);
	}
	for (size_t k = 0; k < s->count; k++)
		need_sources(b, at, s->instructions[k]);
}

static int find_target(struct build *b, struct error *err)
{
	const char *target = b->options.target;
	int stage = *target ? dockerfile_find_stage(b->dockerfile, target) : (int)b->dockerfile->nstages - 1;
	char *end;
	long n;

	if (stage < 0) { /* by number, as BuildKit takes it */
		n = strtol(target, &end, 10);
		if (*end || n < 0 || (size_t)n >= b->dockerfile->nstages)
			return error_set_class(err, ERROR_INVALID, "target stage %.200s could not be found",
					       text_quote(&b->arena, target));
		stage = (int)n;
	}
	b->last_stage = (size_t)stage;
	return 0;
}

static int check_stage_names(struct build *b, struct error *err)
{
	for (size_t i = 0; i <= b->last_stage; i++) {
		const char *name = b->dockerfile->stages[i].from->stage_name;

		if (name && dockerfile_stage_before(b->dockerfile, i, name, false) >= 0)
			return error_set(err, -EINVAL, "%.200s stage name already used", name);
	}
	return 0;
}

static int by_key(const void *x, const void *y)
{
	return strcmp((*(const struct instruction *const *)x)->pairs[0].key,
		      (*(const struct instruction *const *)y)->pairs[0].key);
}

/* --label: one LABEL each, after the last stage's own instructions. */
static void make_labels(struct build *b)
{
	struct arena *a = &b->arena;
	const char *key;
	json_t *v;

	b->labels = arena_alloc(a, (json_object_size(b->options.labels) + 1) * sizeof(struct instruction *));
	json_object_foreach(b->options.labels, key, v) {
		struct instruction *i = arena_new(a, struct instruction);

		i->kind = INSTRUCTION_LABEL;
		i->is_given = true;
		i->npairs = 1;
		i->pairs = arena_new(a, struct pair);
		i->pairs[0] = (struct pair){ arena_dup(a, key), arena_dup(a, json_string_value(v)) };
		i->name = arena_dup(a, "label");
		i->original = arena_printf(a, "LABEL %s=%s", key, i->pairs[0].value);
		i->from = i->chown = i->chmod = i->checksum = arena_dup(a, "");
		b->labels[b->nlabels++] = i;
	}
	qsort(b->labels, b->nlabels, sizeof(*b->labels), by_key);
}

/* ---- the steps ---- */

static void tell_step(struct build *b, const char *text)
{
	output_text(b, "Step %u/%u : %s", ++b->step, b->nsteps, text);
	output_text(b, "\n");
}

static void tell_image(struct build *b)
{
	char id[ID_SHORT_LEN + 1];

	output_text(b, " ---> %s\n", short_id(b->image_id, id));
}

static const struct stage *stage_of(struct build *b)
{
	return &b->dockerfile->stages[b->stage];
}

static void fail(struct build *b, const struct error *err)
{
	build_finish(b, err, 0);
}

/* ARG before the first FROM. */
static int declare_metas(struct build *b, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < b->dockerfile->nargs; i++) {
		struct expand_source source = { step_variable, b };
		struct instruction expanded;

		tell_step(b, b->dockerfile->args[i]->original);
		r = instruction_expand(&b->arena, b->dockerfile->args[i], b->dockerfile->escape, &source, &expanded, err);
		for (size_t k = 0; r == 0 && k < expanded.npairs; k++) {
			build_args_declare(&b->args, expanded.pairs[k].key, expanded.pairs[k].value, false);
			build_args_declare(&b->args, expanded.pairs[k].key, expanded.pairs[k].value, true);
		}
	}
	return r;
}

/* The steps are told with their number, which is known when the arguments are: they are read twice. */
static int plan(struct build *b, struct error *err)
{
	bool was_quiet = b->options.is_quiet;
	int r = find_target(b, err);

	if (r == 0)
		r = check_stage_names(b, err);
	if (r < 0)
		return r;
	make_labels(b);
	b->is_needed = xcalloc(b->dockerfile->nstages, sizeof(*b->is_needed));
	b->stages = xcalloc(b->dockerfile->nstages, sizeof(*b->stages));
	b->options.is_quiet = true;
	r = declare_metas(b, err);
	b->options.is_quiet = was_quiet;
	b->step = 0;
	need(b, b->last_stage);
	b->nsteps += (unsigned)(b->dockerfile->nargs + b->nlabels);
	for (size_t i = 0; i < b->dockerfile->warnings.count; i++)
		output_stderr(b, b->dockerfile->warnings.items[i], strlen(b->dockerfile->warnings.items[i]));
	return declare_metas(b, err);
}

/* ---- FROM ---- */

static int expand_platform(struct build *b, const char *text, struct error *err)
{
	struct image_platform unused;
	char *platform;
	int r = expand_meta(b, text, &platform, err);

	if (r < 0 || !*platform)
		return r;
	r = image_platform_parse(platform, &unused, err);
	if (r == 0)
		return build_check_platform(platform, err);
	error_prefix(err, "failed to parse platform %.60s", platform);
	return r;
}

/* The image that a stage begins with; *ret NULL: scratch. */
static int find_base(struct build *b, struct image **ret, struct error *err)
{
	const struct instruction *from = stage_of(b)->from;
	char *name;
	int r = expand_platform(b, from->platform, err), stage;

	*ret = NULL;
	if (r == 0)
		r = expand_meta(b, from->base, &name, err);
	if (r < 0)
		return r;
	if (!*name)
		return error_set(err, -EINVAL, "base name (%.200s) should not be blank", from->base);
	stage = dockerfile_stage_before(b->dockerfile, b->stage, name, false);
	if (stage >= 0) {
		*ret = b->stages[stage].image_id ? images_by_id(b->engine->images, b->stages[stage].image_id) : NULL;
		return 0;
	}
	return strcmp(name, "scratch") == 0 ? 0 : images_find(b->engine->images, name, ret, err);
}

static void set_default_path(json_t *config)
{
	json_t *env = json_object_get(config, "Env");

	if (change_env_get(env, "PATH"))
		return;
	if (!json_is_array(env)) {
		env = json_array();
		json_object_set_new(config, "Env", env);
	}
	change_env_set(env, "PATH", default_path);
}

/* What the base's ONBUILD says comes before anything else. */
static int take_triggers(struct build *b, struct error *err)
{
	json_t *list = json_incref(json_object_get(b->config, "OnBuild")), *v;
	size_t n = json_array_size(list), i;
	int r = 0;

	b->triggers = (struct instruction_list){ 0 };
	b->next_trigger = 0;
	json_object_del(b->config, "OnBuild");
	if (n == 0) {
		json_decref(list);
		return 0;
	}
	output_text(b, "# Executing %zu build trigger%s\n", n, n > 1 ? "s" : "");
	b->triggers.items = arena_alloc(&b->arena, n * sizeof(*b->triggers.items));
	json_array_foreach(list, i, v) {
		const char *text = json_string_value(v);
		struct instruction_list one;

		r = instructions_parse(&b->arena, text, strlen(text), &one, err);
		if (r == 0 && one.count != 1)
			r = error_set(err, -EINVAL, "onbuild trigger should be a single expression");
		if (r == 0)
			r = instruction_check(&b->arena, one.items[0], err);
		if (r < 0)
			break;
		b->triggers.items[b->triggers.count++] = one.items[0];
	}
	json_decref(list);
	return r;
}

static void enter_stage(struct build *b, const struct error *pull_error)
{
	struct error err = { 0 };
	struct image *base = NULL;
	json_t *config;

	if (pull_error)
		err = *pull_error;
	if (err.code || find_base(b, &base, &err) < 0) {
		fail(b, &err);
		return;
	}
	config = base ? json_object_get(base->config, "config") : NULL;
	json_decref(b->config);
	b->config = json_is_object(config) ? json_deep_copy(config) : json_object();
	build_set_image(b, base ? base->id : NULL);
	free(b->author);
	b->author = NULL;
	b->is_cmd_set = false;
	b->is_cache_lost = false;
	b->at = 0;
	json_object_del(json_object_get(b->config, "Labels"), "sockerless.image"); /* tells where the base came from */
	set_default_path(b->config);
	if (take_triggers(b, &err) < 0) {
		fail(b, &err);
		return;
	}
	if (!b->triggers.count)
		tell_image(b);
	go_on(b);
}

/* The name of an image that is to be pulled first; false: there is none, or what is wrong shows later. */
static bool base_to_pull(struct build *b, char **ret)
{
	const struct instruction *from = stage_of(b)->from;

	return expand_platform(b, from->platform, NULL) == 0 && expand_meta(b, from->base, ret, NULL) == 0 && **ret &&
	       strcmp(*ret, "scratch") != 0 && dockerfile_stage_before(b->dockerfile, b->stage, *ret, false) < 0 &&
	       remote_wants_image(b, *ret);
}

static void begin_stage(struct build *b)
{
	char *name;

	tell_step(b, stage_of(b)->from->original);
	build_args_begin_stage(&b->args);
	if (base_to_pull(b, &name))
		remote_pull(b, name, enter_stage);
	else
		enter_stage(b, NULL);
}

/* ---- one instruction ---- */

static void declare_args(struct build *b, const struct instruction *i)
{
	for (size_t k = 0; k < i->npairs; k++)
		build_args_declare(&b->args, i->pairs[k].key, i->pairs[k].value, false);
}

static void note_health(struct build *b)
{
	json_t *test = json_object_get(json_object_get(b->config, "Healthcheck"), "Test"), *v;
	struct words words = { 0 };
	size_t i;

	json_array_foreach(test, i, v)
		words_add(&b->arena, &words, arena_dup(&b->arena, json_string_value(v)));
	if (words.count && strcmp(words.items[0], "NONE") != 0)
		output_text(b, "Note: overriding previous HEALTHCHECK: [%s]\n", words_join(&b->arena, &words, " "));
}

/* What changes the config only. */
static void step_config(struct build *b)
{
	struct error err = { 0 };
	char *comment, *command;

	if (b->now.kind == INSTRUCTION_HEALTHCHECK)
		note_health(b);
	if (change_config(&b->arena, &b->now, b->config, &b->is_cmd_set, &comment, &err) < 0) {
		step_done(b, &err, 0);
		return;
	}
	if (b->now.kind == INSTRUCTION_ARG)
		declare_args(b, &b->now);
	if (b->now.kind == INSTRUCTION_MAINTAINER) {
		free(b->author);
		b->author = xstrdup(b->now.args.items[0]);
	}
	command = nop_command(b, comment, false);
	if (!cache_probe(b, command) && run_tell(b, comment, false, &err) == 0)
		commit_image(b, NULL, command, &err);
	step_done(b, err.code ? &err : NULL, 0);
}

static void dispatch(struct build *b, const struct instruction *i)
{
	struct expand_source source = { step_variable, b };
	struct error err = { 0 };

	if (instruction_expand(&b->arena, i, b->escape, &source, &b->now, &err) < 0) {
		step_done(b, &err, 0);
		return;
	}
	switch (i->kind) {
	case INSTRUCTION_RUN: step_run(b); break;
	case INSTRUCTION_COPY:
	case INSTRUCTION_ADD: step_copy(b); break;
	case INSTRUCTION_WORKDIR: step_workdir(b); break;
	default: step_config(b); break;
	}
}

static void end_stage(struct build *b)
{
	struct stage_result *r = &b->stages[b->stage];

	output_aux_id(b, b->image_id);
	r->is_built = true;
	r->image_id = xstrdup(b->image_id);
}

static void finish(struct build *b)
{
	struct error err = { 0 };
	char *unused = build_args_unused(&b->args, &b->arena);

	if (unused)
		output_text(b, "%s", unused);
	if (!b->image_id)
		error_set(&err, -EINVAL, "No image was generated. Is your Dockerfile empty?");
	build_finish(b, err.code ? &err : NULL, 0);
}

static const struct instruction *instruction_at(struct build *b)
{
	const struct stage *s = stage_of(b);

	if (b->at < s->count)
		return s->instructions[b->at];
	if (b->stage == b->last_stage && b->at - s->count < b->nlabels)
		return b->labels[b->at - s->count];
	return NULL;
}

static void on_tick(uv_timer_t *timer)
{
	struct build *b = timer->data;
	const struct instruction *i;
	struct error err = { 0 };

	if (atomic_load(&b->is_cancelled)) {
		output_text(b, "Build cancelled\n");
		error_set(&err, -ECANCELED, "Build cancelled");
		fail(b, &err);
		return;
	}
	if (b->next_trigger < b->triggers.count) {
		b->escape = '\\';
		dispatch(b, b->triggers.items[b->next_trigger++]);
		return;
	}
	i = instruction_at(b);
	if (i) {
		tell_step(b, i->original);
		b->escape = b->dockerfile->escape;
		b->at++;
		dispatch(b, i);
		return;
	}
	end_stage(b);
	while (b->stage < b->last_stage && !b->is_needed[b->stage + 1])
		b->stage++;
	if (b->stage == b->last_stage) {
		finish(b);
		return;
	}
	b->stage++;
	begin_stage(b);
}

/* Each instruction from the loop: others have their turn, and nothing recurses. */
static void go_on(struct build *b)
{
	uv_timer_start(&b->tick, on_tick, 0, 0);
}

void step_done(struct build *b, const struct error *err, int exit_code)
{
	if (err) {
		build_finish(b, err, exit_code);
		return;
	}
	/* Of triggers the last one tells the image. */
	if (b->next_trigger >= b->triggers.count)
		tell_image(b);
	go_on(b);
}

void steps_begin(struct build *b, const char *text, size_t len, const char *name)
{
	struct error err = { 0 };

	if (dockerfile_parse(text, len, name, &b->dockerfile, &err) < 0 || plan(b, &err) < 0) {
		fail(b, &err);
		return;
	}
	while (!b->is_needed[b->stage])
		b->stage++;
	begin_stage(b);
}
