/* RUN: a container of the image so far, whose changes are the next layer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "build/internal.h"
#include "dockerfile/change.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/id.h"

struct run_step {
	struct stream base;       /* the container's output comes here */
	struct build *build;
	struct container *container; /* a reference; NULL: not there yet, or gone */
	struct container_wait *wait;
	char *command;            /* as errors tell it */
	char *created_by;
	unsigned char head[8];    /* of a frame, as far as it has come */
	size_t head_len, left;    /* bytes of the frame that are still to come */
	bool is_full;
	int exit_code;
	struct error err;         /* what the step came to */
	bool is_attached, has_answer, has_ended;
};

/* ---- the container's output ---- */

static struct run_step *of(const struct stream *s)
{
	return container_of(s, struct run_step, base);
}

static int rs_write(struct stream *s, const void *data, size_t len)
{
	struct run_step *r = of(s);
	const char *in = data;

	while (len > 0) {
		size_t n;

		if (r->left == 0) {
			n = sizeof(r->head) - r->head_len < len ? sizeof(r->head) - r->head_len : len;
			memcpy(r->head + r->head_len, in, n);
			r->head_len += n;
			if (r->head_len == sizeof(r->head)) {
				r->head_len = 0;
				r->left = (size_t)r->head[4] << 24 | (size_t)r->head[5] << 16 |
					  (size_t)r->head[6] << 8 | r->head[7];
			}
		} else {
			n = r->left < len ? r->left : len;
			(r->head[0] == 2 ? output_stderr : output_stdout)(r->build, in, n);
			r->left -= n;
		}
		in += n;
		len -= n;
	}
	return 0;
}

static size_t rs_queued(const struct stream *s)
{
	struct run_step *r = of(s);
	size_t n = r->build->sink.queued(r->build->sink.arg);

	r->is_full = r->is_full || n > STREAM_HIGH;
	return n;
}

static void rs_end(struct stream *s)
{
	(void)s; /* the wait tells the end */
}

static const struct stream_ops ops = { .write = rs_write, .queued = rs_queued, .end = rs_end, .abort = rs_end };

void build_drained(struct build *b)
{
	struct run_step *r = b->run;

	if (!r || !r->is_full)
		return;
	r->is_full = false;
	if (r->base.events && r->base.events->on_drain)
		r->base.events->on_drain(r->base.arg);
}

/* ---- what is told ---- */

void run_tell(struct build *b)
{
	char id[ID_LEN + 1];

	id_generate(id);
	output_text(b, " ---> Running in %.12s\n", id);
	if (b->options.removes || b->options.force_removes)
		output_text(b, " ---> Removed intermediate container %.12s\n", id);
}

/* ---- the end, backwards from the container's ---- */

static void run_free(struct run_step *r)
{
	container_unref(r->container);
	free(r->command);
	free(r->created_by);
	free(r);
}

/* The step is over and its container gone, or left for a look. */
static void end(struct run_step *r)
{
	struct build *b = r->build;
	struct error err = r->err;
	int code = r->exit_code;

	b->run = NULL;
	run_free(r);
	step_done(b, err.code ? &err : NULL, code);
}

static void on_removed(void *arg, const struct error *err)
{
	struct run_step *r = arg;

	if (err)
		output_text(r->build, "Removing intermediate container %.12s: %s\n", r->container->id, err->message);
	else
		output_text(r->build, " ---> Removed intermediate container %.12s\n", r->container->id);
	end(r);
}

static void remove_container(struct run_step *r)
{
	const struct build_options *o = &r->build->options;
	bool is_removed = o->force_removes || (o->removes && !r->err.code) || atomic_load(&r->build->is_cancelled);

	if (r->container && is_removed)
		engine_container_remove(r->build->engine, r->container, true, true, on_removed, r);
	else
		end(r);
}

static void on_layer(void *arg, struct layer *l, const struct error *err)
{
	struct run_step *r = arg;

	r->build->layer_job = NULL;
	if (err)
		r->err = *err;
	else
		commit_image(r->build, l, r->created_by);
	remove_container(r);
}

static void commit(struct run_step *r)
{
	struct build *b = r->build;
	struct layer_write_options opt = { .max_mtime_s = b->epoch_s > 0 ? b->epoch_s : 0 };
	CLEANUP(freep)
	char *upper = xasprintf("%s/containers/%s/upper", b->engine->options.data_root, r->container->id);

	b->layer_job = layers_commit(images_layers(b->engine->images), build_top(b), upper, &opt, on_layer, r);
}

/* Nobody listens to the output any more. */
static void detach(struct run_step *r)
{
	if (r->is_attached && r->base.events && r->base.events->on_close)
		r->base.events->on_close(r->base.arg);
	r->is_attached = false;
}

/* The start has been answered, and the end has been seen. */
static void settle(struct run_step *r)
{
	if (!r->has_answer || !r->has_ended)
		return;
	detach(r);
	if (atomic_load(&r->build->is_cancelled))
		error_set(&r->err, -ECANCELED, "build cancelled");
	if (r->err.code)
		remove_container(r);
	else
		commit(r);
}

static void on_ended(void *arg, const struct wait_result *result)
{
	struct run_step *r = arg;

	r->wait = NULL;
	r->has_ended = true;
	if (!r->err.code && result->exit_code) {
		r->exit_code = result->exit_code;
		error_set(&r->err, -ECHILD, "The command '%.700s' returned a non-zero code: %d%s%.200s", r->command,
			  r->exit_code, result->error ? ": " : "", result->error ? result->error : "");
	}
	settle(r);
}

/* The end of a start that failed may have been told before. */
static void on_started(void *arg, const struct error *err)
{
	struct run_step *r = arg;

	r->has_answer = true;
	if (err) {
		r->err = *err;
		r->exit_code = 0;
		engine_container_wait_cancel(r->wait);
		r->wait = NULL;
		r->has_ended = true;
	} else if (atomic_load(&r->build->is_cancelled)) {
		run_cancel(r);
	}
	settle(r);
}

void run_cancel(struct run_step *r)
{
	if (r->container && container_is_live(r->container))
		engine_container_kill(r->build->engine, r->container, "KILL", NULL, NULL);
}

/* ---- the container ---- */

static void set_number(json_t *o, const char *key, int64_t value)
{
	if (value)
		json_object_set_new(o, key, json_integer(value));
}

static void set_text(json_t *o, const char *key, const char *value)
{
	if (value && *value)
		json_object_set_new(o, key, json_string(value));
}

static json_t *host_config(struct build *b)
{
	const struct build_options *o = &b->options;
	json_t *host = json_pack("{s:{s:s, s:{}}}", "LogConfig", "Type", "none", "Config");

	set_text(host, "NetworkMode", strcmp(b->now.network, "default") ? b->now.network : o->network_mode);
	set_text(host, "CpusetCpus", o->cpuset_cpus);
	set_text(host, "CpusetMems", o->cpuset_mems);
	set_text(host, "CgroupParent", o->cgroup_parent);
	set_number(host, "Memory", o->memory);
	set_number(host, "MemorySwap", o->memory_swap);
	set_number(host, "CpuShares", o->cpu_shares);
	set_number(host, "CpuPeriod", o->cpu_period);
	set_number(host, "CpuQuota", o->cpu_quota);
	set_number(host, "ShmSize", o->shm_size);
	if (o->extra_hosts)
		json_object_set_new(host, "ExtraHosts", json_deep_copy(o->extra_hosts));
	if (o->ulimits)
		json_object_set_new(host, "Ulimits", json_deep_copy(o->ulimits));
	return host;
}

/* The image's variables, then the arguments. */
static json_t *environment(struct build *b, const struct words *args)
{
	json_t *env = json_object_get(b->config, "Env");

	env = json_is_array(env) ? json_copy(env) : json_array();
	for (size_t i = 0; i < args->count; i++)
		json_array_append_new(env, json_string(args->items[i]));
	return env;
}

static int create(struct run_step *r, json_t *take_command, const struct words *args)
{
	struct build *b = r->build;
	json_t *body = json_pack("{s:s, s:o, s:[s], s:o, s:{s:[s]}, s:o}", "Image", b->image_id, "Cmd", take_command,
				 "Entrypoint", "", "Env", environment(b, args), "Healthcheck", "Test", "NONE",
				 "HostConfig", host_config(b));
	struct container_create request = { .body = body };
	json_t *warnings = NULL, *v;
	size_t i;
	int result = engine_container_create(b->engine, &request, &r->container, &warnings, &r->err);

	json_decref(body);
	if (result < 0)
		return result;
	container_ref(r->container);
	json_array_foreach(warnings, i, v)
		output_text(b, " ---> [Warning] %s\n", json_string_value(v));
	json_decref(warnings);
	output_text(b, " ---> Running in %.12s\n", r->container->id);
	return 0;
}

static void start(struct run_step *r)
{
	struct build *b = r->build;
	struct attach_options attach = { .stream = true, .stdout_ = true, .stderr_ = true };

	r->base.ops = &ops;
	r->base.is_mux = true;
	r->is_attached = true;
	engine_container_attach(b->engine, r->container, &attach, &r->base);
	r->wait = engine_container_wait(b->engine, r->container, WAIT_NEXT_EXIT, on_ended, r);
	engine_container_start(b->engine, r->container, on_started, r);
}

static void on_prepared(void *arg, const struct error *err)
{
	struct run_step *r = arg;

	if (!err) {
		start(r);
		return;
	}
	r->err = *err;
	container_unref(r->container); /* it is gone again */
	r->container = NULL;
	end(r);
}

/* ---- the command ---- */

/* What is run: of a here document alone its content. */
static char *line_of(struct build *b)
{
	const struct instruction *i = &b->now;
	char *line = i->args.count ? i->args.items[0] : NULL;

	for (size_t k = 0; line && k < i->nheredocs; k++)
		line = arena_printf(&b->arena, "%s\n%s%s", line, i->heredocs[k].content, i->heredocs[k].name);
	return line;
}

static char *join_json(struct arena *a, json_t *list)
{
	struct words words = { 0 };
	json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
		words_add(a, &words, arena_dup(a, json_string_value(v)));
	return words_join(a, &words, " ");
}

/* The arguments that the command sees are a part of it, but for proxies that nobody has declared: "|1 a=b sh -c x". */
static char *command_with_args(struct build *b, const struct words *args, const char *command)
{
	struct words told = { 0 };

	for (size_t i = 0; i < args->count; i++) {
		char *name = arena_ndup(&b->arena, args->items[i], strcspn(args->items[i], "="));

		if (!build_args_is_transparent(&b->args, name))
			words_add(&b->arena, &told, args->items[i]);
	}
	if (!args->count)
		return arena_dup(&b->arena, command);
	return arena_printf(&b->arena, "|%zu %s%s%s", told.count, words_join(&b->arena, &told, " "),
			    told.count ? " " : "", command);
}

void step_run(struct build *b)
{
	struct words args = { 0 };
	json_t *command = change_command(b->config, &b->now, line_of(b));
	char *text = join_json(&b->arena, command), *created_by;
	struct run_step *r;

	if (!b->image_id) {
		struct error err = { 0 };

		json_decref(command);
		error_set(&err, -ENOENT, "exec: \"%.200s\": stat %.200s: no such file or directory: there is nothing in scratch",
			  text, text);
		step_done(b, &err, 0);
		return;
	}
	build_args_list(&b->args, &b->arena, json_object_get(b->config, "Env"), &args);
	created_by = command_with_args(b, &args, text);
	if (cache_probe(b, created_by)) {
		json_decref(command);
		step_done(b, NULL, 0);
		return;
	}
	r = b->run = xnew(struct run_step);
	r->build = b;
	r->command = xstrdup(text);
	r->created_by = xstrdup(created_by);
	if (create(r, command, &args) < 0)
		end(r);
	else if (!engine_container_prepare(b->engine, r->container, on_prepared, r))
		start(r);
}
