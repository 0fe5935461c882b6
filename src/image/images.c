/* Images. So far the built-in one: the guest's own userland, always there. */
#include "image/images.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/cleanup.h"

struct images {
	struct images_options options;
	struct list by_age;
	size_t count;
};

/* A stable id: the built-in image has no config that was pushed anywhere, so its
 * name and versions stand for it. */
static void make_id(char out[72], const char *seed)
{
	uint64_t h = 0xcbf29ce484222325u;
	size_t n = 7;

	memcpy(out, "sha256:", 8);
	for (int round = 0; round < 4; round++) {
		for (const char *p = seed; *p; p++)
			h = (h ^ (unsigned char)*p) * 0x100000001b3u;
		h ^= h >> 29;
		for (int i = 0; i < 16; i++)
			out[n++] = "0123456789abcdef"[h >> (4 * i) & 15];
	}
	out[n] = '\0';
}

static json_t *builtin_config(void)
{
	return json_pack("{s:s, s:s, s:s, s:{s:[s], s:[s], s:{s:s}}, s:{s:s, s:[s]}, s:[{s:s, s:s}]}",
			 "architecture", "amd64", "os", "linux", "created", "2024-01-01T00:00:00Z", "config", "Env",
			 "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "Cmd", "sh", "Labels",
			 "sockerless.image", "builtin", "rootfs", "type", "layers", "diff_ids",
			 "sha256:0000000000000000000000000000000000000000000000000000000000000000", "history", "created",
			 "2024-01-01T00:00:00Z", "created_by", "BusyBox 1.35.0 on musl 1.2.3, compiled to WebAssembly");
}

static int add_builtin(struct images *im, struct error *err)
{
	CLEANUP(freep) char *root = realpath(im->options.guest_path, NULL);
	struct image *i;
	char id[72];

	if (!root)
		return error_set(err, -errno, "the built-in image's root %s: %s", im->options.guest_path, strerror(errno));
	make_id(id, "busybox:1.35.0/musl:1.2.3");
	i = xnew(struct image);
	i->id = xstrdup(id);
	i->tags = json_pack("[s]", "busybox:latest");
	i->digests = json_array();
	i->config = builtin_config();
	i->chain_id = xstrdup("builtin");
	i->root_path = steal_ptr(root);
	i->size_bytes = 4 << 20;
	i->created_ns = 1704067200000000000;
	i->kind = IMAGE_BUILTIN;
	list_append(&im->by_age, &i->by_age);
	im->count++;
	return 0;
}

int images_open(const struct images_options *opt, struct images **ret, struct error *err)
{
	struct images *im = xnew(struct images);
	int r;

	im->options = *opt;
	list_init(&im->by_age);
	r = add_builtin(im, err);
	if (r < 0) {
		images_free(im);
		return r;
	}
	*ret = im;
	return 0;
}

void images_free(struct images *im)
{
	if (!im)
		return;
	list_for_each_safe(it, &im->by_age) {
		struct image *i = container_of(it, struct image, by_age);

		list_remove(it);
		json_decref(i->tags);
		json_decref(i->digests);
		json_decref(i->config);
		free(i->id);
		free(i->chain_id);
		free(i->root_path);
		free(i);
	}
	free(im);
}

static bool has_id(const struct image *i, const char *ref)
{
	const char *hex = strncmp(ref, "sha256:", 7) == 0 ? ref + 7 : ref;

	return strlen(hex) >= 4 && strncmp(i->id + 7, hex, strlen(hex)) == 0;
}

/* "docker.io/library/busybox", "library/busybox" and "busybox" are one name. */
static char *familiar(const char *ref)
{
	static const char *const prefixes[] = { "docker.io/", "index.docker.io/", "library/" };
	const char *slash;

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (strncmp(ref, prefixes[i], strlen(prefixes[i])) == 0)
			ref += strlen(prefixes[i]);
	slash = strrchr(ref, '/');
	return strchr(slash ? slash : ref, ':') || strchr(ref, '@') ? xstrdup(ref) : xasprintf("%s:latest", ref);
}

int images_find(struct images *im, const char *ref, struct image **ret, struct error *err)
{
	CLEANUP(freep) char *name = familiar(ref);

	list_for_each(it, &im->by_age) {
		struct image *i = container_of(it, struct image, by_age);
		size_t k;
		json_t *tag;

		json_array_foreach(i->tags, k, tag) {
			if (strcmp(json_string_value(tag), name) == 0) {
				*ret = i;
				return 0;
			}
		}
		if (has_id(i, ref)) {
			*ret = i;
			return 0;
		}
	}
	return error_set_class(err, ERROR_NOT_FOUND, "No such image: %s", name);
}

struct image *images_next(struct images *im, const struct image *after)
{
	const struct list *at = after ? after->by_age.prev : im->by_age.prev;

	return at == &im->by_age ? NULL : container_of(at, struct image, by_age);
}

size_t images_count(const struct images *im)
{
	return im->count;
}

int image_open_root(const char *root_path)
{
	int fd = open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}
