/* A layer's tar applied through a view of the directory. */
#include "rootfs/layer.h"

#include <errno.h>

int layer_apply(int dir_fd, const struct layer_limits *limits, tar_read_fn read, void *arg, struct layer_figures *ret,
		struct error *err)
{
	struct tar_extract_options opt = { .copy_uid_gid = true,
					   .is_layer = true,
					   .max_bytes = limits && limits->max_bytes ? limits->max_bytes : 64ull << 30,
					   .max_entries = limits ? limits->max_entries : 0 };
	struct rootfs_mount mount = { .kind = ROOTFS_MOUNT_UNION, .target = "/", .lower_fd = -1, .upper_fd = dir_fd, .fd = -1 };
	struct rootfs *fs;
	int r = rootfs_new(&mount, 1, &fs);

	if (r < 0)
		return error_set(err, r, "the layer's directory cannot be opened");
	r = tar_extract(fs, "/", &opt, read, arg, err);
	if (r == 0)
		rootfs_usage(fs, &ret->bytes, &(uint64_t){ 0 });
	ret->has_native = true;
	rootfs_free(fs);
	return r;
}
