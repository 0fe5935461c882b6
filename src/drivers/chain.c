/* The dispatcher: asks one driver after the other until one takes it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/driver.h"
#include "network/switch.h"
#include "util/alloc.h"

/* The last link is always asked: it refuses in words that say what is missing. */
static bool is_routed(const struct driver *d, const struct container *c)
{
	return !d->next || !c->runtime || strcmp(c->runtime, "auto") == 0 || strcmp(c->runtime, d->ops->name) == 0 ||
	       (d->ops->takes_runtime && d->ops->takes_runtime(d, c->runtime));
}

int chain_check(struct driver *first, struct error *err)
{
	const struct driver_ops *o;

	while (first->next)
		first = first->next;
	o = first->ops;
	if (o->exec && o->exec->start && o->exec->signal && o->lifecycle && o->lifecycle->start && o->lifecycle->signal &&
	    o->lifecycle->pause && o->lifecycle->unpause && o->lifecycle->top && o->lifecycle->stats &&
	    o->lifecycle->update && o->lifecycle->cleanup && o->stream && o->stream->write_stdin && o->stream->close_stdin &&
	    o->stream->resize && o->stream->flow && o->stream->release && o->filesystem && o->filesystem->run && o->free)
		return 0;
	return error_set(err, -EINVAL, "the chain's last driver, %s, does not fill every slot", o->name);
}

static int nobody(const struct container *c, struct error *err)
{
	return error_set_class(err, ERROR_INVALID, "no driver here can run this container (runtime %s)",
			       c->runtime ? c->runtime : "auto");
}

int chain_exec_start(struct driver *first, struct container *c, const struct run_spec *spec, struct process_sink sink,
		     struct driver_process **ret, struct error *err)
{
	bool is_reached = !c->driver;

	for (struct driver *d = first; d; d = d->next) {
		int r = DRIVER_DECLINED;

		/* From the driver that runs the container onwards. */
		is_reached = is_reached || strcmp(c->driver, d->ops->name) == 0;
		if (!is_reached || !(is_routed(d, c) || (c->driver && strcmp(c->driver, d->ops->name) == 0)))
			continue;
		if (d->ops->exec && d->ops->exec->start)
			r = d->ops->exec->start(d, c, spec, sink, ret, err);
		if (r != DRIVER_DECLINED)
			return r;
	}
	return nobody(c, err);
}

int chain_lifecycle_start(struct driver *first, struct container *c, struct run_plan *plan, struct process_sink sink,
			  struct driver_process **ret, struct error *err)
{
	for (struct driver *d = first; d; d = d->next) {
		int r = DRIVER_DECLINED;

		if (!is_routed(d, c))
			continue;
		if (d->ops->lifecycle && d->ops->lifecycle->start)
			r = d->ops->lifecycle->start(d, c, plan, sink, ret, err);
		if (r == DRIVER_DECLINED)
			continue;
		if (r == 0) {
			free(c->driver);
			c->driver = xstrdup(d->ops->name);
		}
		return r;
	}
	return nobody(c, err);
}

/* Who ran it last may not be there any more: an embedder's, of another day. */
static bool is_served(const struct driver *first, const struct container *c)
{
	for (; first && c->driver; first = first->next)
		if (strcmp(c->driver, first->ops->name) == 0)
			return true;
	return false;
}

int chain_files(struct driver *first, struct file_job *job, struct error *err)
{
	bool is_bound = is_served(first, job->container);

	for (struct driver *d = first; d; d = d->next) {
		int r = DRIVER_DECLINED;

		if (is_bound ? strcmp(job->container->driver, d->ops->name) != 0 : !is_routed(d, job->container))
			continue;
		if (d->ops->filesystem && d->ops->filesystem->run)
			r = d->ops->filesystem->run(d, job, err);
		if (r != DRIVER_DECLINED)
			return r;
	}
	return nobody(job->container, err);
}

void chain_cleanup(struct driver *first, struct container *c)
{
	for (struct driver *d = first; d; d = d->next)
		if (d->ops->lifecycle && d->ops->lifecycle->cleanup)
			d->ops->lifecycle->cleanup(d, c, NULL);
}

void chain_free(struct driver *first)
{
	while (first) {
		struct driver *next = first->next;

		first->ops->free(first);
		first = next;
	}
}

static void free_vector(char **v)
{
	for (size_t i = 0; v && v[i]; i++)
		free(v[i]);
	free(v);
}

static char **copy_vector(char *const *v)
{
	size_t n = 0;
	char **copy;

	while (v && v[n])
		n++;
	if (!v)
		return NULL;
	copy = xcalloc(n + 1, sizeof(*copy));
	for (size_t i = 0; i < n; i++)
		copy[i] = xstrdup(v[i]);
	return copy;
}

static void *copy_array(const void *array, size_t n, size_t size)
{
	void *copy = xcalloc(n ? n : 1, size);

	if (n)
		memcpy(copy, array, n * size);
	return copy;
}

void run_spec_copy(struct run_spec *ret, const struct run_spec *spec)
{
	*ret = *spec;
	ret->argv = copy_vector(spec->argv);
	ret->env = copy_vector(spec->env);
	ret->cwd = xstrdup(spec->cwd);
	ret->groups = copy_array(spec->groups, spec->ngroups, sizeof(*spec->groups));
	ret->rlimits = copy_array(spec->rlimits, spec->nrlimits, sizeof(*spec->rlimits));
	ret->program.prefix = copy_vector(spec->program.prefix);
}

void run_spec_done(struct run_spec *spec)
{
	free_vector(spec->argv);
	free_vector(spec->env);
	free(spec->cwd);
	free(spec->groups);
	free(spec->rlimits);
	program_done(&spec->program);
	memset(spec, 0, sizeof(*spec));
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void plan_mounts_free(struct run_mount *mounts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct run_mount *m = &mounts[i];

		free(m->target);
		free(m->source);
		free(m->which);
		free(m->fd_name);
		close_fd(m->lower_fd);
		close_fd(m->upper_fd);
		close_fd(m->fd);
	}
	free(mounts);
}

void run_plan_free(struct run_plan *plan)
{
	if (!plan)
		return;
	plan_mounts_free(plan->mounts, plan->nmounts);
	netns_unref(plan->netns);
	free(plan->hostname);
	free(plan->domainname);
	run_spec_done(&plan->spec);
	free(plan);
}
