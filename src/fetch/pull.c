/* Pull: manifest and config first, then those layers that are asked for, several at a time.
 *
 * Request: name, tag or digest, platform, dir, layers ("all": no questions). Events: "found" {digest} as soon as the
 * name means something (and nothing more but the result if that is "known"); "plan" {digest, index, manifest, config, layers,
 * manifestText, configText}; "progress", "retry", "blob" {digest, size} of each layer; "result". After the plan, lines of input
 * {"fetch":[digest…]} say what to get; the end of input, or {"end":true}, that there is no more to ask. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fetch/blob.h"
#include "fetch/events.h"
#include "fetch/manifest.h"
#include "fetch/ops.h"
#include "fetch/resolve.h"
#include "util/alloc.h"
#include "util/cleanup.h"

#define CONFIG_MAX (8u << 20)
#define BLOB_MAX (INT64_C(1) << 42)

struct pull {
	struct run *run;
	struct endpoint *endpoint;
	struct resolved what;
	struct buf config;
	/* what the workers share, under the lock */
	pthread_mutex_t lock;
	pthread_cond_t more;
	size_t *queue, nqueued, next, ndone; /* indexes of layers */
	bool *is_queued, is_closed, has_failed;
	struct error error;
	int wake_fd;    /* written when something has ended */
};

/* ---- up to the plan ---- */

static json_t *view(const struct descriptor *d)
{
	return json_pack("{s:s, s:s, s:I}", "digest", d->digest, "mediaType", d->media_type, "size", (json_int_t)d->size);
}

static const struct descriptor *top_of(const struct pull *p)
{
	return p->what.index.root || p->what.is_known ? &p->what.index_is : &p->what.manifest_is;
}

static int emit_plan(const struct pull *p, struct error *err)
{
	json_t *manifest = json_string(p->what.manifest.text);
	json_t *config = json_stringn(p->config.data ? p->config.data : "", p->config.len);
	json_t *layers = json_array(), *plan;

	for (size_t i = 0; i < p->what.manifest.nlayers; i++)
		json_array_append_new(layers, view(&p->what.manifest.layers[i]));
	plan = json_pack("{s:s, s:s, s:o, s:o, s:o}", "digest", top_of(p)->digest, "base", endpoint_base(p->endpoint),
			 "manifest", view(&p->what.manifest_is), "config", view(&p->what.manifest.config), "layers", layers);
	if (p->what.index.root)
		json_object_set_new(plan, "index", view(&p->what.index_is));
	if (!manifest || !config) { /* they are no UTF-8 */
		json_decref(plan);
		return error_set_class(err, ERROR_INVALID, "invalid image configuration");
	}
	json_object_set_new(plan, "manifestText", manifest);
	json_object_set_new(plan, "configText", config);
	event_emit("plan", plan);
	return 0;
}

static int prepare(struct run *run, struct endpoint **e, void *arg, struct error *err)
{
	struct pull *p = arg;
	int r = resolve(run->session, *e, run->http, &p->what, err);

	if (r < 0)
		return r;
	event_emit("found", json_pack("{s:s}", "digest", top_of(p)->digest));
	if (p->what.is_known)
		return 0;
	r = blob_get(run->session, *e, run->http, &p->what.manifest.config, CONFIG_MAX, &p->config, err);
	if (r < 0) {
		error_prefix(err, "error pulling image configuration");
		resolved_done(&p->what);
		buf_done(&p->config);
		return r;
	}
	p->endpoint = *e;
	*e = NULL;
	return 0;
}

/* ---- the workers ---- */

static void wake(struct pull *p)
{
	if (eventfd_write(p->wake_fd, 1) < 0)
		abort();
}

/* The next layer to get; false: none will come. */
static bool take_next(struct pull *p, size_t *ret)
{
	bool is_there;

	pthread_mutex_lock(&p->lock);
	while (p->next == p->nqueued && !p->is_closed && !p->has_failed)
		pthread_cond_wait(&p->more, &p->lock);
	is_there = p->next < p->nqueued && !p->has_failed;
	if (is_there)
		*ret = p->queue[p->next++];
	pthread_mutex_unlock(&p->lock);
	return is_there;
}

static void *work(void *arg)
{
	struct pull *p = arg;
	struct http *h = http_new(&p->run->session->http);
	size_t i;

	while (take_next(p, &i)) {
		const struct descriptor *d = &p->what.manifest.layers[i];
		struct error err = { 0 };
		int r = blob_download(p->run->session, p->endpoint, h, d, BLOB_MAX, true, &err);

		if (r == 0)
			event_emit("blob", json_pack("{s:s, s:I}", "digest", d->digest, "size", (json_int_t)d->size));
		pthread_mutex_lock(&p->lock);
		p->ndone++;
		if (r < 0 && !p->has_failed) {
			p->has_failed = true;
			p->error = err;
			pthread_cond_broadcast(&p->more);
		}
		pthread_mutex_unlock(&p->lock);
		wake(p);
	}
	http_free(h);
	return NULL;
}

/* ---- what is asked for ---- */

/* Once each: layers of one digest are one blob. */
static void enqueue(struct pull *p, const char *digest)
{
	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < p->what.manifest.nlayers; i++) {
		if (digest && strcmp(p->what.manifest.layers[i].digest, digest) != 0)
			continue;
		for (size_t k = 0; k < i && !p->is_queued[i]; k++)
			p->is_queued[i] = p->is_queued[k] &&
					  strcmp(p->what.manifest.layers[k].digest, p->what.manifest.layers[i].digest) == 0;
		if (p->is_queued[i])
			continue;
		p->is_queued[i] = true;
		p->queue[p->nqueued++] = i;
	}
	pthread_cond_broadcast(&p->more);
	pthread_mutex_unlock(&p->lock);
}

static void close_queue(struct pull *p)
{
	pthread_mutex_lock(&p->lock);
	p->is_closed = true;
	pthread_cond_broadcast(&p->more);
	pthread_mutex_unlock(&p->lock);
}

static void obey(struct pull *p, const char *line, size_t len)
{
	json_t *o = json_loadb(line, len, 0, NULL), *v;
	size_t i;

	json_array_foreach(json_object_get(o, "fetch"), i, v)
		if (json_is_string(v))
			enqueue(p, json_string_value(v));
	if (json_is_true(json_object_get(o, "end")))
		close_queue(p);
	json_decref(o);
}

static bool is_over(struct pull *p)
{
	bool is;

	pthread_mutex_lock(&p->lock);
	is = p->has_failed || (p->is_closed && p->ndone == p->nqueued);
	pthread_mutex_unlock(&p->lock);
	return is;
}

/* Until all that was asked for is there, or something failed. Ends the process when nobody reads our events. */
static void serve(struct pull *p)
{
	struct input *in = p->run->input;
	size_t len;

	while (!is_over(p)) {
		struct pollfd fds[] = { { .fd = p->wake_fd, .events = POLLIN },
					{ .fd = STDOUT_FILENO },
					{ .fd = in->is_at_end || p->is_closed ? -1 : STDIN_FILENO, .events = POLLIN } };
		eventfd_t n;

		while (!p->is_closed && input_line(in, false, &len) == 1) {
			obey(p, in->buf.data, len);
			input_consume(in, len);
		}
		if (in->is_at_end)
			close_queue(p);
		if (is_over(p) || (poll(fds, 3, -1) < 0 && errno != EINTR))
			break;
		if (fds[1].revents & (POLLERR | POLLHUP))
			_exit(1);
		if (fds[0].revents & POLLIN && eventfd_read(p->wake_fd, &n) < 0)
			break;
	}
}

static bool find_failure(struct pull *p, struct error *err)
{
	bool has_failed;

	pthread_mutex_lock(&p->lock);
	has_failed = p->has_failed;
	if (has_failed)
		*err = p->error;
	pthread_mutex_unlock(&p->lock);
	return has_failed;
}

static int fetch_layers(struct pull *p, struct error *err)
{
	size_t n = p->what.manifest.nlayers + 1;
	int nthreads = p->run->session->parallel;
	pthread_t threads[16];

	p->queue = xcalloc(n, sizeof(*p->queue));
	p->is_queued = xcalloc(n, sizeof(*p->is_queued));
	p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->more, NULL);
	if (strcmp(session_text(p->run->session, "layers"), "all") == 0) {
		enqueue(p, NULL);
		close_queue(p);
	}
	for (int i = 0; i < nthreads; i++)
		if (pthread_create(&threads[i], NULL, work, p) != 0)
			nthreads = i;
	if (nthreads == 0)
		return error_set(err, -EAGAIN, "no thread can be started");
	serve(p);
	/* The first failure is the end: the others' .part files stay for the next try, and they are not waited for. */
	if (find_failure(p, err)) {
		for (int i = 0; i < nthreads; i++)
			pthread_detach(threads[i]);
		return err->code;
	}
	for (int i = 0; i < nthreads; i++)
		pthread_join(threads[i], NULL);
	close(p->wake_fd);
	free(p->queue);
	free(p->is_queued);
	return 0;
}

int op_pull(struct run *run, struct error *err)
{
	struct pull *p = xnew(struct pull); /* not freed after a failure: its threads may still look at it */
	int r;

	p->run = run;
	if (!run->session->has_name || !*run->session->dir)
		r = error_set_class(err, ERROR_INVALID, "a pull needs a name and a directory");
	else
		r = run_endpoints(run, true, prepare, p, err);
	if (r == 0 && !p->what.is_known)
		r = emit_plan(p, err);
	if (r == 0 && !p->what.is_known)
		r = fetch_layers(p, err);
	if (r < 0)
		return r;
	event_result(json_pack("{s:s}", "digest", top_of(p)->digest));
	resolved_done(&p->what);
	buf_done(&p->config);
	endpoint_free(p->endpoint);
	free(p);
	return 0;
}

/* The config alone: request as a pull's, without a directory; "result" {configText}. */
int op_config(struct run *run, struct error *err)
{
	struct pull *p = xnew(struct pull);
	json_t *text = NULL;
	int r;

	p->run = run;
	r = run->session->has_name ? run_endpoints(run, true, prepare, p, err) :
				     error_set_class(err, ERROR_INVALID, "a name is needed");
	if (r == 0 && !p->what.is_known)
		text = json_stringn(p->config.data ? p->config.data : "", p->config.len);
	if (r == 0 && !text)
		r = error_set_class(err, ERROR_INVALID, "invalid image configuration");
	if (r == 0)
		event_result(json_pack("{s:o}", "configText", text));
	resolved_done(&p->what);
	buf_done(&p->config);
	endpoint_free(p->endpoint);
	free(p);
	return r;
}
