/* Layers by hand, for the bench and for looking at what an archive becomes:
 *   layer-tool apply DIR <TAR      clone FROM TO      write LOWER UPPER >TAR
 * and the same through a view, as docker cp and export do it:
 *   layer-tool extract DIR <TAR    export DIR >TAR */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rootfs/layer.h"
#include "rootfs/tar.h"

static char buffer[1 << 18];

static ssize_t from_stdin(void *arg, const void **ret)
{
	ssize_t n = read(0, buffer, sizeof(buffer));

	(void)arg;
	*ret = buffer;
	return n < 0 ? -errno : n;
}

static ssize_t to_stdout(void *arg, const void *data, size_t len)
{
	ssize_t n = write(1, data, len);

	(void)arg;
	return n < 0 ? -errno : n;
}

static int apply(int dir, struct error *err)
{
	struct layer_figures f = { 0 };
	int r = layer_apply(dir, NULL, from_stdin, NULL, &f, err);

	if (r == 0)
		printf("%" PRIu64 " entries, %" PRIu64 " bytes%s\n", f.entries, f.bytes,
		       f.has_native ? ", native programs" : "");
	return r;
}

static int write_layer(int lower, int upper, struct error *err)
{
	struct rootfs_mount m = { .kind = ROOTFS_MOUNT_UNION, .target = "/", .lower_fd = lower, .upper_fd = upper, .fd = -1 };
	struct rootfs *fs;
	uint64_t entries;
	int r = rootfs_new(&m, 1, &fs);

	if (r == 0) {
		r = layer_write(fs, NULL, to_stdout, NULL, &entries, err);
		rootfs_free(fs);
	}
	return r;
}

static int through_view(int upper, bool is_export, struct error *err)
{
	struct rootfs_mount m = { .kind = ROOTFS_MOUNT_UNION, .target = "/", .lower_fd = -1, .upper_fd = upper, .fd = -1 };
	struct tar_extract_options in = { .copy_uid_gid = true };
	struct tar_write_options out = { .contents_only = true };
	struct rootfs *fs;
	int r = rootfs_new(&m, 1, &fs);

	if (r < 0)
		return r;
	r = is_export ? tar_write(fs, "/", &out, to_stdout, NULL, err) : tar_extract(fs, "/", &in, from_stdin, NULL, err);
	rootfs_free(fs);
	return r;
}

int main(int argc, char **argv)
{
	int one = argc > 2 ? open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int two = argc > 3 ? open(argv[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	struct error err = { 0 };
	int r = -EINVAL;

	if (argc == 3 && strcmp(argv[1], "apply") == 0)
		r = apply(one, &err);
	else if (argc == 3 && (strcmp(argv[1], "extract") == 0 || strcmp(argv[1], "export") == 0))
		r = through_view(one, argv[1][2] == 'p', &err);
	else if (argc == 4 && strcmp(argv[1], "clone") == 0)
		r = layer_clone(one, two);
	else if (argc == 4 && strcmp(argv[1], "write") == 0)
		r = write_layer(one, two, &err);
	if (r < 0)
		fprintf(stderr, "layer-tool: %s\n", err.code ? err.message : error_text(-r));
	return r < 0;
}
