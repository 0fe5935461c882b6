/* COPY, ADD and WORKDIR as steps: the work is done on the pool, twice: what the
 * sources hold decides whether the cache has the step, then they are copied. */
#include "build/copy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build/git.h"
#include "build/internal.h"
#include "build/remote.h"
#include "dockerfile/change.h"
#include "dockerfile/text.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/digest.h"
#include "util/json.h"

struct copy_step {
	uv_work_t work;
	struct build *build;
	struct copy_job job;
	char *command;
	int (*task)(struct copy_job *j);
};

static void step_free(struct copy_step *s)
{
	ignore_free(s->job.excludes);
	free(s->job.source_root);
	free(s->job.below);
	free(s->job.upper);
	arena_done(&s->job.arena);
	free(s->command);
	free(s);
}

static void end(struct copy_step *s, const struct error *err)
{
	struct build *b = s->build;
	struct error told = { 0 };

	if (err)
		told = *err;
	step_free(s);
	step_done(b, err ? &told : NULL, 0);
}

static void work(uv_work_t *w)
{
	struct copy_step *s = container_of(w, struct copy_step, work);

	if (!s->job.upper || build_make_upper(s->job.upper, &s->job.err) == 0)
		s->task(&s->job);
}

static void after_files(uv_work_t *w, int status)
{
	struct copy_step *s = container_of(w, struct copy_step, work);
	struct build *b = s->build;

	(void)status;
	if (s->job.err.code) {
		end(s, &s->job.err);
		return;
	}
	commit_upper(b, s->job.upper, s->command); /* copies both */
	step_free(s);
}

/* The second half: into a new directory. */
static void fill(struct copy_step *s, int (*task)(struct copy_job *j))
{
	struct build *b = s->build;

	s->job.below = build_root(b, b->image_id);
	s->job.upper = build_new_upper(b);
	s->task = task;
	uv_queue_work(b->engine->loop, &s->work, work, after_files);
}

/* One source by its hash, several by one of theirs. */
static char *sources_hash(struct copy_job *j)
{
	struct words hashes = { 0 };
	char digest[DIGEST_LEN + 1], *joined;

	if (j->nfound == 1)
		return j->found[0].hash;
	for (size_t i = 0; i < j->nfound; i++)
		words_add(&j->arena, &hashes, j->found[i].hash);
	joined = words_join(&j->arena, &hashes, ",");
	digest_of(joined, strlen(joined), digest);
	return arena_printf(&j->arena, "multi:%s", digest + 7);
}

/* --from is in the hashes; the others change what comes of them. */
static char *flags_told(struct build *b)
{
	char *told = arena_dup(&b->arena, "");

	if (*b->now.chown)
		told = arena_printf(&b->arena, "--chown=%s ", b->now.chown);
	if (*b->now.chmod)
		told = arena_printf(&b->arena, "%s--chmod=%s ", told, b->now.chmod);
	if (b->now.has_parents)
		told = arena_printf(&b->arena, "%s--parents ", told);
	if (b->now.is_unpack_given)
		told = arena_printf(&b->arena, "%s--unpack=%s ", told, b->now.unpacks ? "true" : "false");
	for (size_t i = 0; i < b->now.excludes.count; i++)
		told = arena_printf(&b->arena, "%s--exclude=%s ", told, b->now.excludes.items[i]);
	return told;
}

static void after_find(uv_work_t *w, int status)
{
	struct copy_step *s = container_of(w, struct copy_step, work);
	struct build *b = s->build;
	char *comment, *command;

	(void)status;
	if (s->job.err.code) {
		end(s, &s->job.err);
		return;
	}
	comment = arena_printf(&b->arena, "%s %s%s in %s ", s->job.name, flags_told(b), sources_hash(&s->job),
			       b->now.args.items[b->now.args.count - 1]);
	command = nop_command(b, comment, true);
	s->command = xstrdup(command);
	if (cache_probe(b, command))
		end(s, NULL);
	else
		fill(s, copy_files);
}

/* ---- what is copied ---- */

/* --from: a stage, by name or number, or an image. */
static int find_source_root(struct build *b, char **ret, struct error *err)
{
	const char *from = b->now.from;
	int stage = dockerfile_stage_before(b->dockerfile, b->stage, from, true);
	struct image *i;
	char *end;
	long n = strtol(from, &end, 10);

	if (!*from) {
		*ret = xasprintf("%s/context", b->dir);
		return 0;
	}
	if (stage >= 0) {
		if (!b->stages[stage].is_built)
			return error_set(err, -EINVAL, "stage %.200s was not built", from);
		*ret = build_root(b, b->stages[stage].image_id);
		return 0;
	}
	if (end != from && !*end) {
		error_set(err, -EINVAL, n == (long)b->stage ? "refers to current build stage" : "index out of bounds");
	} else if (strcmp(from, "scratch") == 0) {
		*ret = build_root(b, NULL);
		return 0;
	} else if (images_find(b->engine->images, from, &i, err) == 0) {
		build_hold(b, i->id);
		*ret = build_root(b, i->id);
		return 0;
	}
	error_prefix(err, "invalid from flag value %.200s", from);
	return err->code;
}

static int take_excludes(struct build *b, struct copy_job *j, struct error *err)
{
	int r = b->now.excludes.count ? ignore_parse(NULL, &j->excludes, err) : 0;

	for (size_t i = 0; r == 0 && i < b->now.excludes.count; i++)
		r = ignore_add(j->excludes, b->now.excludes.items[i], err);
	return r;
}

/* What the URL calls the file; "": nothing. */
static char *url_name(struct arena *a, const char *url)
{
	const char *path = strchr(strstr(url, "://") + 3, '/'), *slash = path;
	size_t n = path ? strcspn(path, "?#") : 0;

	for (const char *p = path; p && p < path + n; p++)
		if (*p == '/')
			slash = p;
	return path ? arena_ndup(a, slash + 1, (size_t)(path + n - slash - 1)) : arena_dup(a, "");
}

/* ADD of a URL that has been downloaded. */
static int take_download(struct build *b, struct copy_job *j, const char *url, struct error *err)
{
	struct remote_facts facts = { "", "", 0 };
	CLEANUP(freep) char *file = remote_file(b, url, &facts);
	struct copy_source *s = &j->documents[j->ndocuments++];

	s->name = url_name(&j->arena, url);
	if (!*s->name && !strchr(facts.name, '/') && strcmp(facts.name, ".") && strcmp(facts.name, ".."))
		s->name = arena_dup(&j->arena, facts.name);
	s->file = arena_dup(&j->arena, file);
	s->hash = arena_printf(&j->arena, "file:%s", *facts.digest ? facts.digest + 7 : "");
	s->modified_s = facts.modified_s;
	if (!*s->name && j->dest[strlen(j->dest) - 1] == '/')
		return error_set(err, -EINVAL, "ADD failed: cannot determine filename for source %.300s", url);
	if (!*s->name)
		s->name = arena_dup(&j->arena, "__unnamed__");
	if (*b->now.checksum && strcmp(facts.digest, b->now.checksum) != 0)
		return error_set(err, -EINVAL, "ADD failed: digest mismatch %s: %s", facts.digest, b->now.checksum);
	return 0;
}

/* What is clearly no path: "github.com/x" may be one. */
static bool is_git_word(const char *word)
{
	return remote_is_git(word) && strncmp(word, "github.com/", 11) != 0;
}

/* buildkit: dispatchCopy */
static int check_checksum(struct build *b, struct error *err)
{
	const char *checksum = b->now.checksum, *word = b->now.args.items[0];

	if (!*checksum)
		return 0;
	if (b->now.args.count != 2)
		return error_set_class(err, ERROR_INVALID, "checksum can't be specified for multiple sources");
	if (is_git_word(word))
		return error_set_class(err, ERROR_INVALID,
				       "checksum of a Git source is not supported: name the commit in its URL");
	if (!remote_is_url(word))
		return error_set_class(err, ERROR_INVALID, "checksum requires HTTP(S) or Git sources");
	return digest_is_valid(checksum) ? 0 : error_set_class(err, ERROR_INVALID, "invalid checksum digest format");
}

/* ADD of a repository: all that is checked out. It stands alone, since it is a root of its own. */
static int take_checkout(struct build *b, struct copy_job *j, const char *word, struct error *err)
{
	json_t *told = json_object_get(b->downloads, word);

	if (b->now.args.count != 2)
		return error_set_class(err, ERROR_INVALID, "ADD failed: a Git repository must be the only source");
	free(j->source_root);
	j->source_root = xasprintf("%s/%s-%u", b->dir, json_text(told, "name"), ++b->nuppers);
	j->checkout = arena_printf(&j->arena, "%s/%s", b->dir, json_text(told, "name"));
	j->checkout_dir = arena_dup(&j->arena, json_text(told, "dir"));
	j->keeps_git = b->now.keeps_git;
	json_object_del(b->downloads, word); /* it is moved: the next ADD of it checks out anew */
	words_add(&j->arena, &j->sources, arena_dup(&j->arena, "."));
	return 0;
}

/* Paths, and here documents, whose words begin with <<. */
static int take_sources(struct build *b, struct copy_job *j, struct error *err)
{
	const struct instruction *i = &b->now;
	size_t document = 0;

	j->documents = arena_alloc(&j->arena, (i->args.count + 1) * sizeof(*j->documents));
	for (size_t k = 0; k + 1 < i->args.count; k++) {
		const char *word = i->args.items[k];

		if (document < i->nheredocs && strstr(word, "<<")) {
			const struct heredoc *doc = &i->heredocs[document++];

			j->documents[j->ndocuments++] = (struct copy_source){ .name = arena_dup(&j->arena, doc->name),
									      .content = arena_dup(&j->arena, doc->content) };
		} else if (j->is_add && is_git_word(word)) {
			if (take_checkout(b, j, word, err) < 0)
				return err->code;
		} else if (remote_is_url(word) && !j->is_add) {
			return error_set(err, -EINVAL, "COPY failed: source can't be a URL for COPY");
		} else if (remote_is_url(word)) {
			if (take_download(b, j, word, err) < 0)
				return err->code;
		} else {
			words_add(&j->arena, &j->sources, arena_dup(&j->arena, word));
		}
	}
	return 0;
}

/* Absolute, below the working directory when it is not; the slash at its end is kept. */
static char *destination(struct build *b, struct arena *a)
{
	const char *dest = b->now.args.items[b->now.args.count - 1];
	const char *cwd = json_string_value(json_object_get(b->config, "WorkingDir"));
	size_t n = strlen(dest);
	char *path = text_absolute_path(a, cwd ? cwd : "", dest);
	bool is_dir = n == 0 || dest[n - 1] == '/' || (n >= 1 && dest[n - 1] == '.' && (n == 1 || dest[n - 2] == '/'));

	return is_dir && path[1] ? arena_printf(a, "%s/", path) : path;
}

static struct copy_step *step_new(struct build *b)
{
	struct copy_step *s = xnew(struct copy_step);

	s->build = b;
	s->job.is_cancelled = &b->is_cancelled;
	s->job.chown = arena_dup(&s->job.arena, b->now.chown);
	s->job.chmod = arena_dup(&s->job.arena, b->now.chmod);
	return s;
}

static void on_fetched(struct build *b, const struct error *err)
{
	struct error told = { 0 };

	if (!err) {
		step_copy(b); /* again: there is one thing less to be fetched */
		return;
	}
	told = *err;
	if (*b->now.from)
		error_prefix(&told, "invalid from flag value %.200s", b->now.from);
	else
		error_prefix(&told, "ADD failed");
	step_done(b, &told, 0);
}

static bool fetch_checkout(struct build *b, const char *url)
{
	struct git_source source;
	struct error err = { 0 };
	char name[32];

	if (json_object_get(b->downloads, url))
		return false;
	if (git_source_parse(url, &source, &err) < 0) {
		error_prefix(&err, "ADD failed");
		step_done(b, &err, 0);
		return true;
	}
	snprintf(name, sizeof(name), "add-%u", ++b->nuppers);
	json_object_set_new(b->downloads, url, json_pack("{s:s, s:s}", "name", name, "dir", source.dir));
	git_fetch_start(b, &source, name, on_fetched);
	git_source_done(&source);
	return true;
}

static bool fetch_word(struct build *b, const char *word)
{
	CLEANUP(freep) char *file = NULL;

	if (is_git_word(word))
		return fetch_checkout(b, word);
	if (!remote_is_url(word))
		return false;
	file = remote_file(b, word, NULL);
	if (file)
		return false;
	remote_download(b, word, on_fetched);
	return true;
}

/* Images and files that are not here yet. */
static bool fetch_first(struct build *b)
{
	const char *from = b->now.from;

	if (*from && strcmp(from, "scratch") != 0 && strspn(from, "0123456789") != strlen(from) &&
	    dockerfile_stage_before(b->dockerfile, b->stage, from, true) < 0 && remote_wants_image(b, from)) {
		remote_pull(b, from, on_fetched);
		return true;
	}
	for (size_t i = 0; b->now.kind == INSTRUCTION_ADD && i + 1 < b->now.args.count; i++)
		if (fetch_word(b, b->now.args.items[i]))
			return true;
	return false;
}

static void copy_begin(struct build *b)
{
	struct copy_step *s = step_new(b);
	struct copy_job *j = &s->job;
	struct error err = { 0 };

	j->is_add = b->now.kind == INSTRUCTION_ADD;
	j->name = j->is_add ? "ADD" : "COPY";
	j->unpacks = j->is_add && (!b->now.is_unpack_given || b->now.unpacks);
	j->unpacks_downloads = j->is_add && b->now.is_unpack_given && b->now.unpacks;
	j->is_from_image = *b->now.from != '\0';
	j->has_parents = b->now.has_parents;
	j->dest = destination(b, &j->arena);
	if (find_source_root(b, &j->source_root, &err) < 0 || take_excludes(b, j, &err) < 0 || take_sources(b, j, &err) < 0) {
		end(s, &err);
		return;
	}
	s->task = copy_find;
	uv_queue_work(b->engine->loop, &s->work, work, after_find);
}

void step_copy(struct build *b)
{
	struct error err = { 0 };

	if (check_checksum(b, &err) < 0)
		step_done(b, &err, 0);
	else if (!fetch_first(b))
		copy_begin(b);
}

void step_workdir(struct build *b)
{
	struct error err = { 0 };
	struct copy_step *s;
	char *comment, *command;

	if (change_config(&b->arena, &b->now, b->config, &b->is_cmd_set, &comment, &err) < 0) {
		step_done(b, &err, 0);
		return;
	}
	command = nop_command(b, comment, true);
	if (cache_probe(b, command)) {
		step_done(b, NULL, 0);
		return;
	}
	if (run_tell(b, comment, true, &err) < 0) {
		step_done(b, &err, 0);
		return;
	}
	s = step_new(b);
	s->command = xstrdup(command);
	s->job.dest = arena_dup(&s->job.arena, json_string_value(json_object_get(b->config, "WorkingDir")));
	fill(s, copy_make_dir);
}
