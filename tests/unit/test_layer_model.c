/* Round trips of random trees: what a container has changed, written as a layer and applied to a clone of its
 * image, shows what the container showed; the image itself stays as it was. And the forms that a layer is written in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "rootfs/tar_input.h"
#include "support/layer-fixture.h"

/* ---- a file system without user xattrs, and one without links: these stand before the C library's ---- */

static bool has_no_xattrs, has_no_links;

ssize_t fgetxattr(int fd, const char *name, void *value, size_t size)
{
	errno = EOPNOTSUPP;
	return has_no_xattrs ? -1 : syscall(SYS_fgetxattr, fd, name, value, size);
}

int fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
	errno = EOPNOTSUPP;
	return has_no_xattrs ? -1 : (int)syscall(SYS_fsetxattr, fd, name, value, size, flags);
}

int fremovexattr(int fd, const char *name)
{
	errno = EOPNOTSUPP;
	return has_no_xattrs ? -1 : (int)syscall(SYS_fremovexattr, fd, name);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	errno = EMLINK;
	return has_no_links ? -1 : (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
}

/* ---- random changes ---- */

static uint32_t seed;

static uint32_t below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed % n;
}

/* Few names, so that things meet. */
static const char *some_path(char out[64])
{
	static const char *const names[] = { "a", "b", "c", "a-b", "\xe9" };
	size_t n = 0;

	for (uint32_t depth = below(3) + 1; depth > 0; depth--)
		n += (size_t)snprintf(out + n, 64 - n, "/%s", names[below(below(3) ? 3 : 5)]);
	return out;
}

static void write_file(struct rootfs *fs, const char *path)
{
	struct rootfs_file f;
	char text[64];
	int n = snprintf(text, sizeof(text), "%u", below(1000));

	if (rootfs_open(fs, NULL, NULL, path, O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0600 + below(0200), &f) < 0)
		return;
	if (f.fd >= 0 && pwrite(f.fd, text, (size_t)n, below(4) ? 0 : 100000) != n)
		fail_msg("%s: not written", path);
	rootfs_file_done(&f);
}

static void change_something(struct rootfs *fs)
{
	static const uint32_t kinds[] = { S_IFIFO, S_IFCHR, S_IFBLK, S_IFSOCK };
	struct timespec times[2] = { { below(1000), 0 }, { 1000 + below(1000), below(999) } };
	char path[64], other[64];

	some_path(path);
	some_path(other);
	switch (below(14)) {
	case 0:
	case 1:
	case 2: write_file(fs, path); break;
	case 3:
	case 4: rootfs_mkdir(fs, NULL, NULL, path, below(2) ? 0755 : below(02000)); break;
	case 5: rootfs_symlink(fs, NULL, other, NULL, path); break;
	case 6: rootfs_link(fs, NULL, NULL, other, NULL, path, 0); break;
	case 7:
		rootfs_mknod(fs, NULL, NULL, path, kinds[below(4)] | below(01000), makedev(below(300), below(300)));
		break;
	case 8: rootfs_unlink(fs, NULL, NULL, path, 0); break;
	case 9: rootfs_unlink(fs, NULL, NULL, path, AT_REMOVEDIR); break;
	case 10: rootfs_rename(fs, NULL, NULL, path, NULL, other, 0); break;
	case 11: rootfs_chmod(fs, NULL, NULL, path, below(010000), 0); break;
	case 12:
		rootfs_chown(fs, NULL, NULL, path, below(3) * 1000000000, below(3) * 70000, AT_SYMLINK_NOFOLLOW);
		break;
	default: rootfs_utimens(fs, NULL, NULL, path, times, AT_SYMLINK_NOFOLLOW); break;
	}
}

/* A directory that was removed with all that was in it, and made anew: opaque. */
static void replace_directory(struct rootfs *fs)
{
	static const char *const inside[] = { "a", "b", "c", "a-b", "\xe9" };
	char path[64], sub[80];

	snprintf(path, sizeof(path), "/%c", (char)('a' + below(3)));
	for (size_t i = 0; i < 5; i++) {
		snprintf(sub, sizeof(sub), "%s/%s", path, inside[i]);
		if (rootfs_unlink(fs, NULL, NULL, sub, 0) == -EISDIR)
			rootfs_unlink(fs, NULL, NULL, sub, AT_REMOVEDIR);
	}
	if (rootfs_unlink(fs, NULL, NULL, path, AT_REMOVEDIR) == 0)
		rootfs_mkdir(fs, NULL, NULL, path, 0755);
}

/* ---- the trip ---- */

static struct rootfs *view(int lower, int upper)
{
	struct rootfs_mount m = { .kind = ROOTFS_MOUNT_UNION, .target = "/", .lower_fd = lower, .upper_fd = upper, .fd = -1 };
	struct rootfs *fs = NULL;

	assert_int_equal(rootfs_new(&m, 1, &fs), 0);
	return fs;
}

static ssize_t into_buf(void *arg, const void *data, size_t len)
{
	return buf_append(arg, data, len) < 0 ? -ENOMEM : (ssize_t)len;
}

static void written(struct layer_fixture *f, struct rootfs *fs, const struct layer_write_options *opt, struct buf *ret)
{
	uint64_t entries;

	buf_init(ret, 1 << 26);
	if (layer_write(fs, opt, into_buf, ret, &entries, &f->err) != 0)
		fail_msg("written: %s", f->err.message);
}

static void refused(struct rootfs *fs, const char *why)
{
	struct error err = { 0 };
	uint64_t entries;
	struct buf tar;

	buf_init(&tar, 1 << 26);
	assert_int_not_equal(layer_write(fs, NULL, into_buf, &tar, &entries, &err), 0);
	assert_string_equal(err.message, why);
	buf_done(&tar);
}

static char *below_root(const char *text)
{
	char *line = strchr(text, '\n');

	return line ? line + 1 : "";
}

/* Without the root's own line: what is changed of "/" itself is no entry of a layer, as in Docker. */
static void assert_same_below(char *was, const char *is, uint32_t round)
{
	const char *a = below_root(was), *b = below_root(is);
	size_t n = 0;

	while (a[n] && a[n] == b[n])
		n++;
	if (!a[n] && !b[n])
		return;
	while (n > 0 && a[n - 1] != '\n')
		n--;
	fail_msg("round %u: the container: %.*s; the layer: %.*s", round, (int)strcspn(a + n, "\n"), a + n,
		 (int)strcspn(b + n, "\n"), b + n);
}

static void one_trip(struct layer_fixture *f, uint32_t round)
{
	char name[16];
	struct buf tar, again;
	int image = fcntl(f->root, F_DUPFD_CLOEXEC, 3), upper;
	struct rootfs *fs;
	char *was, *image_was;

	snprintf(name, sizeof(name), "upper%u", round);
	assert_int_equal(mkdirat(f->top, name, 0755), 0);
	upper = openat(f->top, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	image_was = strdup(shown(f));
	fs = view(image, upper);
	for (uint32_t steps = below(80); steps > 0; steps--)
		change_something(fs);
	if (below(2))
		replace_directory(fs);
	was = show_view(fs, true);
	written(f, fs, NULL, &tar);
	written(f, fs, NULL, &again);
	assert_int_equal(tar.len, again.len);
	assert_memory_equal(tar.data, again.data, tar.len);
	rootfs_free(fs);
	assert_int_equal(next_root(f), 0);
	if (apply_bytes(f, f->root, tar.data, tar.len) != 0)
		fail_msg("round %u: %s", round, f->err.message);
	assert_same_below(was, shown(f), round);
	fs = view(image, -1); /* what the layer is upon knows nothing of it */
	free(was);
	was = show_view(fs, true);
	assert_string_equal(was, image_was);
	rootfs_free(fs);
	free(was);
	free(image_was);
	buf_done(&tar);
	buf_done(&again);
	close(image);
	close(upper);
}

static void layers_upon_layers(void **state)
{
	const char *more = getenv("CHAINS");

	for (uint32_t chain = 1; chain <= (more ? (uint32_t)atoi(more) : 5); chain++) {
		seed = chain * 7919;
		for (uint32_t round = 1; round <= 6; round++)
			one_trip(*state, 100 * chain + round);
	}
}

static int setup_without_xattrs(void **state)
{
	has_no_xattrs = true;
	return layer_fixture_setup(state);
}

static int setup_without_links(void **state)
{
	int r = layer_fixture_setup(state);

	has_no_xattrs = false;
	return r;
}

static int teardown(void **state)
{
	has_no_xattrs = has_no_links = false;
	return layer_fixture_teardown(state);
}

/* ---- clones ---- */

static void a_clone_where_no_link_can_be(void **state)
{
	struct layer_fixture *f = *state;
	char big[100000] = "x", *was;

	TAR(&f->tar, .name = "f", .content = "x", .uid = 5, .mode = 04711, .mtime = 2);
	TAR(&f->tar, .name = "big", .content = big, .len = sizeof(big), .mtime = 2);
	TAR(&f->tar, .name = "empty", .mtime = 2);
	TAR(&f->tar, .type = '2', .name = "l", .link = "f", .uid = 6, .mtime = 3);
	TAR(&f->tar, .type = '2', .name = "l2", .link = "f", .mtime = 4);
	TAR(&f->tar, .type = '6', .name = "p", .mode = 0622, .mtime = 5);
	TAR(&f->tar, .type = '3', .name = "c", .major = 1, .minor = 3, .mtime = 6);
	TAR(&f->tar, .type = '5', .name = "d", .uid = 7, .mode = 01700, .mtime = 7);
	assert_int_equal(apply(f), 0);
	was = strdup(shown(f));
	has_no_links = true;
	assert_int_equal(next_root(f), 0);
	has_no_links = false;
	assert_string_equal(shown(f), was);
	free(was);
}

/* ---- what is written ---- */

static ssize_t from_buf(void *arg, const void **ret)
{
	struct buf *b = arg;
	size_t n = b->len;

	*ret = b->data;
	b->len = 0;
	return (ssize_t)n;
}

static void take_listing(const struct buf *tar, char *text, size_t size)
{
	struct buf copy = *tar;
	const struct tar_entry *e;
	struct tar_input *in;
	struct error err = { 0 };
	size_t n = 0;

	text[0] = '\0';
	assert_int_equal(tar_input_new(from_buf, &copy, &in, &err), 0);
	while (tar_input_next(in, &e, &err) == 0 && e)
		n += (size_t)snprintf(text + n, size - n, "%c %s%s%s %lld\n", e->type, e->name, *e->link ? " " : "",
				      e->link, (long long)e->mtime.tv_sec);
	tar_input_free(in);
}

static void in_order_and_as_moby_tells(void **state)
{
	struct layer_fixture *f = *state;
	struct layer_write_options opt = { .max_mtime_s = 1000 };
	struct timespec old[2] = { { 500, 5 }, { 500, 5 } };
	char text[2000];
	struct rootfs *fs;
	struct buf tar;
	int upper;

	TAR(&f->tar, .name = "etc/a", .content = "a");
	TAR(&f->tar, .name = "etc/b", .content = "b");
	TAR(&f->tar, .name = "var/x/y", .content = "y");
	TAR(&f->tar, .name = "gone/z", .content = "z");
	assert_int_equal(apply(f), 0);
	assert_int_equal(mkdirat(f->top, "upper", 0755), 0);
	upper = openat(f->top, "upper", O_PATH | O_DIRECTORY | O_CLOEXEC);
	fs = view(f->root, upper);
	written(f, fs, NULL, &tar);
	take_listing(&tar, text, sizeof(text));
	assert_string_equal(text, "");
	assert_int_equal(tar.len, 1024);
	buf_done(&tar);
	assert_int_equal(rootfs_unlink(fs, NULL, NULL, "/etc/a", 0), 0);
	write_file(fs, "/etc/b-");
	assert_int_equal(rootfs_link(fs, NULL, NULL, "/etc/b-", NULL, "/0", 0), 0);
	write_file(fs, "/etc/.wh.mine");
	refused(fs, "/etc/.wh.mine cannot be in an image: names that begin with \".wh.\" mean that a file is removed");
	assert_int_equal(rootfs_unlink(fs, NULL, NULL, "/etc/.wh.mine", 0), 0);
	assert_int_equal(rootfs_utimens(fs, NULL, NULL, "/etc/b", old, 0), 0);
	assert_int_equal(rootfs_unlink(fs, NULL, NULL, "/gone/z", 0), 0);
	assert_int_equal(rootfs_unlink(fs, NULL, NULL, "/gone", AT_REMOVEDIR), 0);
	assert_int_equal(rootfs_unlink(fs, NULL, NULL, "/var/x/y", 0), 0);
	assert_int_equal(rootfs_unlink(fs, NULL, NULL, "/var/x", AT_REMOVEDIR), 0);
	assert_int_equal(rootfs_mkdir(fs, NULL, NULL, "/var/x", 0755), 0);
	write_file(fs, "/var/x/!");
	assert_int_equal(rootfs_mknod(fs, NULL, NULL, "/var/socket", S_IFSOCK | 0666, 0), 0);
	written(f, fs, &opt, &tar);
	take_listing(&tar, text, sizeof(text));
	assert_string_equal(text, "0 0 1000\n"
				  "5 etc/ 1000\n"
				  "0 etc/.wh.a 0\n"
				  "0 etc/b 500\n"
				  "1 etc/b- 0 1000\n"
				  "0 .wh.gone 0\n"
				  "5 var/ 1000\n"
				  "5 var/x/ 1000\n"
				  "0 var/x/.wh..wh..opq 0\n"
				  "0 var/x/! 1000\n");
	buf_done(&tar);
	rootfs_free(fs);
	close(upper);
}

static int run(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, layer_fixture_setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(layers_upon_layers),
		cmocka_unit_test_setup_teardown(layers_upon_layers, setup_without_xattrs, teardown),
		cmocka_unit_test_setup_teardown(a_clone_where_no_link_can_be, setup_without_links, teardown),
		TEST(in_order_and_as_moby_tells),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return run_as_both(run);
}
