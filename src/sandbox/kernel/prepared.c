/* A program that stands ready: instantiated once in the zygote, its data in
 * pages that all processes share until one writes. A new process finds it by
 * inheritance and copies nothing; an exec puts it back as it was.
 *
 * The pages are a private mapping of a memory file that nobody holds open: what
 * a worker writes there is its own, and there is no descriptor to misuse.
 *
 * Put back are memory and instance; the function table is never written after it
 * has been filled (our programs have no table.set), and stays. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sandbox/kernel/kernel.h"
#include "sandbox/kernel/module.h"

enum { PAGE = 4096, SPARE_BYTES = 65536 };
static const uint64_t reserved_bytes = 8ull << 30, wanted_bytes = 9ull << 30;

static struct {
	const struct guest_module *module;
	void *instance; /* NULL: there is none */
	void *pristine; /* its bytes as instantiated */
	uint64_t end;   /* of its own memory */
	bool is_used;   /* in this process or one that it was forked from */
} p;

static bool is_zero(const uint8_t *page)
{
	return page[0] == 0 && memcmp(page, page + 1, PAGE - 1) == 0;
}

/* The pages from the first to the last that hold anything. */
static void find_data(const wasm_rt_memory_t *mem, uint64_t *ret_from, uint64_t *ret_to)
{
	uint64_t from = 0, to = mem->size;

	while (from < to && is_zero(mem->data + from))
		from += PAGE;
	while (to > from && is_zero(mem->data + to - PAGE))
		to -= PAGE;
	*ret_from = from;
	*ret_to = to;
}

static int share_data(const wasm_rt_memory_t *mem)
{
	uint64_t from, to;
	void *at;
	int fd, r = 0;

	find_data(mem, &from, &to);
	if (from == to)
		return 0;
	fd = memfd_create("program", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, mem->data + from, to - from) != (ssize_t)(to - from))
		r = -EIO;
	/* What was touched goes, so that forks have no pages to copy. */
	at = r < 0 ? MAP_FAILED :
		     mmap(mem->data, mem->size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
	if (at != MAP_FAILED)
		at = mmap(mem->data + from, to - from, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0);
	if (at == MAP_FAILED && r == 0)
		r = -errno;
	close(fd);
	return r;
}

void prepared_make(void)
{
	const struct guest_module *m = guest_modules[0];
	void *instance, *pristine;
	struct rlimit rl;

	/* Too small an address space is for the worker to tell about. */
	if (getrlimit(RLIMIT_AS, &rl) < 0 || (rl.rlim_cur != RLIM_INFINITY && rl.rlim_cur < wanted_bytes))
		return;
	instance = calloc(1, m->instance_size);
	pristine = malloc(m->instance_size);
	if (!instance || !pristine) {
		free(instance);
		free(pristine);
		return;
	}
	m->instantiate(instance);
	p.end = m->memory(instance)->size;
	if (share_data(m->memory(instance)) < 0) {
		m->release(instance);
		free(instance);
		free(pristine);
		return;
	}
	memcpy(pristine, instance, m->instance_size);
	guest_memory_grow_to(m->memory(instance), p.end + SPARE_BYTES); /* else each process does */
	p.module = m;
	p.instance = instance;
	p.pristine = pristine;
}

/* All that was written goes: private pages are the file's again, or zero; what had grown is no memory any more. */
static void put_back(void)
{
	wasm_rt_memory_t grown = *p.module->memory(p.instance);
	wasm_rt_memory_t *mem = p.module->memory(p.instance);

	memcpy(p.instance, p.pristine, p.module->instance_size);
	if (madvise(mem->data, mem->size, MADV_DONTNEED) < 0 ||
	    (grown.size > mem->size && mmap(mem->data + mem->size, reserved_bytes - mem->size, PROT_NONE,
					    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED))
		guest_out_of_memory();
}

bool prepared_take(uint64_t *ret_end)
{
	if (!p.instance)
		return false;
	if (p.is_used)
		put_back();
	p.is_used = true;
	self.module = p.module;
	self.instance = p.instance;
	*ret_end = p.end;
	return true;
}
