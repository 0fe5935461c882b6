/* docker load: the upload waits in a spool; what it holds is found out, and its layers are copied and unpacked, on
 * the pool; images and names are made on the loop, one image after the other. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/archives.h"
#include "image/discard.h"
#include "image/internal.h"
#include "image/load_plan.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/json.h"
#include "util/spool.h"

#define LOAD_BYTES_MAX (64ull << 30) /* of an archive, without its compression */

struct image_load {
	uv_work_t work;
	struct images *images;
	struct spool *spool;
	struct image_load_options options;
	struct image_platform platform;      /* options.platform */
	int plain_fd;   /* the archive without its compression; -1: the spool's file */
	struct archive_index *index;
	struct load_plan plan;
	size_t at;      /* the image that is being made */
	json_t *ids;    /* of those that are made */
	bool has_names;
	struct {
		struct load_image *image;    /* of plan */
		json_t *config, *diff_ids;   /* the latter borrowed */
		struct layer *below;         /* the highest layer that is there already; a reference */
		size_t nbelow, layer;        /* how many there are; the one that is staged */
		char (*blobs)[DIGEST_LEN + 1]; /* "": of a layer that is there */
		char *staged;
		uint64_t *sizes;
		struct image_assembling *assembling;
	} now;
	struct error err;
	atomic_bool is_cancelled;
};

static void end(struct image_load *l);

/* ---- on the pool: open ---- */

static int archive_fd(const struct image_load *l)
{
	return l->plain_fd >= 0 ? l->plain_fd : spool_fd(l->spool);
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int cut_short(struct image_load *l)
{
	return error_set_class(&l->err, ERROR_INVALID, "the archive cannot be decompressed: unexpected EOF");
}

static int copy_plain(struct image_load *l, struct blob_reader *reader, int fd)
{
	unsigned long long left = LOAD_BYTES_MAX;
	const void *data;
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = blob_reader_read(reader, &data)) > 0) {
		if ((unsigned long long)n > left)
			return error_set_class(&l->err, ERROR_INVALID, "invalid archive: more than %llu bytes", LOAD_BYTES_MAX);
		left -= (unsigned long long)n;
		r = atomic_load(&l->is_cancelled) ? -ECANCELED : write_all(fd, data, (size_t)n);
	}
	if (r < 0)
		return error_set(&l->err, r, "the archive cannot be kept: %s", strerror(-r));
	return n < 0 ? cut_short(l) : 0;
}

static int undo_compression(struct image_load *l)
{
	CLEANUP(freep) char *self = xasprintf("/proc/self/fd/%d", spool_fd(l->spool)), *why = NULL;
	struct blob_reader *reader = blob_reader_open(self, &l->err);
	int fd, r;

	if (!reader)
		return l->err.cls == ERROR_INVALID ? cut_short(l) : l->err.code;
	if (blob_reader_compression(reader) == BLOB_PLAIN)
		return blob_reader_close(reader), 0;
	fd = open(l->images->options.data_root, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	r = fd < 0 ? error_set(&l->err, -errno, "no temporary file: %s", strerror(errno)) : copy_plain(l, reader, fd);
	blob_reader_close(reader);
	l->plain_fd = fd;
	return r;
}

static void open_work(uv_work_t *w)
{
	struct image_load *l = container_of(w, struct image_load, work);

	if (undo_compression(l) < 0 || archive_index_open(archive_fd(l), &l->index, &l->err) < 0)
		return;
	load_plan_read(l->index, archive_fd(l), l->images->options.data_root, l->options.platform, &l->plan, &l->err);
}

/* ---- one image ---- */

static void say(struct image_load *l, char *take_line)
{
	l->options.on_text(l->options.arg, take_line);
	free(take_line);
}

static void give_names(struct image_load *l, struct image *i)
{
	json_t *name;
	size_t at;

	json_array_foreach(l->now.image->names, at, name) {
		const char *text = json_string_value(name);
		const struct image *owner = map_get(&l->images->by_name, text);

		if (owner && owner != i)
			say(l, xasprintf("The image %s already exists, renaming the old one with ID %s to empty string\n",
					 text, owner->id));
		image_give_name(l->images, i, text);
		say(l, xasprintf("Loaded image: %s\n", text));
		l->has_names = true;
	}
}

static void image_done(struct image_load *l)
{
	struct layers *ls = l->images->layers;

	for (size_t k = 0; l->now.blobs && k < l->now.image->nlayers; k++)
		if (*l->now.blobs[k])
			layers_unpin_blob(ls, l->now.blobs[k]);
	layer_unref(ls, l->now.below);
	json_decref(l->now.config);
	free(l->now.blobs);
	free(l->now.sizes);
	free(l->now.staged);
	memset(&l->now, 0, sizeof(l->now));
}

static void next_image(struct image_load *l);

static void on_assembled(void *arg, struct image *i, const struct error *err)
{
	struct image_load *l = arg;

	l->now.assembling = NULL;
	if (err) {
		l->err = *err;
		end(l);
		return;
	}
	give_names(l, i);
	json_array_append_new(l->ids, json_string(i->id));
	image_event(l->images, "load", i, i->id);
	image_done(l);
	l->at++;
	next_image(l);
}

static void on_layer(void *arg, size_t at, enum layer_state state, uint64_t bytes)
{
	struct image_load *l = arg;
	const char *diff_id = json_string_value(json_array_get(l->now.diff_ids, at));

	if (state != LAYER_EXISTS && l->options.on_layer && !atomic_load(&l->is_cancelled))
		l->options.on_layer(l->options.arg, diff_id, state == LAYER_DONE ? l->now.sizes[at] : bytes, l->now.sizes[at]);
}

static void assemble(struct image_load *l)
{
	const char **blobs = xcalloc(l->now.image->nlayers + 1, sizeof(*blobs));
	struct image_assembly a = { .config = l->now.image->config,
				    .config_len = l->now.image->config_len,
				    .blobs = blobs,
				    .nblobs = l->now.image->nlayers,
				    .kind = IMAGE_LOADED,
				    .on_layer = on_layer,
				    .done = on_assembled,
				    .arg = l };

	for (size_t k = 0; k < a.nblobs; k++)
		blobs[k] = l->now.blobs[k];
	l->now.assembling = images_assemble(l->images, &a, &l->err);
	free(blobs);
	if (!l->now.assembling)
		end(l);
}

/* ---- its layers: copied out of the archive ---- */

/* What has been copied for good need never reach the disk. Of an archive of several images a layer may be wanted again, and so may
 * one that stands in an image twice. */
static void forget_copied(struct image_load *l, const char *path)
{
	const struct archive_file *f = archive_index_find(l->index, path);
	size_t uses = 0;

	for (size_t k = 0; k < l->now.image->nlayers; k++)
		uses += archive_index_find(l->index, l->now.image->layers[k].path) == f;
	if (l->plan.nimages == 1 && uses == 1)
		(void)!fallocate(archive_fd(l), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, f->offset, f->size);
}

static void stage_work(uv_work_t *w)
{
	struct image_load *l = container_of(w, struct image_load, work);
	const struct load_layer *layer = &l->now.image->layers[l->now.layer];
	struct stat st;

	if (load_stage(l->index, archive_fd(l), l->images->options.data_root, layer->path,
		       *layer->digest ? layer->digest : NULL, l->now.blobs[l->now.layer], &l->now.staged, &l->err) < 0)
		*l->now.blobs[l->now.layer] = '\0';
	else if (stat(l->now.staged, &st) == 0)
		l->now.sizes[l->now.layer] = (uint64_t)st.st_size;
	if (!l->err.code)
		forget_copied(l, layer->path);
}

static void next_layer(struct image_load *l);

static void on_staged(uv_work_t *w, int status)
{
	struct image_load *l = container_of(w, struct image_load, work);
	char *digest = l->now.blobs[l->now.layer];

	(void)status;
	if (!l->err.code && layers_settle_blob(l->images->layers, steal_ptr(l->now.staged), digest, &l->err) < 0)
		*digest = '\0';
	if (l->err.code) {
		end(l);
		return;
	}
	l->now.layer++;
	next_layer(l);
}

static void next_layer(struct image_load *l)
{
	if (atomic_load(&l->is_cancelled))
		end(l);
	else if (l->now.layer >= l->now.image->nlayers)
		assemble(l);
	else
		uv_queue_work(l->images->options.loop, &l->work, stage_work, on_staged);
}

/* What is there already needs no copy. It is held: somebody might remove it meanwhile. */
static void find_below(struct image_load *l)
{
	char chain[DIGEST_LEN + 1] = "", next[DIGEST_LEN + 1];

	for (size_t k = 0; k < json_array_size(l->now.diff_ids); k++) {
		struct layer *layer;

		layer_chain_id(chain, json_string_value(json_array_get(l->now.diff_ids, k)), next);
		layer = layers_find(l->images->layers, next);
		if (!layer)
			break;
		layer_ref(layer);
		layer_unref(l->images->layers, l->now.below);
		l->now.below = layer;
		l->now.nbelow = k + 1;
		memcpy(chain, next, sizeof(chain));
	}
}

static int begin_image(struct image_load *l)
{
	const char *os;
	size_t ndiffs;

	l->now.image = &l->plan.images[l->at];
	l->now.blobs = xcalloc(l->now.image->nlayers + 1, sizeof(*l->now.blobs));
	l->now.sizes = xcalloc(l->now.image->nlayers + 1, sizeof(*l->now.sizes));
	l->now.config = json_loadb(l->now.image->config, l->now.image->config_len, 0, NULL);
	if (!json_is_object(json_object_get(l->now.config, "rootfs")))
		return error_set_class(&l->err, ERROR_INVALID, "invalid image JSON, no RootFS key");
	os = json_text(l->now.config, "os");
	if (*os && strcmp(os, "linux") != 0)
		return error_set_class(&l->err, ERROR_INVALID, "cannot load %.40s image on linux", os);
	if (image_config_diff_ids(l->now.config, &l->now.diff_ids, &l->err) < 0)
		return l->err.code;
	ndiffs = json_array_size(l->now.diff_ids);
	if (ndiffs != l->now.image->nlayers)
		return error_set_class(&l->err, ERROR_INVALID, "invalid manifest, layers length mismatch: expected %zu, got %zu",
				       l->now.image->nlayers, ndiffs);
	find_below(l);
	l->now.layer = l->now.nbelow;
	return 0;
}

/* ---- all of them ---- */

/* A parent's history is the child's without its last entry (moby: checkValidParent). */
static bool is_parent(const struct image *parent, const struct image *i)
{
	json_t *above = json_object_get(i->config, "history"), *below = json_object_get(parent->config, "history");
	size_t n = json_array_size(below);

	if (json_array_size(above) == 0 && n == 0)
		return parent != i;
	if (json_array_size(above) != n + 1)
		return false;
	for (size_t k = 0; k < n; k++)
		if (!json_equal(json_array_get(above, k), json_array_get(below, k)))
			return false;
	return true;
}

static void set_parents(struct image_load *l)
{
	for (size_t k = 0; k < json_array_size(l->ids); k++) {
		const char *said = l->plan.images[k].parent;
		struct image *i = images_by_id(l->images, json_string_value(json_array_get(l->ids, k)));
		struct image *parent = said && image_names_find(l->ids, said, NULL) ? images_by_id(l->images, said) : NULL;

		if (!i || !parent)
			continue;
		if (is_parent(parent, i))
			image_set_parent(l->images, i, parent->id);
		else
			error_set_class(&l->err, ERROR_INVALID, "image %s is not a valid parent for %s", parent->id, i->id);
	}
}

static void next_image(struct image_load *l)
{
	json_t *id;
	size_t at;

	if (atomic_load(&l->is_cancelled)) {
		end(l);
	} else if (l->at < l->plan.nimages) {
		if (begin_image(l) < 0)
			end(l);
		else
			next_layer(l);
	} else {
		set_parents(l);
		json_array_foreach(l->ids, at, id)
			if (!l->has_names && !l->err.code)
				say(l, xasprintf("Loaded image ID: %s\n", json_string_value(id)));
		end(l);
	}
}

static void end(struct image_load *l)
{
	discard_path(l->images->options.loop, steal_ptr(l->now.staged));
	if (l->now.image)
		image_done(l);
	if (!l->err.code && atomic_load(&l->is_cancelled))
		error_set(&l->err, -ECANCELED, "context canceled");
	l->options.done(l->options.arg, l->err.code ? &l->err : NULL);
	archive_index_free(l->index);
	load_plan_done(&l->plan);
	json_decref(l->ids);
	spool_free(l->spool);
	if (l->plain_fd >= 0)
		close(l->plain_fd);
	free(l);
}

static void on_opened(uv_work_t *w, int status)
{
	struct image_load *l = container_of(w, struct image_load, work);

	(void)status;
	if (l->err.code)
		end(l);
	else
		next_image(l);
}

/* ---- the upload ---- */

struct image_load *images_load(struct images *im, const struct image_load_options *opt, struct error *err)
{
	struct spool *spool = spool_new(im->options.loop, im->options.data_root);
	struct image_load *l;

	if (!spool) {
		error_set(err, -errno, "no temporary file: %s", strerror(errno));
		return NULL;
	}
	l = xnew(struct image_load);
	l->images = im;
	l->spool = spool;
	l->options = *opt;
	l->plain_fd = -1;
	l->ids = json_array();
	if (opt->platform) {
		l->platform = *opt->platform;
		l->options.platform = &l->platform;
	}
	spool_on_drain(spool, opt->on_drain, opt->arg);
	return l;
}

int image_load_write(struct image_load *l, const void *data, size_t len)
{
	return spool_write(l->spool, data, len);
}

static void on_stored(void *arg, int result)
{
	struct image_load *l = arg;

	if (result < 0 && !l->err.code)
		error_set(&l->err, result, "the upload cannot be stored: %s", strerror(-result));
	if (l->err.code)
		end(l);
	else
		uv_queue_work(l->images->options.loop, &l->work, open_work, on_opened);
}

void image_load_end(struct image_load *l, int result)
{
	if (result < 0)
		error_set(&l->err, result, "the upload broke off: %s", strerror(-result));
	spool_finish(l->spool, on_stored, l);
}

void image_load_cancel(struct image_load *l)
{
	atomic_store(&l->is_cancelled, true);
	if (l->now.assembling)
		image_assembling_cancel(l->now.assembling);
}
