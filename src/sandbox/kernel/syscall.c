/* The door: every call of the guest comes in here. A call that has no body
 * anywhere answers ENOSYS.
 *
 * A blocking call that a signal interrupted is made again when every handler
 * that ran has SA_RESTART and the call is one that Linux restarts. */
#include <errno.h>

#include "sandbox/kernel/kernel.h"
#include "sandbox/kernel/module.h"

#define SYSCALL(number, name)           \
	__attribute__((weak)) SYS(name) \
	{                               \
		return -ENOSYS;         \
	}
#include "sandbox/kernel/syscalls.def"
#undef SYSCALL

/* musl's x32 headers set this bit in every number. */
enum { SYSCALLS_MAX = 600, X32_BIT = 0x40000000 };

static const sys_fn table[SYSCALLS_MAX] = {
#define SYSCALL(number, name) [number] = sys_##name,
#include "sandbox/kernel/syscalls.def"
#undef SYSCALL
};

static bool is_restarted_by_linux(uint32_t n)
{
	switch (n) {
	case 7:   /* poll */
	case 23:  /* select */
	case 34:  /* pause */
	case 35:  /* nanosleep */
	case 130: /* rt_sigsuspend */
	case 230: /* clock_nanosleep */
	case 232: /* epoll_wait */
	case 270: /* pselect6 */
	case 271: /* ppoll */
	case 281: /* epoll_pwait */
	case 523: /* rt_sigtimedwait */ return false;
	default: return true;
	}
}

/* What interrupted it is nothing of the guest's: a wake-up, a park. */
static bool is_made_again(int64_t r)
{
	bool was_parked = signal_was_of_park();

	return r == -EINTR && (signal_take_wake() || (was_parked && !signal_is_pending()));
}

int64_t guest_syscall(uint32_t n, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	const uint64_t args[6] = { a, b, c, d, e, f };
	int64_t r;

	n &= ~(uint32_t)X32_BIT;
	if (signal_is_pending()) /* it came before the call: no reason to interrupt it */
		signal_deliver();
	do {
		do
			r = n < SYSCALLS_MAX && table[n] ? table[n](args) : -ENOSYS;
		while (is_made_again(r));
		if (!signal_is_pending() && r != -EINTR) /* EINTR without one: a signal that was not the guest's */
			return r;
	} while (signal_deliver() && r == -EINTR && is_restarted_by_linux(n));
	return r;
}
