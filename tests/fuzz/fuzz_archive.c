/* Archives that are to be loaded as images: what is found in them lies within them. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "image/archives.h"
#include "image/load_plan.h"

static void check_plan(const struct archive_index *x, const struct load_plan *plan, size_t size)
{
	FUZZ_CHECK(plan->nimages <= LOAD_IMAGES_MAX && plan->config_bytes <= LOAD_CONFIGS_MAX);
	for (size_t i = 0; i < plan->nimages; i++) {
		FUZZ_CHECK(plan->images[i].config && json_is_array(plan->images[i].names));
		for (size_t k = 0; k < plan->images[i].nlayers; k++) {
			const struct archive_file *f = archive_index_find(x, plan->images[i].layers[k].path);

			FUZZ_CHECK(!f || (!f->link && f->offset >= 0 && f->size >= 0 && (size_t)(f->offset + f->size) <= size));
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("archive", MFD_CLOEXEC);
	struct archive_index *x = NULL;
	struct load_plan plan = { 0 };
	struct error err = { 0 };

	FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	if (archive_index_open(fd, &x, &err) == 0) {
		/* Nothing can be staged there: layers of the oldest form are not looked into. */
		if (load_plan_read(x, fd, "/nonexistent", NULL, &plan, &err) == 0)
			check_plan(x, &plan, size);
		else
			FUZZ_CHECK(err.code < 0 && err.message[0] && plan.nimages == 0);
	} else {
		FUZZ_CHECK(err.code < 0 && err.message[0]);
	}
	load_plan_done(&plan);
	archive_index_free(x);
	close(fd);
	return 0;
}
