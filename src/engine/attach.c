/* docker attach: a client at the streams of a container's main process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/detach.h"
#include "engine/internal.h"
#include "util/alloc.h"

static int write_input(void *arg, const void *data, size_t len)
{
	struct crun *run = arg;

	return run->process ? run->process->owner->ops->stream->write_stdin(run->process->owner, run->process, data, len) : 0;
}

static void close_input(void *arg)
{
	struct crun *run = arg;

	/* Others may attach and go on writing; a terminal's input never ends with a client,
	 * which half-closes also when it detaches (moby: attach's CloseStdin && !TTY). */
	if (!json_is_true(json_object_get(run->container->config, "StdinOnce")) ||
	    json_is_true(json_object_get(run->container->config, "Tty")))
		return;
	if (run->process)
		run->process->owner->ops->stream->close_stdin(run->process->owner, run->process);
	else
		run->is_stdin_closed = true;
}

static void on_detached(void *arg)
{
	struct crun *run = arg;

	engine_container_event(run->engine, run->container, "detach", NULL);
}

int engine_container_attach_check(struct engine *e, struct container *c, const struct attach_options *opt, struct error *err)
{
	struct detach_keys keys;

	(void)e;
	if (!detach_keys_parse(&keys, opt->detach_keys))
		return error_set_class(err, ERROR_INVALID, "Invalid detach keys (%.100s) provided", opt->detach_keys);
	if (c->state.status == CONTAINER_PAUSED)
		return error_set_class(err, ERROR_CONFLICT,
				       "Container %s is paused, unpause the container before attach.", c->id);
	if (c->state.status == CONTAINER_RESTARTING)
		return error_set_class(err, ERROR_CONFLICT,
				       "Container %s is restarting, wait until the container is running", c->id);
	return 0;
}

/* What attach needs after the replay of the log. */
struct attaching {
	struct engine *engine;
	struct container *container;
	struct attach_options opt;
	char *keys;
};

static void attach_live(struct engine *e, struct container *c, const struct attach_options *opt, struct stream *s)
{
	struct crun *run = crun_of(e, c);
	struct input in = { .flow = crun_flow, .arg = run, .close = close_input, .detached = on_detached };

	engine_container_event(e, c, "attach", NULL);
	if (opt->stdin_ && json_is_true(json_object_get(c->config, "OpenStdin")))
		in.write = write_input;
	if (opt->stream && (in.write || opt->stdout_ || opt->stderr_))
		output_attach(run->output, s, opt->stdout_, opt->stderr_, &in,
			      json_is_true(json_object_get(c->config, "Tty")), opt->detach_keys, run->process == NULL);
	else
		stream_end(s); /* nothing to wait for */
}

static void on_replayed(void *arg, struct stream *s)
{
	struct attaching *a = arg;

	a->opt.detach_keys = a->keys;
	if (s)
		attach_live(a->engine, a->container, &a->opt, s);
	container_unref(a->container);
	free(a->keys);
	free(a);
}

/* After the connection has been taken over errors are told in its stream. */
static void tell(struct stream *s, const char *text)
{
	size_t n = strlen(text);
	unsigned char head[8] = { 1, 0, 0, 0, 0, 0, (unsigned char)(n >> 8), (unsigned char)n };

	if (s->is_mux)
		stream_write(s, head, sizeof(head));
	stream_write(s, text, n);
	stream_end(s);
}

void engine_container_attach(struct engine *e, struct container *c, const struct attach_options *opt, struct stream *s)
{
	struct logs_options logs = { .stdout_ = opt->stdout_, .stderr_ = opt->stderr_, .tail = -1 };
	struct error err = { 0 };
	struct attaching *a;

	if (!opt->logs || (!opt->stdout_ && !opt->stderr_)) {
		attach_live(e, c, opt, s);
		return;
	}
	if (engine_container_logs_check(e, c, &logs, &err) < 0) {
		char text[ERROR_MESSAGE_MAX + 32];

		snprintf(text, sizeof(text), "Error attaching: %s\n", err.message);
		tell(s, text);
		return;
	}
	a = xnew(struct attaching);
	*a = (struct attaching){ e, container_ref(c), *opt, xstrdup(opt->detach_keys) };
	logs_replay(e, c, &logs, s, on_replayed, a);
}
