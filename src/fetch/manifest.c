#include "fetch/manifest.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fetch/name.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/digest.h"

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

static int refuse(struct error *err, const char *what)
{
	return error_set_class(err, ERROR_INVALID, "invalid manifest: %s", what);
}

static int read_descriptor(json_t *o, struct descriptor *ret, struct error *err)
{
	json_t *size = json_object_get(o, "size"), *urls = json_object_get(o, "urls");
	struct descriptor d = { .size = json_integer_value(size) };

	if (!digest_is_valid(text_of(o, "digest")))
		return error_set_class(err, ERROR_INVALID, "invalid checksum digest format");
	if (!json_is_integer(size) || d.size < 0)
		return refuse(err, "a descriptor without a size");
	if (strlen(text_of(o, "mediaType")) >= sizeof(d.media_type))
		return refuse(err, "a media type that is too long");
	snprintf(d.digest, sizeof(d.digest), "%s", text_of(o, "digest"));
	snprintf(d.media_type, sizeof(d.media_type), "%s", text_of(o, "mediaType"));
	d.urls = json_is_array(urls) && json_array_size(urls) > 0 ? urls : NULL;
	*ret = d;
	return 0;
}

/* Docker takes these prefixes, and nothing for an image. */
static int check_media_type(const char *type, struct error *err)
{
	static const char *const known[] = { "application/vnd.oci.image", "application/vnd.docker",
					     "application/octet-stream", "application/json", "text/html" };

	if (strncasecmp(type, "application/vnd.docker.ai.", 26) == 0)
		return error_set_class(
			err, ERROR_INVALID,
			"AI models are not yet supported by the Engine, please use \"docker model pull/run\" instead");
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		size_t n = strlen(known[i]);

		if (strncasecmp(type, known[i], n) == 0 && (!type[n] || type[n] == '.'))
			return 0;
	}
	return *type ? error_set_class(err, ERROR_INVALID, "unsupported media type %.100s", type) : 0;
}

static int read_image(struct manifest *m, struct error *err)
{
	json_t *layers = json_object_get(m->root, "layers"), *layer;
	size_t i;
	int r = read_descriptor(json_object_get(m->root, "config"), &m->config, err);

	if (r == 0 && strcmp(m->config.media_type, "application/vnd.docker.plugin.v1+json") == 0)
		r = error_set_class(err, ERROR_INVALID, "Encountered remote \"%s\"(plugin) when fetching", m->config.media_type);
	if (r == 0)
		r = check_media_type(m->config.media_type, err);
	if (r == 0 && !json_is_array(layers))
		r = refuse(err, "no layers");
	if (r == 0 && json_array_size(layers) > MANIFEST_LAYERS_MAX)
		r = error_set_class(err, ERROR_INVALID, "invalid manifest: %zu layers, more than %d",
				    json_array_size(layers), MANIFEST_LAYERS_MAX);
	if (r < 0)
		return r;
	m->layers = xcalloc(json_array_size(layers) + 1, sizeof(*m->layers));
	json_array_foreach(layers, i, layer) {
		r = read_descriptor(layer, &m->layers[i], err);
		if (r == 0)
			r = check_media_type(m->layers[i].media_type, err);
		if (r < 0)
			return r;
		m->nlayers++;
	}
	return 0;
}

static bool is_type(const char *type, const char *const *known)
{
	for (; *known; known++)
		if (strcasecmp(type, *known) == 0)
			return true;
	return false;
}

/* The header's word first, then the document's, then its looks. */
static int find_kind(const char *content_type, struct manifest *m, struct error *err)
{
	static const char *const images[] = { "application/vnd.oci.image.manifest.v1+json",
					      "application/vnd.docker.distribution.manifest.v2+json", NULL };
	static const char *const indexes[] = { "application/vnd.oci.image.index.v1+json",
					       "application/vnd.docker.distribution.manifest.list.v2+json", NULL };
	bool has_layers = json_object_get(m->root, "layers") || json_object_get(m->root, "config");
	bool has_manifests = json_object_get(m->root, "manifests") != NULL;
	char type[128];

	snprintf(type, sizeof(type), "%.*s", content_type ? (int)strcspn(content_type, "; \t") : 0,
		 content_type ? content_type : "");
	if (!is_type(type, images) && !is_type(type, indexes) &&
	    strncasecmp(type, "application/vnd.docker.distribution.manifest.v1", 47) != 0)
		snprintf(type, sizeof(type), "%.127s", text_of(m->root, "mediaType"));
	if (strncasecmp(type, "application/vnd.docker.distribution.manifest.v1", 47) == 0 ||
	    json_integer_value(json_object_get(m->root, "schemaVersion")) == 1) {
		m->kind = MANIFEST_SCHEMA1;
		return 0;
	}
	/* One digest must not mean two things (CVE-2021-41190). */
	if (has_layers && has_manifests)
		return refuse(err, "both layers and manifests in one document");
	if (is_type(type, indexes) || (!is_type(type, images) && has_manifests))
		m->kind = MANIFEST_INDEX;
	else if (is_type(type, images) || has_layers)
		m->kind = MANIFEST_IMAGE;
	else
		return error_set_class(err, ERROR_INVALID, "unsupported manifest format");
	if (m->kind == MANIFEST_INDEX ? !has_manifests : !has_layers)
		return refuse(err, "it is not what its media type says");
	snprintf(m->media_type, sizeof(m->media_type), "%s",
		 *type                     ? type :
		 m->kind == MANIFEST_INDEX ? indexes[0] :
					     images[0]);
	return 0;
}

int manifest_parse(const void *data, size_t len, const char *content_type, struct manifest *ret, struct error *err)
{
	struct manifest m = { .root = len <= MANIFEST_MAX ? json_loadb(data, len, 0, NULL) : NULL };
	int r;

	if (!json_is_object(m.root))
		r = refuse(err, len > MANIFEST_MAX ? "it is too big" : "it is not JSON");
	else
		r = find_kind(content_type, &m, err);
	if (r == 0 && m.kind == MANIFEST_IMAGE)
		r = read_image(&m, err);
	if (r == 0 && m.kind == MANIFEST_INDEX && json_array_size(json_object_get(m.root, "manifests")) > MANIFEST_ENTRIES_MAX)
		r = refuse(err, "too many entries");
	if (r < 0) {
		manifest_done(&m);
		return r;
	}
	*ret = m;
	return 0;
}

void manifest_done(struct manifest *m)
{
	json_decref(m->root);
	free(m->layers);
	free(m->text);
	*m = (struct manifest){ 0 };
}

struct choice {
	struct descriptor descriptor;
	int rank;
	size_t at;
};

static int by_rank(const void *a, const void *b)
{
	const struct choice *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank > y->rank ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

static int rank_of(json_t *entry, const struct platform *wanted)
{
	json_t *o = json_object_get(entry, "platform");
	struct platform p = { 0 };

	if (!json_is_object(o) || (!*text_of(o, "os") && !*text_of(o, "architecture")))
		return 0; /* of no platform: it may serve when nothing else does */
	snprintf(p.os, sizeof(p.os), "%.31s", text_of(o, "os"));
	snprintf(p.architecture, sizeof(p.architecture), "%.31s", text_of(o, "architecture"));
	snprintf(p.variant, sizeof(p.variant), "%.15s", text_of(o, "variant"));
	platform_normalise(&p);
	return platform_rank(wanted, &p);
}

int manifest_choose(const struct manifest *index, const struct platform *wanted, const struct platform *shown,
		    struct descriptor **ret, size_t *ret_count, struct error *err)
{
	json_t *entries = json_object_get(index->root, "manifests"), *entry;
	CLEANUP(freep) struct choice *choices = xcalloc(json_array_size(entries) + 1, sizeof(*choices));
	struct descriptor *list;
	size_t i, n = 0;
	char text[96];

	json_array_foreach(entries, i, entry) {
		choices[n].rank = rank_of(entry, wanted);
		choices[n].at = i;
		if (choices[n].rank >= 0 && read_descriptor(entry, &choices[n].descriptor, NULL) == 0)
			n++;
	}
	if (n == 0) {
		platform_format(shown, text);
		return error_set_class(err, ERROR_NOT_FOUND, "no matching manifest for %s in the manifest list entries", text);
	}
	qsort(choices, n, sizeof(*choices), by_rank);
	list = xcalloc(n, sizeof(*list));
	for (i = 0; i < n; i++)
		list[i] = choices[i].descriptor;
	*ret = list;
	*ret_count = n;
	return 0;
}

json_t *manifest_platforms(const struct manifest *index)
{
	static const char *const keys[] = { "architecture", "os", "os.version", "os.features", "variant" };
	json_t *list = json_array(), *entry;
	size_t i;

	json_array_foreach(json_object_get(index->root, "manifests"), i, entry) {
		json_t *from = json_object_get(entry, "platform"), *p = json_object(), *v;

		for (size_t k = 0; k < ARRAY_SIZE(keys); k++)
			if ((v = json_object_get(from, keys[k])))
				json_object_set(p, keys[k], v);
		if (!json_object_get(p, "architecture"))
			json_object_set_new(p, "architecture", json_string(""));
		if (!json_object_get(p, "os"))
			json_object_set_new(p, "os", json_string(""));
		json_array_append_new(list, p);
	}
	return list;
}
