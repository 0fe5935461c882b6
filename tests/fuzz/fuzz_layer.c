/* Layers: any bytes as an archive, upon a root with something in it. Whatever comes, the directory beside the root
 * stays as it is, what is refused is refused with words, and what was taken can be walked, cloned and seen. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "rootfs/layer.h"

static char top[64];
static int top_fd = -1;

static void remove_top(void)
{
	rootfs_remove_tree(AT_FDCWD, top);
}

static void put(int dir_fd, const char *name, const char *text)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	FUZZ_CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void make_top(void)
{
	const char *dir = getenv("TMPDIR");

	snprintf(top, sizeof(top), "%.32s/sockerless-fuzz-XXXXXX", dir ? dir : "/tmp");
	FUZZ_CHECK(mkdtemp(top) != NULL);
	atexit(remove_top);
	top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	FUZZ_CHECK(top_fd >= 0 && mkdirat(top_fd, "outside", 0755) == 0);
	put(top_fd, "outside/secret", "secret");
}

static int make_root(const char *name, bool is_empty)
{
	int fd;

	FUZZ_CHECK(mkdirat(top_fd, name, 0755) == 0);
	fd = openat(top_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	FUZZ_CHECK(fd >= 0);
	if (is_empty)
		return fd;
	FUZZ_CHECK(mkdirat(fd, "a", 0755) == 0 && mkdirat(fd, "a/b", 0755) == 0);
	put(fd, "a/f", "lower");
	put(fd, "a/b/g", "lower");
	FUZZ_CHECK(symlinkat("../outside", fd, "l") == 0);
	return fd;
}

struct bytes {
	const uint8_t *at;
	size_t left;
};

static ssize_t give(void *arg, const void **ret)
{
	struct bytes *b = arg;
	size_t n = b->left < 700 ? b->left : 700;

	*ret = b->at;
	b->at += n;
	b->left -= n;
	return (ssize_t)n;
}

static void check_outside(void)
{
	char text[16];
	struct stat st, dir;
	int fd = openat(top_fd, "outside/secret", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	FUZZ_CHECK(fd >= 0 && read(fd, text, sizeof(text)) == 6 && memcmp(text, "secret", 6) == 0);
	FUZZ_CHECK(fstat(fd, &st) == 0 && st.st_nlink == 1 && (st.st_mode & 0777) == 0644);
	FUZZ_CHECK(fstatat(top_fd, "outside", &dir, 0) == 0 && dir.st_nlink == 2 && (dir.st_mode & 0777) == 0755);
	close(fd);
}

static ssize_t swallow(void *arg, const void *data, size_t len)
{
	(void)data;
	*(uint64_t *)arg += len;
	return (ssize_t)len;
}

/* A root is what a container's view can be made of: as an upper layer, it is a layer again. */
static void check_root(int root)
{
	struct rootfs_mount m = { .kind = ROOTFS_MOUNT_UNION, .target = "/", .lower_fd = -1, .upper_fd = root, .fd = -1 };
	uint64_t entries = 0, bytes = 0;
	struct error err = { 0 };
	struct rootfs *fs;
	int clone = make_root("clone", true);

	FUZZ_CHECK(rootfs_new(&m, 1, &fs) == 0);
	FUZZ_CHECK(layer_write(fs, NULL, swallow, &bytes, &entries, &err) == 0 && bytes >= 1024);
	rootfs_free(fs);
	FUZZ_CHECK(layer_clone(root, clone) == 0);
	close(clone);
	FUZZ_CHECK(rootfs_remove_tree(top_fd, "clone") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct layer_limits limits = { .max_bytes = 1 << 20, .max_entries = 200 };
	struct layer_figures figures = { 0 };
	struct bytes b = { data + 1, size ? size - 1 : 0 };
	struct error err = { 0 };
	int root, r;

	if (top_fd < 0)
		make_top();
	if (!size)
		return 0;
	root = make_root("root", data[0] & 1); /* the first byte: upon nothing, or upon something */
	r = layer_apply(root, &limits, give, &b, &figures, &err);
	FUZZ_CHECK(r == 0 ? err.code == 0 : err.code == r && *err.message);
	check_outside();
	if (r == 0)
		check_root(root);
	close(root);
	FUZZ_CHECK(rootfs_remove_tree(top_fd, "root") == 0);
	return 0;
}
