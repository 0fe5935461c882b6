#include "sandbox/kernel/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int take(const int *fds, size_t nfds, size_t *at, bool has)
{
	return has && *at < nfds ? fds[(*at)++] : -1;
}

static int fill_mount(struct container *c, const struct wire_mount *in, _Atomic uint64_t *used, const int *fds,
		      size_t nfds, size_t *at, struct rootfs_mount *out)
{
	*out = (struct rootfs_mount){
		.kind = (enum rootfs_mount_kind)in->kind,
		.target = in->target,
		.is_readonly = in->is_readonly,
		.is_bind = in->is_bind,
		.size_limit_bytes = in->size_limit_bytes,
		.used_bytes = used,
	};
	out->lower_fd = take(fds, nfds, at, in->has_lower);
	out->upper_fd = take(fds, nfds, at, in->has_upper);
	out->fd = take(fds, nfds, at, in->has_fd);
	switch (in->kind) {
	case ROOTFS_MOUNT_UNION: return out->lower_fd < 0 && out->upper_fd < 0 ? -EPROTO : 0;
	case ROOTFS_MOUNT_DIR: return out->fd < 0 ? -EPROTO : 0;
	case ROOTFS_MOUNT_FILE: out->ctx = (void *)in->fd_name; return out->fd < 0 || !in->fd_name ? -EPROTO : 0;
	case ROOTFS_MOUNT_VIRTUAL:
		if (!in->which)
			return -EPROTO;
		out->ops = strcmp(in->which, "proc") == 0 ? &procfs_ops : &devfs_ops;
		out->ctx = c;
		return 0;
	default: return -EPROTO;
	}
}

int container_open_view(struct container *c, const struct wire_setup *setup, const int *fds, size_t nfds)
{
	struct rootfs_mount *mounts = calloc(setup->nmounts ? setup->nmounts : 1, sizeof(*mounts));
	size_t at = 0;
	int r = setup->nmounts ? 0 : -EPROTO;

	if (!mounts)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < setup->nmounts; i++)
		r = fill_mount(c, &setup->mounts[i], i < PROCTABLE_MOUNTS ? &c->table->mount_used[i] : NULL, fds, nfds,
			       &at, &mounts[i]);
	if (r == 0)
		r = rootfs_new(mounts, setup->nmounts, &c->fs);
	if (r == 0)
		rootfs_count_used(c->fs);
	/* What leads to a mount is made in the upper layer; on a read-only root it must be there. */
	for (size_t i = 1; r == 0 && i < setup->nmounts; i++)
		rootfs_make_mountpoint(c->fs, setup->mounts[i].target, mounts[i].kind == ROOTFS_MOUNT_FILE);
	free(mounts);
	return r;
}
