#include "support/recording-driver.h"

#include <string.h>

static int record(struct driver *d, const char *what, struct error *err)
{
	struct recording_driver *r = (struct recording_driver *)d;

	if (r->calls[0])
		strncat(r->calls, " ", sizeof(r->calls) - strlen(r->calls) - 1);
	strncat(r->calls, what, sizeof(r->calls) - strlen(r->calls) - 1);
	if (r->answer < 0)
		error_set(err, r->answer, "%s failed", d->ops->name);
	return r->answer;
}

static int accept_with(struct driver *d, const char *what, struct driver_process **ret, struct error *err)
{
	int r = record(d, what, err);

	if (r == 0)
		*ret = &((struct recording_driver *)d)->process;
	return r;
}

static int exec_start(struct driver *d, struct container *c, const struct run_spec *spec, struct process_sink sink,
		      struct driver_process **ret, struct error *err)
{
	(void)c, (void)spec, (void)sink;
	return accept_with(d, "exec", ret, err);
}

static int lifecycle_start(struct driver *d, struct container *c, struct run_plan *plan, struct process_sink sink,
			   struct driver_process **ret, struct error *err)
{
	(void)c, (void)plan, (void)sink;
	return accept_with(d, "start", ret, err);
}

static int lifecycle_cleanup(struct driver *d, struct container *c, struct error *err)
{
	(void)c;
	return record(d, "cleanup", err);
}

static int files_run(struct driver *d, struct file_job *job, struct error *err)
{
	(void)job;
	return record(d, "files", err);
}

static const struct exec_ops exec = { .start = exec_start };
static const struct lifecycle_ops lifecycle = { .start = lifecycle_start, .cleanup = lifecycle_cleanup };
static const struct filesystem_ops filesystem = { .run = files_run };

void recording_driver_init(struct recording_driver *d, const char *name, int answer)
{
	memset(d, 0, sizeof(*d));
	d->ops = (struct driver_ops){ .name = name, .exec = &exec, .lifecycle = &lifecycle, .filesystem = &filesystem };
	d->base.ops = &d->ops;
	d->process.owner = &d->base;
	d->answer = answer;
}
