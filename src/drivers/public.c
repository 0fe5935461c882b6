#include "drivers/public.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rootfs/rootfs.h"
#include "util/alloc.h"

void public_copy(void *to, size_t size, const void *from, size_t from_size)
{
	memset(to, 0, size);
	memcpy(to, from, from_size && from_size < size ? from_size : size);
}

bool public_is_name(const char *name)
{
	return name && *name && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name);
}

int public_error(int code, const struct sockerless_error *said, struct error *err)
{
	return error_set(err, code, "%.*s", ERROR_MESSAGE_MAX, said->message[0] ? said->message : error_text(-code));
}

/* ---- specifications ---- */

static const char *fd_path(int fd, char *buf, size_t size)
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = fd >= 0 ? readlink(link, buf, size - 1) : -1;
	buf[n > 0 ? n : 0] = '\0';
	return n > 0 ? buf : NULL;
}

static void add_plan(struct public_spec *ps, const struct run_plan *plan)
{
	size_t n = 0;

	ps->mounts = xcalloc(plan->nmounts + 1, sizeof(*ps->mounts));
	ps->list = xcalloc(plan->nmounts + 1, sizeof(*ps->list));
	for (size_t i = 1; i < plan->nmounts; i++) { /* the first is the root */
		const struct run_mount *in = &plan->mounts[i];

		if (in->kind == ROOTFS_MOUNT_VIRTUAL)
			continue;
		ps->mounts[n] = (struct sockerless_mount){ sizeof(ps->mounts[n]), in->source, in->target, in->is_readonly };
		ps->list[n] = &ps->mounts[n];
		n++;
	}
	ps->spec.mounts = ps->list;
	ps->spec.hostname = plan->hostname;
	ps->spec.memory_bytes = plan->limits.memory_bytes;
	ps->spec.pids_max = plan->limits.pids_max;
	ps->spec.root_lower = fd_path(plan->mounts[0].lower_fd, ps->lower, sizeof(ps->lower));
	ps->spec.root_upper = fd_path(plan->mounts[0].upper_fd, ps->upper, sizeof(ps->upper));
}

void public_spec_init(struct public_spec *ps, const struct container *c, const struct run_spec *s, const struct run_plan *plan)
{
	ps->mounts = NULL;
	ps->list = NULL;
	ps->spec = (struct sockerless_process_spec){
		.size = sizeof(ps->spec),
		.container_id = c->id,
		.container_name = c->name,
		.image = c->image_ref,
		.argv = (const char *const *)s->argv,
		.env = (const char *const *)s->env,
		.cwd = s->cwd,
		.uid = s->uid,
		.gid = s->gid,
		.is_tty = s->tty,
		.has_stdin = s->open_stdin,
		.rows = s->rows,
		.columns = s->cols,
	};
	if (plan)
		add_plan(ps, plan);
}

void public_spec_done(struct public_spec *ps)
{
	free(ps->mounts);
	free(ps->list);
}

/* ---- figures ---- */

void public_row(const struct sockerless_process_row *in, struct process_info *ret)
{
	struct sockerless_process_row row;

	public_copy(&row, sizeof(row), in, in->size);
	*ret = (struct process_info){ .pid = row.pid,
				      .ppid = row.ppid,
				      .uid = row.uid,
				      .host_pid = row.pid,
				      .start_ns = (uint64_t)row.started_ns,
				      .cpu_ns = row.cpu_ns,
				      .rss_bytes = row.memory_bytes,
				      .state = 'S' };
	snprintf(ret->command, sizeof(ret->command), "%s", row.command ? row.command : "");
	snprintf(ret->comm, sizeof(ret->comm), "%.*s", (int)strcspn(ret->command, " "), ret->command);
}

void public_stats(const struct sockerless_process_stats *in, struct process_figures *ret)
{
	struct sockerless_process_stats s;

	public_copy(&s, sizeof(s), in, in->size);
	*ret = (struct process_figures){ .user_ns = s.cpu_user_ns,
					 .system_ns = s.cpu_system_ns,
					 .memory_bytes = s.memory_bytes,
					 .memory_peak_bytes = s.memory_peak_bytes,
					 .pids = s.pids };
}
