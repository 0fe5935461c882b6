/* Whom "USER[:GROUP]" means, with passwd and group files that nobody promised to be well formed. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "fuzz/root.h"
#include "engine/internal.h"

/* The first line is the user, the rest is both files. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), *rest = strchr(text, '\n'), *home = NULL;
	struct run_spec spec = { 0 };
	struct error err = { 0 };
	struct rootfs *fs = fuzz_root();
	int r;

	if (rest)
		*rest++ = '\0';
	fuzz_root_put("etc/passwd", rest, rest ? strlen(rest) : 0, 0644);
	fuzz_root_put("etc/group", rest, rest ? strlen(rest) : 0, 0644);
	r = users_resolve(fs, text, NULL, &spec, &home, &err);
	FUZZ_CHECK(r == 0 ? err.code == 0 : err.code < 0);
	FUZZ_CHECK(home != NULL);
	free(home);
	free(spec.groups);
	free(text);
	return 0;
}
