/* What translated programs ask of their runtime (wasm-rt.h): memory, tables,
 * function types, traps. Our own, smaller than wabt's: one memory a process,
 * no exceptions, no bounds checks but the address space.
 *
 * A memory is 8 GiB of reserved address space: a 32-bit address plus a 32-bit
 * offset cannot leave it, and what is not grown to is PROT_NONE. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sandbox/kernel/module.h"
#include "sandbox/runtime/charge.h"
#include "sandbox/runtime/runtime.h"

#define PAGE_BYTES 65536ull
#define RESERVED_BYTES (8ull << 30)

bool wasm_rt_is_initialized(void)
{
	return true;
}

void wasm_rt_trap(wasm_rt_trap_t trap)
{
	switch (trap) {
	case WASM_RT_TRAP_DIV_BY_ZERO:
	case WASM_RT_TRAP_INT_OVERFLOW:
	case WASM_RT_TRAP_INVALID_CONVERSION: guest_trap(SIGFPE, 0, false);
	case WASM_RT_TRAP_UNREACHABLE: guest_trap(SIGILL, 0, false);
	default: guest_trap(SIGSEGV, 0, false);
	}
}

/* ---- function types: equal signatures get equal numbers ---- */

enum { TYPES_MAX = 512, SIGNATURE_MAX = 32 };

static struct {
	uint8_t params, results;
	uint8_t types[SIGNATURE_MAX];
} func_types[TYPES_MAX];
static uint32_t func_type_count;

uint32_t wasm_rt_register_func_type(uint32_t params, uint32_t results, ...)
{
	uint8_t types[SIGNATURE_MAX] = { 0 };
	uint32_t n;
	va_list ap;

	if (params + results > SIGNATURE_MAX)
		guest_out_of_memory();
	va_start(ap, results);
	for (uint32_t i = 0; i < params + results; i++)
		types[i] = (uint8_t)va_arg(ap, int);
	va_end(ap);
	for (n = 0; n < func_type_count; n++)
		if (func_types[n].params == params && func_types[n].results == results &&
		    memcmp(func_types[n].types, types, sizeof(types)) == 0)
			return n + 1; /* 0 is the type of an empty table element */
	if (n == TYPES_MAX)
		guest_out_of_memory();
	func_types[n].params = (uint8_t)params;
	func_types[n].results = (uint8_t)results;
	memcpy(func_types[n].types, types, sizeof(types));
	func_type_count++;
	return n + 1;
}

/* ---- the function table ---- */

void wasm_rt_allocate_funcref_table(wasm_rt_funcref_table_t *table, uint32_t elements, uint32_t max_elements)
{
	table->data = calloc(elements ? elements : 1, sizeof(*table->data));
	if (!table->data)
		guest_out_of_memory();
	table->size = elements;
	table->max_size = max_elements;
}

void wasm_rt_free_funcref_table(wasm_rt_funcref_table_t *table)
{
	free(table->data);
	table->data = NULL;
	table->size = 0;
}

/* ---- linear memory ---- */

void wasm_rt_allocate_memory(wasm_rt_memory_t *mem, uint32_t initial_pages, uint32_t max_pages)
{
	void *base = mmap(NULL, RESERVED_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		guest_out_of_memory();
	mem->data = base;
	mem->pages = 0;
	mem->size = 0;
	mem->max_pages = max_pages;
	if (guest_memory_grow_to(mem, initial_pages * PAGE_BYTES) < 0)
		guest_out_of_memory();
	runtime_memory_base = mem->data;
}

int guest_memory_grow_to(wasm_rt_memory_t *mem, uint64_t bytes)
{
	uint64_t pages = (bytes + PAGE_BYTES - 1) / PAGE_BYTES;

	if (pages <= mem->pages)
		return 0;
	if (pages > mem->max_pages)
		return -ENOMEM;
	if (mprotect(mem->data + mem->size, pages * PAGE_BYTES - mem->size, PROT_READ | PROT_WRITE) < 0)
		return -ENOMEM;
	mem->pages = (uint32_t)pages;
	mem->size = pages * PAGE_BYTES;
	return 0;
}

uint32_t wasm_rt_grow_memory(wasm_rt_memory_t *mem, uint32_t pages)
{
	uint32_t old = mem->pages;

	if (pages && guest_memory_charge(pages * PAGE_BYTES) < 0)
		return UINT32_MAX;
	return guest_memory_grow_to(mem, ((uint64_t)old + pages) * PAGE_BYTES) < 0 ? UINT32_MAX : old;
}

void guest_memory_release(wasm_rt_memory_t *mem)
{
	if (mem->data)
		munmap(mem->data, RESERVED_BYTES);
	memset(mem, 0, sizeof(*mem));
	runtime_memory_base = NULL;
}

void wasm_rt_free_memory(wasm_rt_memory_t *mem)
{
	guest_memory_release(mem);
}

bool runtime_is_guest_address(const void *address)
{
	const uint8_t *p = address;

	return runtime_memory_base && p >= runtime_memory_base && p < runtime_memory_base + RESERVED_BYTES;
}
