/* RUN: a container of the image so far, whose changes are the next layer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "build/internal.h"
#include "build/mounts.h"
#include "build/remote.h"
#include "build/stubs.h"
#include "dockerfile/change.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/id.h"

struct run_step {
	struct stream base;       /* the container's output comes here */
	struct build *build;
	struct container *container; /* a reference; NULL: not there yet, or gone */
	struct container_wait *wait;
	struct run_mounts *mounts; /* NULL: none */
	json_t *argv;
	struct words args;        /* build arguments, in the build's arena */
	char *command;            /* as errors tell it */
	char *created_by;
	uv_work_t work;
	char *below, *upper;      /* host paths, when the container has ended */
	struct words targets;     /* of its mounts */
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

static void tell_warnings(struct build *b, json_t *take_warnings)
{
	json_t *v;
	size_t i;

	json_array_foreach(take_warnings, i, v)
		output_text(b, " ---> [Warning] %s\n", json_string_value(v));
	json_decref(take_warnings);
}

/* The container of a step that runs nothing, which `--rm=0` leaves in `docker ps -a`. */
static int create_kept(struct build *b, const char *comment, bool is_joined, struct error *err)
{
	json_t *command = change_shell(b->config), *body, *warnings = NULL;
	struct container_create request = { 0 };
	struct container *c;
	int r;

	if (!is_joined)
		json_array_append_new(command, json_string("#(nop) "));
	json_array_append_new(command, is_joined ? json_sprintf("#(nop) %s", comment) : json_string(comment));
	request.body = body = json_pack("{s:s, s:o}", "Image", b->image_id, "Cmd", command);
	r = engine_container_create(b->engine, &request, &c, &warnings, err);
	json_decref(body);
	if (r < 0)
		return r;
	tell_warnings(b, warnings);
	output_text(b, " ---> Running in %.12s\n", c->id);
	return 0;
}

int run_tell(struct build *b, const char *comment, bool is_joined, struct error *err)
{
	bool is_kept = !b->options.removes && !b->options.force_removes;
	char id[ID_LEN + 1];

	if (is_kept && b->image_id)
		return create_kept(b, comment, is_joined, err);
	id_generate(id);
	output_text(b, " ---> Running in %.12s\n", id);
	if (!is_kept)
		output_text(b, " ---> Removed intermediate container %.12s\n", id);
	return 0;
}

/* ---- the end, backwards from the container's ---- */

static void run_free(struct run_step *r)
{
	container_unref(r->container);
	run_mounts_free(r->mounts);
	json_decref(r->argv);
	free(r->below);
	free(r->upper);
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
		output_text(r->build, "Error removing intermediate container %.12s: %s\n", r->container->id, err->message);
	else
		output_text(r->build, " ---> Removed intermediate container %.12s\n", r->container->id);
	end(r);
}

static void remove_container(struct run_step *r)
{
	const struct build_options *o = &r->build->options;
	bool is_removed = o->force_removes || (o->removes && !r->err.code) || atomic_load(&r->build->is_cancelled);

	if (r->container)
		r->container->is_held = false;
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
		commit_image(r->build, l, r->created_by, &r->err);
	remove_container(r);
}

static void clean_upper(uv_work_t *w)
{
	struct run_step *r = container_of(w, struct run_step, work);

	stubs_remove(r->below, r->upper, r->targets.items, r->targets.count);
}

static void commit_clean(uv_work_t *w, int status)
{
	struct run_step *r = container_of(w, struct run_step, work);
	struct build *b = r->build;
	struct layer_write_options opt = { .max_mtime_s = b->epoch_s > 0 ? b->epoch_s : 0 };

	(void)status;
	b->layer_job = layers_commit(images_layers(b->engine->images), build_top(b), r->upper, &opt, on_layer, r);
}

/* Volumes' places stay, as in Docker. */
static void commit(struct run_step *r)
{
	static const char *const always[] = { "/proc",      "/dev",          "/dev/shm",        "/sys",
					      "/etc/hosts", "/etc/hostname", "/etc/resolv.conf" };
	struct build *b = r->build;
	const struct container *c = r->container;

	r->below = build_root(b, b->image_id);
	r->upper = xasprintf("%s/containers/%s/upper", b->engine->options.data_root, c->id);
	for (size_t i = 0; i < ARRAY_SIZE(always); i++)
		words_add(&b->arena, &r->targets, arena_dup(&b->arena, always[i]));
	for (size_t i = 0; i < c->nmounts; i++)
		if (strcmp(c->mounts[i].type, "volume") != 0)
			words_add(&b->arena, &r->targets, arena_dup(&b->arena, c->mounts[i].destination));
	uv_queue_work(b->engine->loop, &r->work, clean_upper, commit_clean);
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
	if (!r->err.code && r->container->is_removing)
		error_set(&r->err, -ECHILD, "The container %.12s of the command '%.700s' was removed", r->container->id,
			  r->command);
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
	if (r->mounts && run_mounts_waits(r->mounts)) {
		error_set(&r->err, -ECANCELED, "build cancelled");
		end(r);
		return;
	}
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

static json_t *host_config(struct run_step *r)
{
	struct build *b = r->build;
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
	if (r->mounts)
		json_object_set(host, "Mounts", run_mounts_list(r->mounts));
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

static int create(struct run_step *r)
{
	struct build *b = r->build;
	json_t *body = json_pack("{s:s, s:O, s:[s], s:o, s:{s:[s]}, s:o}", "Image", b->image_id, "Cmd", r->argv,
				 "Entrypoint", "", "Env", environment(b, &r->args), "Healthcheck", "Test", "NONE",
				 "HostConfig", host_config(r));
	struct container_create request = { .body = body };
	json_t *warnings = NULL;
	int result = engine_container_create(b->engine, &request, &r->container, &warnings, &r->err);

	json_decref(body);
	if (result < 0)
		return result;
	container_ref(r->container);
	r->container->is_held = true;
	tell_warnings(b, warnings);
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

static void run_container(struct run_step *r)
{
	struct build *b = r->build;

	if (create(r) < 0)
		end(r);
	else if (!engine_container_prepare(b->engine, r->container, on_prepared, r))
		start(r);
}

static void on_mounts_ready(void *arg, const struct error *err)
{
	struct run_step *r = arg;

	if (err)
		r->err = *err;
	if (!r->err.code && atomic_load(&r->build->is_cancelled))
		error_set(&r->err, -ECANCELED, "build cancelled");
	if (r->err.code) {
		end(r);
		return;
	}
	if (run_mounts_script(r->mounts))
		json_array_append_new(r->argv, json_string(run_mounts_script(r->mounts)));
	run_container(r);
}

static void on_looked(void *arg, const char *told, const struct error *err)
{
	struct run_step *r = arg;

	if (err) {
		r->err = *err;
		end(r);
		return;
	}
	if (*told) {
		char *whole = xasprintf("%s # %s", r->created_by, told);

		free(r->created_by);
		r->created_by = whole;
	}
	if (cache_probe(r->build, r->created_by))
		end(r);
	else
		run_mounts_prepare(r->mounts, on_mounts_ready);
}

/* What cannot be run at all. */
static int check(struct build *b, const char *command, struct error *err)
{
	if (strcmp(b->now.security, "sandbox") != 0)
		return error_set_class(err, ERROR_INVALID, "security.insecure is not allowed");
	if (b->image_id)
		return 0;
	return error_set(err, -ENOENT, "exec: \"%.200s\": stat %.200s: no such file or directory: there is nothing in scratch",
			 command, command);
}

static void on_pulled(struct build *b, const struct error *err)
{
	if (err)
		step_done(b, err, 0);
	else
		step_run(b); /* again: there is one image less to be pulled */
}

static bool pull_first(struct build *b)
{
	struct expand_source source = { step_variable, b };

	for (size_t i = 0; i < b->now.mounts.count; i++) {
		struct run_mount_flag f;

		if (run_mount_parse(&b->arena, b->now.mounts.items[i], b->escape, &source, &f, NULL) < 0 || !*f.from ||
		    dockerfile_stage_before(b->dockerfile, b->stage, f.from, true) >= 0 || !remote_wants_image(b, f.from))
			continue;
		remote_pull(b, f.from, on_pulled);
		return true;
	}
	return false;
}

static void run_begin(struct build *b)
{
	bool is_script;
	char *line = instruction_command(&b->arena, &b->now, &is_script), *text;
	struct error err = { 0 };
	struct run_step *r = b->run = xnew(struct run_step);

	r->build = b;
	r->argv = is_script ? change_shell(b->config) : change_command(b->config, &b->now, line);
	text = is_script ? line : join_json(&b->arena, r->argv);
	build_args_list(&b->args, &b->arena, json_object_get(b->config, "Env"), &r->args);
	r->command = xstrdup(text);
	r->created_by = xstrdup(command_with_args(b, &r->args, text));
	if (check(b, text, &err) < 0) {
		r->err = err;
		end(r);
	} else if (is_script || b->now.mounts.count) {
		r->mounts = run_mounts_new(b, is_script ? line : NULL, on_looked, r);
	} else if (cache_probe(b, r->created_by)) {
		end(r);
	} else {
		run_container(r);
	}
}

void step_run(struct build *b)
{
	if (!pull_first(b))
		run_begin(b);
}
