/* What the files of this folder share. */
#ifndef SOCKERLESS_REGISTRY_INTERNAL_H
#define SOCKERLESS_REGISTRY_INTERNAL_H

#include "registry/helper.h"
#include "registry/registry.h"
#include "store/events.h"
#include "util/list.h"
#include "util/map.h"

struct registry {
	struct registry_options options; /* its texts and lists owned */
	json_t *mirrors, *insecure;
	struct list questions, pulls, pushes, downloading;
	struct map downloads;            /* digest of a blob under way → the struct pull whose helper gets it */
	char *dir;         /* data root/downloads: what comes in, before it is settled */
};

/* For registry_stop: each ends its own with the error. */
void pulls_stop(struct registry *r, const struct error *err);
void pushes_stop(struct registry *r, const struct error *err);
void downloads_stop(struct registry *r, const struct error *err);

/* Adds what every request has: mirrors, insecure registries, credentials. */
void registry_complete(const struct registry *r, json_t *request, json_t *auth);
/* {"status": …, "id": …}; id NULL: none. Takes the text. */
json_t *line_status(const char *id, char *take_text);
/* {"status", "progressDetail", "progress", "id"} as Docker's CLI draws it. */
json_t *line_bytes(const char *id, const char *status, int64_t current, int64_t total);
/* The 12 digits that stand for a layer. */
void line_id(const char *digest, char ret[13]);
/* An event of docker's kind: actor "name:tag", attribute name and the image's labels. */
void registry_event(struct registry *r, const char *action, const struct image *i, const char *reference, const char *name);

#endif
