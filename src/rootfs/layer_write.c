/* Changes as a layer's tar: comes with the rest of the layers. */
#include <errno.h>

#include "rootfs/layer.h"

int layer_write(struct rootfs *fs, const struct layer_write_options *opt, tar_write_fn write, void *arg,
		uint64_t *ret_entries, struct error *err)
{
	(void)fs;
	(void)opt;
	(void)write;
	(void)arg;
	*ret_entries = 0;
	return error_set(err, -ENOSYS, "layers cannot be written yet");
}
