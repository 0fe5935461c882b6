/* Guest memory: access to it, and the page allocator behind mmap. Linear
 * memory only grows; pages given back are made fresh by mapping over them. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#include "sandbox/kernel/kernel.h"
#include "sandbox/kernel/module.h"
#include "sandbox/runtime/charge.h"

enum { PAGE = 4096, PAGES_MAX = (1u << 30) / PAGE };

static uint8_t used[PAGES_MAX / 8];
static uint32_t arena_low, hint; /* pages */
static uint32_t used_count;

uint8_t *guest_base(void)
{
	return self.module->memory(self.instance)->data;
}

uint64_t guest_size(void)
{
	return self.module->memory(self.instance)->size;
}

void *guest_ptr(uint64_t addr, uint64_t len)
{
	addr &= UINT32_MAX;
	if (addr == 0 || len > guest_size() || addr > guest_size() - len)
		return NULL;
	return guest_base() + addr;
}

int copy_in(void *dst, uint64_t addr, size_t len)
{
	const void *p = guest_ptr(addr, len);

	return p ? guest_copy(dst, p, len) : -EFAULT;
}

int copy_out(uint64_t addr, const void *src, size_t len)
{
	void *p = guest_ptr(addr, len);

	return p ? guest_copy(p, src, len) : -EFAULT;
}

ssize_t copy_in_string(char *dst, uint64_t addr, size_t size)
{
	uint64_t left;

	addr &= UINT32_MAX;
	if (addr == 0 || addr >= guest_size())
		return -EFAULT;
	left = guest_size() - addr;
	if (left < size) {
		long n = guest_copy_string(dst, (const char *)guest_base() + addr, left);

		return n == -ENAMETOOLONG ? -EFAULT : n;
	}
	return guest_copy_string(dst, (const char *)guest_base() + addr, size);
}

/* ---- pages ---- */

static bool is_used(uint32_t page)
{
	return used[page / 8] >> (page % 8) & 1;
}

static void mark(uint32_t page, uint32_t n, bool is_taken)
{
	for (; n > 0; n--, page++) {
		if (is_used(page) == is_taken)
			continue;
		used_count += is_taken ? 1 : UINT32_MAX;
		if (is_taken)
			used[page / 8] |= (uint8_t)(1u << (page % 8));
		else
			used[page / 8] &= (uint8_t)~(1u << (page % 8));
	}
}

void memory_init(uint32_t first_free)
{
	if (used_count)
		memset(used, 0, sizeof(used));
	used_count = 0;
	self.slot->charged_bytes = self.slot->inherited_bytes = 0;
	arena_low = hint = (first_free + PAGE - 1) / PAGE;
}

/* ---- the container's limit ----
 * What is mapped is charged before it is there. While all charges together are
 * below the limit nobody is asked; above it the supervisor looks at what the
 * processes really hold, and kills the largest when that is too much. */

static uint64_t charged_by_all(void)
{
	const struct proctable *t = self.container->table;
	uint64_t sum = 0;

	for (size_t i = 0; i < proctable_used(t); i++)
		if (t->slots[i].state == PROC_RUNNING)
			sum += t->slots[i].charged_bytes;
	return sum;
}

static int ask_for_memory(uint64_t bytes)
{
	struct broker_request req = { .op = BROKER_MEMORY, .sender_vpid = self.vpid, .arg = bytes };
	const struct timespec a_moment = { .tv_nsec = 1000000 };
	struct broker_reply reply;
	long r;

	for (int i = 0; i < 5000; i++) {
		r = broker_call(&req, -1, &reply, NULL);
		if (r < 0 || reply.result != -EAGAIN)
			return r < 0 ? -ENOMEM : reply.result;
		host_call(SYS_nanosleep, (long)&a_moment, 0, 0, 0, 0, 0);
	}
	return -ENOMEM;
}

static void discharge(uint64_t bytes)
{
	uint64_t had = self.slot->charged_bytes;

	self.slot->charged_bytes = had > bytes ? had - bytes : 0; /* some of it may be the parent's */
}

static int charge(uint64_t bytes)
{
	const struct proctable *t = self.container->table;
	int r;

	self.slot->charged_bytes += bytes;
	if (!t->memory_max || charged_by_all() <= t->memory_max)
		return 0;
	r = ask_for_memory(bytes);
	if (r < 0)
		discharge(bytes);
	return r;
}

void memory_fork_child(uint64_t parent_bytes)
{
	const struct proctable *t = self.container->table;

	self.slot->charged_bytes = 0;
	self.slot->inherited_bytes = parent_bytes;
	if (t->memory_max && charged_by_all() + parent_bytes > t->memory_max)
		ask_for_memory(0);
}

uint64_t memory_mapped(void)
{
	return (uint64_t)used_count * PAGE;
}

/* Of wasm's own instruction. */
int guest_memory_charge(uint64_t bytes)
{
	return charge(bytes);
}

static bool is_within_rlimits(uint64_t bytes)
{
	return guest_size() + bytes <= self.rlimit[RLIMIT_AS][0] && memory_mapped() + bytes <= self.rlimit[RLIMIT_DATA][0];
}

static uint32_t find_run(uint32_t from, uint32_t n)
{
	uint32_t run = 0;

	for (uint32_t i = from; i < PAGES_MAX; i++) {
		run = is_used(i) ? 0 : run + 1;
		if (run == n)
			return i + 1 - n;
	}
	return 0;
}

static int take_pages(uint32_t n, uint32_t *ret)
{
	uint32_t page = find_run(hint, n);

	if (!page)
		page = find_run(arena_low, n);
	if (!page || !is_within_rlimits((uint64_t)n * PAGE) || charge((uint64_t)n * PAGE) < 0)
		return -ENOMEM;
	if (guest_memory_grow_to(self.module->memory(self.instance), (uint64_t)(page + n) * PAGE) < 0) {
		discharge((uint64_t)n * PAGE);
		return -ENOMEM;
	}
	*ret = page;
	return 0;
}

static bool is_arena(uint64_t addr, uint64_t pages)
{
	return addr % PAGE == 0 && addr / PAGE >= arena_low && addr / PAGE + pages <= guest_size() / PAGE;
}

static int map_over(uint32_t page, uint32_t n, int prot, int flags, int fd, int64_t offset)
{
	void *at = guest_base() + (uint64_t)page * PAGE;

	return mmap(at, (size_t)n * PAGE, prot, flags | MAP_FIXED | MAP_NORESERVE, fd, offset) == MAP_FAILED ? -errno : 0;
}

static void publish_size(void)
{
	self.slot->memory_pages = (uint32_t)(guest_size() / 65536);
}

SYS(mmap)
{
	uint64_t addr = a[0] & UINT32_MAX, pages = ((a[1] & UINT32_MAX) + PAGE - 1) / PAGE;
	int prot = (int)a[2] & (PROT_READ | PROT_WRITE), flags = (int)a[3], fd = (int)a[4], r;
	uint32_t page;

	if (pages == 0)
		return -EINVAL;
	if (pages > PAGES_MAX)
		return -ENOMEM;
	if (!(flags & MAP_ANONYMOUS) && !fdtable_get(fd))
		return -EBADF;
	if (flags & MAP_FIXED) {
		if (!is_arena(addr, pages))
			return -ENOMEM;
		page = (uint32_t)(addr / PAGE);
	} else {
		r = take_pages((uint32_t)pages, &page);
		if (r < 0)
			return r;
	}
	flags &= MAP_SHARED | MAP_PRIVATE | MAP_ANONYMOUS;
	r = 0;
	/* Free pages are fresh, readable and writable: the common case maps nothing. */
	if (flags != (MAP_PRIVATE | MAP_ANONYMOUS) || prot != (PROT_READ | PROT_WRITE) || (a[3] & MAP_FIXED))
		r = map_over(page, (uint32_t)pages, prot, flags, (flags & MAP_ANONYMOUS) ? -1 : fd, (int64_t)a[5]);
	if (r < 0) {
		if (!(a[3] & MAP_FIXED))
			discharge(pages * PAGE);
		return r;
	}
	mark(page, (uint32_t)pages, true);
	hint = page + (uint32_t)pages;
	publish_size();
	return (int64_t)page * PAGE;
}

SYS(munmap)
{
	uint64_t addr = a[0] & UINT32_MAX, pages = ((a[1] & UINT32_MAX) + PAGE - 1) / PAGE;
	uint64_t before = memory_mapped();
	int r;

	if (!is_arena(addr, pages) || pages == 0)
		return -EINVAL;
	r = map_over((uint32_t)(addr / PAGE), (uint32_t)pages, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (r < 0)
		return r;
	mark((uint32_t)(addr / PAGE), (uint32_t)pages, false);
	discharge(before - memory_mapped());
	if (addr / PAGE < hint)
		hint = (uint32_t)(addr / PAGE);
	return 0;
}

SYS(mprotect)
{
	uint64_t addr = a[0] & UINT32_MAX, pages = ((a[1] & UINT32_MAX) + PAGE - 1) / PAGE;

	if (!is_arena(addr, pages))
		return -ENOMEM;
	return mprotect(guest_base() + addr, pages * PAGE, (int)a[2] & (PROT_READ | PROT_WRITE)) < 0 ? -errno : 0;
}

SYS(mremap)
{
	uint64_t addr = a[0] & UINT32_MAX, from = ((a[1] & UINT32_MAX) + PAGE - 1) / PAGE;
	uint64_t to = ((a[2] & UINT32_MAX) + PAGE - 1) / PAGE;
	uint64_t unmap[6] = { addr, from * PAGE };
	uint32_t page;
	int r;

	if (!is_arena(addr, from) || to == 0 || from == 0)
		return -EINVAL;
	if (to <= from) {
		unmap[0] = addr + to * PAGE;
		unmap[1] = (from - to) * PAGE;
		return to == from ? (int64_t)addr : sys_munmap(unmap) < 0 ? -EINVAL : (int64_t)addr;
	}
	if (!(a[3] & 1)) /* MREMAP_MAYMOVE */
		return -ENOMEM;
	r = take_pages((uint32_t)to, &page);
	if (r < 0)
		return r;
	mark(page, (uint32_t)to, true);
	r = guest_copy(guest_base() + (uint64_t)page * PAGE, guest_base() + addr, from * PAGE);
	if (r < 0)
		return r;
	sys_munmap(unmap);
	return (int64_t)page * PAGE;
}

/* musl's malloc takes mmap where brk will not grow. */
SYS(brk)
{
	return 0;
}
SYS(madvise)
{
	return 0;
}
SYS(msync)
{
	return 0;
}
SYS(mlock)
{
	return 0;
}
SYS(munlock)
{
	return 0;
}
SYS(mlockall)
{
	return 0;
}
SYS(munlockall)
{
	return 0;
}
