/* Archives of Docker before 1.10 (image-spec v1.0): a directory for each layer, with its own config, and the file
 * `repositories`. The images are given the configs that Docker gave them when it moved to content addresses
 * (moby: image/v1 MakeConfigFromV1Config). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/archives.h"
#include "image/blobs.h"
#include "image/load_plan.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/json.h"

enum { REPOSITORIES_MAX = 8 << 20, V1_CONFIG_MAX = 1 << 20 };

struct legacy {
	const struct archive_index *archive;
	int fd;
	const char *data_root;
	struct load_plan *plan;
	json_t *diff_ids; /* id → diff id: of layers that have been looked at */
	json_t *made;     /* id → number of its image in the plan */
	struct error *err;
};

static int read_json(struct legacy *l, const char *path, size_t max, json_t **ret)
{
	CLEANUP(freep) char *text = NULL;
	size_t len;
	int r = archive_index_text(l->archive, path, max, &text, &len, l->err);

	if (r < 0)
		return r;
	*ret = json_loadb(text, len, 0, NULL);
	if (json_is_object(*ret))
		return 0;
	json_decref(*ret);
	return error_set_class(l->err, ERROR_INVALID, "invalid archive: no JSON has %.200s", path);
}

static int find_diff_id(struct legacy *l, const char *id, const char *path)
{
	char digest[DIGEST_LEN + 1], diff_id[DIGEST_LEN + 1];
	CLEANUP(freep) char *staged = NULL;
	struct blob_reader *reader;
	int r;

	if (json_object_get(l->diff_ids, id))
		return 0;
	r = load_stage(l->archive, l->fd, l->data_root, path, NULL, digest, &staged, l->err);
	if (r < 0)
		return r;
	reader = blob_reader_open(staged, l->err);
	r = reader ? blob_reader_end(reader, diff_id, l->err) : l->err->code;
	unlink(staged);
	if (r == 0)
		json_object_set_new(l->diff_ids, id, json_string(diff_id));
	return r;
}

/* From the image down to its lowest layer, that one first: [{"id", "config"}]. */
static int read_chain(struct legacy *l, const char *id, json_t *chain)
{
	CLEANUP(freep) char *at = xstrdup(id);

	while (*at) {
		CLEANUP(freep) char *path = xasprintf("%s/json", at);
		json_t *config;
		int r = digest_is_hex(at) ? read_json(l, path, V1_CONFIG_MAX, &config) : -ENOENT;

		if (r == -ENOENT && !l->err->code)
			return error_set_class(l->err, ERROR_INVALID, "invalid archive: it lacks layer %.80s", at);
		if (r < 0)
			return r;
		json_array_insert_new(chain, 0, json_pack("{s:s, s:o}", "id", at, "config", config));
		if (json_array_size(chain) > IMAGE_LAYERS_MAX)
			return error_set_class(l->err, ERROR_INVALID, "invalid archive: more than %d layers", IMAGE_LAYERS_MAX);
		free(at);
		at = xstrdup(json_text(config, "parent"));
	}
	return 0;
}

static json_t *history_of(json_t *config)
{
	json_t *entry = json_object(), *words = json_object_get(json_object_get(config, "container_config"), "Cmd"), *word;
	CLEANUP(freep) char *line = NULL;
	size_t at;

	json_array_foreach(words, at, word) {
		char *longer = xasprintf("%s%s%s", line ? line : "", line ? " " : "",
					 json_is_string(word) ? json_string_value(word) : "");

		free(line);
		line = longer;
	}
	json_object_set(entry, "created", json_object_get(config, "created"));
	if (*json_text(config, "author"))
		json_object_set(entry, "author", json_object_get(config, "author"));
	if (line && *line)
		json_object_set_new(entry, "created_by", json_string(line));
	if (*json_text(config, "comment"))
		json_object_set(entry, "comment", json_object_get(config, "comment"));
	if (json_is_true(json_object_get(config, "throwaway")))
		json_object_set_new(entry, "empty_layer", json_true());
	return entry;
}

static char *make_config(json_t *chain, json_t *diff_ids)
{
	static const char *const dropped[] = { "id", "parent", "Size", "parent_id", "layer_id", "throwaway" };
	json_t *top = json_object_get(json_array_get(chain, json_array_size(chain) - 1), "config");
	json_t *config = json_copy(top), *history = json_array(), *layer;
	char *text;
	size_t at;

	for (size_t i = 0; i < ARRAY_SIZE(dropped); i++)
		json_object_del(config, dropped[i]);
	json_array_foreach(chain, at, layer)
		json_array_append_new(history, history_of(json_object_get(layer, "config")));
	json_object_set_new(config, "history", history);
	json_object_set_new(config, "rootfs", json_pack("{s:O, s:s}", "diff_ids", diff_ids, "type", "layers"));
	text = json_dumps(config, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(config);
	return text;
}

static int add_chain(struct legacy *l, json_t *chain, struct load_image **ret)
{
	json_t *diff_ids = json_array(), *layer;
	struct load_image *image;
	char *config;
	size_t at;
	int r = 0;

	json_array_foreach(chain, at, layer) {
		const char *id = json_text(layer, "id");
		CLEANUP(freep) char *path = xasprintf("%s/layer.tar", id);

		r = find_diff_id(l, id, path);
		if (r < 0)
			break;
		json_array_append(diff_ids, json_object_get(l->diff_ids, id));
	}
	config = r == 0 ? make_config(chain, diff_ids) : NULL;
	json_decref(diff_ids);
	if (r == 0)
		r = load_plan_add(l->plan, config, strlen(config), &image, l->err);
	if (r < 0)
		return r;
	json_array_foreach(chain, at, layer)
		load_image_add_layer(image, xasprintf("%s/layer.tar", json_text(layer, "id")), NULL);
	*ret = image;
	return 0;
}

static int add_name(struct legacy *l, const char *name, const char *tag, const char *id)
{
	CLEANUP(freep) char *tagged = xasprintf("%s:%s", name, tag);
	json_t *known = json_object_get(l->made, id);
	struct load_image *image = known ? &l->plan->images[json_integer_value(known)] : NULL;
	json_t *chain;
	int r = 0;

	if (!image) {
		chain = json_array();
		r = read_chain(l, id, chain);
		if (r == 0)
			r = add_chain(l, chain, &image);
		json_decref(chain);
		if (r == 0)
			json_object_set_new(l->made, id, json_integer((json_int_t)l->plan->nimages - 1));
	}
	return r < 0 ? r : load_image_add_name(image, tagged, l->err);
}

int load_legacy_read(const struct archive_index *x, int fd, const char *data_root, struct load_plan *plan, struct error *err)
{
	struct legacy l = { .archive = x, .fd = fd, .data_root = data_root, .plan = plan, .err = err };
	json_t *repositories, *tags, *id;
	const char *name, *tag;
	int r = read_json(&l, "repositories", REPOSITORIES_MAX, &repositories);

	if (r < 0)
		return r;
	l.diff_ids = json_object();
	l.made = json_object();
	json_object_foreach(repositories, name, tags)
		json_object_foreach(tags, tag, id)
			if (r == 0)
				r = add_name(&l, name, tag, json_is_string(id) ? json_string_value(id) : "");
	json_decref(l.made);
	json_decref(l.diff_ids);
	json_decref(repositories);
	return r;
}
