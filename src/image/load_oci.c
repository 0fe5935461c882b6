/* OCI layouts (image-spec image-layout.md): index.json, and what it leads to by digests. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/archives.h"
#include "image/blobs.h"
#include "image/load_plan.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/json.h"

enum { INDEX_MAX = 8 << 20, DEPTH_MAX = 8 };

struct layout {
	const struct archive_index *archive;
	const struct image_platform *platform; /* NULL: nobody asked for one */
	struct load_plan *plan;
	struct error *err;
};

static int invalid(struct layout *l, const char *what, const char *which)
{
	return error_set_class(l->err, ERROR_INVALID, "invalid archive: %s%.200s", what, which);
}

/* ---- blobs ---- */

static int blob_text(struct layout *l, json_t *descriptor, size_t max, char **ret, size_t *ret_len)
{
	const char *digest = json_text(descriptor, "digest");
	json_t *size = json_object_get(descriptor, "size");
	CLEANUP(freep) char *path = NULL, *text = NULL;
	char is[DIGEST_LEN + 1];
	size_t len;
	int r;

	if (!digest_is_valid(digest))
		return invalid(l, "unsupported digest ", digest);
	path = xasprintf("blobs/sha256/%s", digest + 7);
	r = archive_index_text(l->archive, path, max, &text, &len, l->err);
	if (r < 0)
		return l->err->code ? r : invalid(l, "it lacks blob ", digest);
	digest_of(text, len, is);
	if (strcmp(is, digest) != 0 || (json_is_integer(size) && (json_int_t)len != json_integer_value(size)))
		return invalid(l, "not the content that it says has blob ", digest);
	*ret = steal_ptr(text);
	*ret_len = len;
	return 0;
}

static int blob_json(struct layout *l, json_t *descriptor, json_t **ret)
{
	CLEANUP(freep) char *text = NULL;
	size_t len;
	int r = blob_text(l, descriptor, INDEX_MAX, &text, &len);

	if (r < 0)
		return r;
	*ret = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	return json_is_object(*ret) ? 0 : invalid(l, "no JSON has blob ", json_text(descriptor, "digest"));
}

/* ---- manifests ---- */

static bool is_one_of(const char *text, const char *a, const char *b)
{
	return strcmp(text, a) == 0 || strcmp(text, b) == 0;
}

static bool is_index(json_t *document)
{
	return is_one_of(json_text(document, "mediaType"), "application/vnd.oci.image.index.v1+json",
			 "application/vnd.docker.distribution.manifest.list.v2+json") ||
	       (!*json_text(document, "mediaType") && json_is_array(json_object_get(document, "manifests")));
}

/* io.containerd.image.name is the whole name; a ref.name is one only where it has a tag. Others leave the image nameless, as
 * in Docker. */
static void add_name(struct load_image *image, json_t *annotations)
{
	const char *name = json_text(annotations, "io.containerd.image.name"),
		   *ref = json_text(annotations, "org.opencontainers.image.ref.name");

	if (*name)
		load_image_add_name(image, name, NULL);
	else if (strpbrk(ref, ":/"))
		load_image_add_name(image, ref, NULL);
}

static int add_image(struct layout *l, json_t *manifest, json_t *annotations)
{
	json_t *config = json_object_get(manifest, "config"), *layers = json_object_get(manifest, "layers"), *layer;
	struct load_image *image;
	size_t at, len;
	char *text;
	int r;

	if (!is_one_of(json_text(config, "mediaType"), "application/vnd.oci.image.config.v1+json",
		       "application/vnd.docker.container.image.v1+json"))
		return invalid(l, "no image has a config of type ", json_text(config, "mediaType"));
	if (json_array_size(layers) > IMAGE_LAYERS_MAX)
		return invalid(l, "too many layers", "");
	r = blob_text(l, config, IMAGE_CONFIG_MAX, &text, &len);
	if (r == 0)
		r = load_plan_add(l->plan, text, len, &image, l->err);
	if (r < 0)
		return r;
	json_array_foreach(layers, at, layer) {
		const char *digest = json_text(layer, "digest");

		if (!digest_is_valid(digest))
			return invalid(l, "unsupported digest ", digest);
		load_image_add_layer(image, xasprintf("blobs/sha256/%s", digest + 7), digest);
	}
	add_name(image, annotations);
	return 0;
}

/* Attestations lie beside the images that they tell of. */
static bool is_attestation(json_t *descriptor)
{
	json_t *platform = json_object_get(descriptor, "platform");

	return strcmp(json_text(json_object_get(descriptor, "annotations"), "vnd.docker.reference.type"),
		      "attestation-manifest") == 0 ||
	       strcmp(json_text(platform, "os"), "unknown") == 0;
}

/* The one of a list that is for the platform. Without a wish, a list of one needs no choice. */
static json_t *choose(struct layout *l, json_t *list)
{
	const struct image_platform *wanted = l->platform ? l->platform : &image_platform_ours;
	json_t *descriptor, *first = NULL;
	size_t at, n = 0;

	json_array_foreach(list, at, descriptor) {
		json_t *platform = json_object_get(descriptor, "platform");
		struct image_platform p;

		if (is_attestation(descriptor))
			continue;
		image_platform_of(&p, platform);
		if (platform && image_platform_matches(wanted, &p))
			return descriptor;
		if (n++ == 0)
			first = descriptor;
	}
	if (n == 1 && (!l->platform || !json_object_get(first, "platform")))
		return first;
	return NULL;
}

static int add_descriptor(struct layout *l, json_t *descriptor, json_t *annotations, int depth)
{
	json_t *document = NULL, *chosen;
	char wanted[200];
	int r = depth > DEPTH_MAX ? invalid(l, "too many indexes in each other", "") : blob_json(l, descriptor, &document);

	if (r == 0 && !is_index(document)) {
		r = add_image(l, document, annotations);
	} else if (r == 0) {
		chosen = choose(l, json_object_get(document, "manifests"));
		image_platform_format(l->platform ? l->platform : &image_platform_ours, wanted, sizeof(wanted));
		r = chosen ? add_descriptor(l, chosen, annotations, depth + 1) : invalid(l, "it has no image for ", wanted);
	}
	json_decref(document);
	return r;
}

/* ---- index.json ---- */

/* Descriptors of one name are one image, for several platforms; so are those without a name that tell their platforms. */
static void group_key(json_t *descriptor, size_t at, char out[600])
{
	json_t *annotations = json_object_get(descriptor, "annotations");
	const char *name = json_text(annotations, "io.containerd.image.name"),
		   *ref = json_text(annotations, "org.opencontainers.image.ref.name");

	if (*name || *ref)
		snprintf(out, 600, "=%.250s %.250s", name, ref);
	else if (json_object_get(descriptor, "platform"))
		snprintf(out, 600, "platforms");
	else
		snprintf(out, 600, "%zu", at);
}

/* Groups in the order of their first members: key → array. */
static json_t *group(json_t *list)
{
	json_t *groups = json_object(), *descriptor;
	size_t at;

	json_array_foreach(list, at, descriptor) {
		char key[600];

		if (is_attestation(descriptor))
			continue;
		group_key(descriptor, at, key);
		if (!json_object_get(groups, key))
			json_object_set_new(groups, key, json_array());
		json_array_append(json_object_get(groups, key), descriptor);
	}
	return groups;
}

static int add_group(struct layout *l, json_t *members)
{
	json_t *chosen = json_array_size(members) > 1 || l->platform ? choose(l, members) : json_array_get(members, 0);
	char wanted[200];

	/* An index tells the platforms of what is in it. */
	if (!chosen && json_array_size(members) == 1 && !json_object_get(json_array_get(members, 0), "platform"))
		chosen = json_array_get(members, 0);
	image_platform_format(l->platform ? l->platform : &image_platform_ours, wanted, sizeof(wanted));
	return chosen ? add_descriptor(l, chosen, json_object_get(chosen, "annotations"), 0) :
			invalid(l, "it has no image for ", wanted);
}

int load_oci_read(const struct archive_index *x, const struct image_platform *platform, struct load_plan *plan,
		  struct error *err)
{
	struct layout l = { x, platform, plan, err };
	CLEANUP(freep) char *text = NULL;
	json_t *index, *groups, *members;
	const char *key;
	size_t len;
	int r = archive_index_text(x, "index.json", INDEX_MAX, &text, &len, err);

	if (r < 0)
		return r;
	index = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(index)) {
		json_decref(index);
		return invalid(&l, "no JSON has ", "index.json");
	}
	groups = group(json_object_get(index, "manifests"));
	json_object_foreach(groups, key, members)
		if (r == 0)
			r = add_group(&l, members);
	json_decref(groups);
	json_decref(index);
	return r;
}
