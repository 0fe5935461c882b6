/* Faults on guest memory: a trap of the guest when it ran, -EFAULT when the
 * kernel copied, and a stray signal when somebody merely sent one. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "sandbox/kernel/module.h"
#include "sandbox/runtime/runtime.h"

enum { ALT_STACK_BYTES = 65536 };

uint8_t *runtime_memory_base;

static volatile sig_atomic_t is_copying;
static jmp_buf copy_escape;
static uint8_t *stack_low;

/* Leaving a handler by _longjmp keeps the handler's mask: this is the one to put back. */
static sigset_t copy_mask;

/* What a fault becomes once the handler has returned: guest_trap on the
 * normal stack, so that a guest handler can run and leave by longjmp. */
static volatile int trap_signo;
static volatile uint32_t trap_address;

static void trap_after_handler(void)
{
	guest_trap(trap_signo, trap_address, false);
}

/* Goes on in trap_after_handler as if the faulting instruction had called it. */
static void return_into_trap(ucontext_t *uc, int signo, uint32_t address)
{
	greg_t *regs = uc->uc_mcontext.gregs;

	trap_signo = signo;
	trap_address = address;
	/* Below the red zone of the interrupted frame, aligned as after a call. */
	regs[REG_RSP] = ((regs[REG_RSP] - 256) & ~(greg_t)15) - 8;
	regs[REG_RIP] = (greg_t)(uintptr_t)trap_after_handler;
}

static bool is_stack_overflow(const siginfo_t *info, const ucontext_t *uc)
{
	uintptr_t at = (uintptr_t)info->si_addr, sp = (uintptr_t)uc->uc_mcontext.gregs[REG_RSP];

	/* The guard below the stack, touched near the stack pointer. */
	return at < (uintptr_t)stack_low + 65536 && sp < (uintptr_t)stack_low + 262144 && at + 262144 > sp;
}

static void on_fault(int signo, siginfo_t *info, void *context)
{
	if (info->si_code <= 0) { /* sent by kill, not by the processor */
		guest_stray_signal(signo, info, context);
		return;
	}
	if (runtime_is_guest_address(info->si_addr)) {
		if (is_copying) {
			copy_mask = ((ucontext_t *)context)->uc_sigmask;
			_longjmp(copy_escape, 1);
		}
		return_into_trap(context, signo, (uint32_t)((uint8_t *)info->si_addr - runtime_memory_base));
		return;
	}
	if (is_stack_overflow(info, context))
		guest_trap(SIGSEGV, 0, true);
	/* A bug of our own: die of it, visibly. */
	signal(signo, SIG_DFL);
}

void *guest_runtime_find_stack(void)
{
	pthread_attr_t attr;
	size_t size;
	void *low = NULL;

	if (pthread_getattr_np(pthread_self(), &attr) != 0)
		return NULL;
	pthread_attr_getstack(&attr, &low, &size);
	pthread_attr_destroy(&attr);
	return low;
}

void guest_runtime_take_stack(void *low)
{
	stack_low = low;
}

int guest_runtime_enter_thread(void)
{
	static void *stack; /* one such thread at a time */
	stack_t alt = { .ss_size = ALT_STACK_BYTES };

	if (!stack)
		stack = mmap(NULL, ALT_STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack == MAP_FAILED) {
		stack = NULL;
		return -ENOMEM;
	}
	alt.ss_sp = stack;
	return sigaltstack(&alt, NULL) < 0 ? -errno : 0;
}

int guest_runtime_init(void)
{
	struct sigaction sa = { .sa_flags = SA_SIGINFO | SA_ONSTACK };
	stack_t alt = { .ss_size = ALT_STACK_BYTES };

	alt.ss_sp = mmap(NULL, ALT_STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (alt.ss_sp == MAP_FAILED)
		return -ENOMEM;
	stack_low = guest_runtime_find_stack();
	sa.sa_sigaction = on_fault;
	/* Nothing else may come in between: the handler edits the frame it came from. */
	sigfillset(&sa.sa_mask);
	if (sigaltstack(&alt, NULL) < 0 || sigaction(SIGSEGV, &sa, NULL) < 0 || sigaction(SIGBUS, &sa, NULL) < 0)
		return -errno;
	return 0;
}

static int copy_failed(void)
{
	is_copying = 0;
	sigprocmask(SIG_SETMASK, &copy_mask, NULL);
	return -EFAULT;
}

int guest_copy(void *dst, const void *src, size_t n)
{
	if (_setjmp(copy_escape))
		return copy_failed();
	is_copying = 1;
	memcpy(dst, src, n);
	is_copying = 0;
	return 0;
}

long guest_copy_string(char *dst, const char *src, size_t max)
{
	volatile size_t n = 0;

	if (_setjmp(copy_escape))
		return copy_failed();
	is_copying = 1;
	while (n < max) {
		if ((dst[n] = src[n]) == '\0') {
			is_copying = 0;
			return (long)n;
		}
		n = n + 1;
	}
	is_copying = 0;
	return -ENAMETOOLONG;
}
