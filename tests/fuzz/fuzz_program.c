/* What a file is to execve: module, script, native program; the file is the input. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "fuzz/root.h"
#include "sandbox/program.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct program p;
	struct rootfs *fs = fuzz_root();
	int r;

	fuzz_root_put("file", data, size, 0755);
	memset(&p, 0, sizeof(p));
	r = program_resolve(fs, NULL, NULL, "/file", &p);
	FUZZ_CHECK(r <= 0);
	if (r == 0) {
		FUZZ_CHECK(memchr(p.path, '\0', sizeof(p.path)) && memchr(p.interpreter, '\0', sizeof(p.interpreter)));
		FUZZ_CHECK(p.kind != PROGRAM_MODULE || p.module);
		program_done(&p);
	}
	return 0;
}
