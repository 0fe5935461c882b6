/* Manifests, indexes and refusals of a registry. The first byte chooses the content type. */
#include "fetch/manifest.h"
#include "fetch/name.h"
#include "fetch/refusal.h"
#include "fuzz/fuzz.h"
#include "util/digest.h"

static void check_index(const struct manifest *m)
{
	struct platform p = { "linux", "amd64", "v3" };
	struct descriptor *list = NULL;
	struct error err = { 0 };
	size_t n = 0;

	if (manifest_choose(m, &p, &p, &list, &n, &err) == 0) {
		FUZZ_CHECK(n > 0);
		for (size_t i = 0; i < n; i++)
			FUZZ_CHECK(digest_is_valid(list[i].digest) && list[i].size >= 0);
		free(list);
	} else {
		FUZZ_CHECK(err.message[0]);
	}
	json_decref(manifest_platforms(m));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const types[] = { NULL, "application/vnd.oci.image.manifest.v1+json",
					     "application/vnd.docker.distribution.manifest.list.v2+json; charset=utf-8",
					     "text/html" };
	const char *type = size ? types[data[0] % 4] : NULL, *body = (const char *)data + (size > 0);
	size_t len = size ? size - 1 : 0;
	struct error err = { 0 };
	struct refusal refusal;
	struct manifest m;

	if (manifest_parse(body, len, type, &m, &err) == 0) {
		for (size_t i = 0; i < m.nlayers; i++)
			FUZZ_CHECK(digest_is_valid(m.layers[i].digest) && m.layers[i].size >= 0);
		if (m.kind == MANIFEST_INDEX)
			check_index(&m);
		manifest_done(&m);
	} else {
		FUZZ_CHECK(err.code < 0 && err.message[0]);
	}
	refusal_read(400 + (int)(len % 30), "Reason", type ? "application/json" : NULL, body, len, NULL, &refusal);
	FUZZ_CHECK(refusal.text[0] && memchr(refusal.text, '\0', sizeof(refusal.text)));
	return 0;
}
