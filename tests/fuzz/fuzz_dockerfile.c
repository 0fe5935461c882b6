/* Dockerfiles: whatever they say, every instruction has what its kind promises, and can be put onto a config. */
#include <stdlib.h>
#include <string.h>

#include "dockerfile/change.h"
#include "fuzz/fuzz.h"

static const char *get(void *arg, const char *name)
{
	return change_env_get(json_object_get(arg, "Env"), name);
}

static void apply(struct arena *a, const struct instruction *i, char escape, json_t *config)
{
	struct expand_source source = { get, config };
	struct instruction expanded;
	bool is_cmd_set = false;
	char *comment;

	FUZZ_CHECK(i->name && i->original && i->kind != INSTRUCTION_UNKNOWN);
	if (instruction_expand(a, i, escape, &source, &expanded, NULL) == 0)
		change_config(a, &expanded, config, &is_cmd_set, &comment, NULL);
	for (size_t k = 0; k < i->mounts.count; k++) {
		struct run_mount_flag mount;

		if (run_mount_parse(a, i->mounts.items[k], escape, &source, &mount, NULL) == 0)
			FUZZ_CHECK(mount.from && mount.source && mount.target && mount.id);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	struct dockerfile *d;
	struct error err = { 0 };

	if (dockerfile_parse(text, size, "Dockerfile", &d, &err) == 0) {
		for (size_t s = 0; s < d->nstages; s++) {
			json_t *config = json_object();

			for (size_t i = 0; i < d->stages[s].count; i++)
				apply(&d->arena, d->stages[s].instructions[i], d->escape, config);
			json_decref(config);
		}
		dockerfile_free(d);
	} else {
		FUZZ_CHECK(err.code < 0 && err.message[0]);
	}
	free(text);
	return 0;
}
