/* Signals. The guest's mask is the host process's own; the native handler only
 * notes what came and, when a blocking host call was about to begin, makes it
 * return at once. Guest handlers run at loop heads and at the end of calls. */
#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "sandbox/kernel/kernel.h"
#include "sandbox/kernel/module.h"

/* Parking goes by one of the two signals that the C library keeps for threads, of which there are none. */
enum { SIGNALS = 64, SIGNAL_PARK = 33 };

struct guest_action {
	uint32_t handler, flags;
	uint64_t mask;
};

/* struct k_sigaction of the x32 ABI with 32-bit pointers. */
struct guest_sigaction {
	uint32_t handler, flags, restorer, mask[2];
};

volatile int guest_poll_flag;

static struct guest_action actions[SIGNALS + 1];
static volatile sig_atomic_t pending[SIGNALS + 1];
static siginfo_t infos[SIGNALS + 1];

/* ---- host calls ---- */

long host_call(long n, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return r;
}

/* The flag is tested and the call made inside one window of instructions: a
 * signal within it moves on to the abort label, so no wake-up is lost. */
long blocking_call(long n, long a, long b, long c, long d, long e, long f);
extern const char blocking_begin[], blocking_end[], blocking_abort[];
__asm__(".text\n"
	".globl blocking_call, blocking_begin, blocking_end, blocking_abort\n"
	"blocking_call:\n"
	"	mov %rdi, %rax\n"
	"	mov %rsi, %rdi\n"
	"	mov %rdx, %rsi\n"
	"	mov %rcx, %rdx\n"
	"	mov %r8, %r10\n"
	"	mov %r9, %r8\n"
	"	mov 8(%rsp), %r9\n"
	"blocking_begin:\n"
	"	cmpl $0, guest_poll_flag(%rip)\n"
	"	jne blocking_abort\n"
	"	syscall\n"
	"blocking_end:\n"
	"	ret\n"
	"blocking_abort:\n"
	"	mov $-4, %rax\n" /* -EINTR */
	"	ret\n");

long host_block(long n, long a, long b, long c, long d, long e, long f)
{
	long r;

	self.slot->is_sleeping = 1;
	r = blocking_call(n, a, b, c, d, e, f);
	self.slot->is_sleeping = 0;
	return r;
}

/* A pause stops and continues children; what the host tells of that is not the guest's to hear. */
bool signal_is_of_pause(void)
{
	enum { AFTERMATH_NS = 200000000 };
	const struct proctable *t = self.container->table;
	struct timespec ts;

	if (t->is_paused)
		return true;
	if (t->pause_end_ns == 0)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec - t->pause_end_ns < AFTERMATH_NS;
}

/* docker run --cpus: whoever runs waits here until the supervisor says otherwise. */
static volatile sig_atomic_t was_parked;

static void on_park(int signo)
{
	const struct timespec at_most = { .tv_nsec = 100000000 };
	_Atomic uint32_t *is_parked = &self.container->table->is_parked;

	(void)signo;
	was_parked = 1;
	while (*is_parked)
		host_call(SYS_futex, (long)is_parked, FUTEX_WAIT, 1, (long)&at_most, 0, 0);
}

void signal_install_park(void)
{
	struct {
		void (*handler)(int);
		unsigned long flags;
		void (*restorer)(void);
		uint64_t mask;
	} act;
	struct sigaction any = { .sa_handler = on_park, .sa_flags = SA_RESTART | SA_ONSTACK };

	/* The library's own function refuses the number, but knows how one returns from a handler. */
	sigfillset(&any.sa_mask);
	sigaction(SIGRTMAX, &any, NULL);
	host_call(SYS_rt_sigaction, SIGRTMAX, 0, (long)&act, 8, 0, 0);
	host_call(SYS_rt_sigaction, SIGNAL_PARK, (long)&act, 0, 8, 0, 0);
	signal(SIGRTMAX, SIG_DFL);
}

bool signal_was_of_park(void)
{
	bool was = was_parked;

	was_parked = 0;
	return was;
}

/* A child may have ended before the parent has heard of its stop or its going on: of two SIGCHLD one is left. */
static bool has_ended_child(siginfo_t *ret)
{
	*ret = (siginfo_t){ 0 };
	return host_call(SYS_waitid, P_ALL, 0, (long)ret, WEXITED | WNOHANG | WNOWAIT, 0, 0) == 0 && ret->si_pid > 0;
}

static void note(int signo, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	greg_t *ip = &uc->uc_mcontext.gregs[REG_RIP];
	siginfo_t ended;

	if (signo == SIGCHLD && (info->si_code == CLD_STOPPED || info->si_code == CLD_CONTINUED) && signal_is_of_pause()) {
		if (!has_ended_child(&ended))
			return;
		info = &ended;
	}

	infos[signo] = *info;
	pending[signo] = 1;
	guest_poll_flag = 1;
	if (*ip >= (greg_t)(uintptr_t)blocking_begin && *ip < (greg_t)(uintptr_t)blocking_end)
		*ip = (greg_t)(uintptr_t)blocking_abort;
}

/* ---- the wake-up from outside ---- */

static volatile sig_atomic_t wake;

/* No wake-up is lost between a look at the epoch and the call that would sleep, as with any signal. */
static void note_wake(int signo, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	greg_t *ip = &uc->uc_mcontext.gregs[REG_RIP];

	(void)signo, (void)info;
	wake = 1;
	guest_poll_flag = 1;
	if (*ip >= (greg_t)(uintptr_t)blocking_begin && *ip < (greg_t)(uintptr_t)blocking_end)
		*ip = (greg_t)(uintptr_t)blocking_abort;
}

void signal_return(void);
__asm__(".text\n"
	".globl signal_return\n"
	"signal_return:\n"
	"	mov $15, %eax\n" /* rt_sigreturn */
	"	syscall\n");

/* The C library keeps this number for itself and refuses it. */
static void set_wake_action(uintptr_t handler)
{
	struct {
		uintptr_t handler;
		unsigned long flags;
		void (*restorer)(void);
		uint64_t mask;
	} act = { handler, SA_SIGINFO | 0x04000000 /* SA_RESTORER */, signal_return, UINT64_MAX };

	host_call(SYS_rt_sigaction, SIGNAL_WAKE, (long)&act, 0, 8, 0, 0);
}

void signal_wake_ignore(void)
{
	set_wake_action((uintptr_t)SIG_IGN);
}

/* Linux's init feels no signal that it has no handler for. */
static bool is_deaf(int signo)
{
	return self.vpid == 1 && signo != SIGKILL && signo != SIGSTOP && signo != SIGCHLD && signo != SIGCONT;
}

void guest_stray_signal(int signo, siginfo_t *info, void *ucontext)
{
	if (actions[signo].handler > 1)
		note(signo, info, ucontext);
	else if (actions[signo].handler == 0 && !is_deaf(signo))
		_exit(128 + signo);
}

bool signal_is_pending(void)
{
	return guest_poll_flag != 0;
}

/* ---- dispositions ---- */

static bool is_runtime_signal(int signo)
{
	return signo == SIGSEGV || signo == SIGBUS; /* the runtime's handlers stay */
}

static void set_native(int signo)
{
	const struct guest_action *act = &actions[signo];
	struct sigaction sa = { 0 };

	if (is_runtime_signal(signo) || signo == SIGKILL || signo == SIGSTOP || signo == 32 || signo == 33)
		return;
	if (act->handler > 1) {
		sa.sa_sigaction = note;
		sa.sa_flags = SA_SIGINFO | (int)(act->flags & (SA_NOCLDSTOP | SA_NOCLDWAIT));
		sigfillset(&sa.sa_mask);
	} else {
		sa.sa_handler = act->handler == 1 || is_deaf(signo) ? SIG_IGN : SIG_DFL;
		sa.sa_flags = (int)(act->flags & (SA_NOCLDSTOP | SA_NOCLDWAIT));
	}
	sigaction(signo, &sa, NULL);
}

static void publish(void)
{
	uint64_t handled = 0, ignored = 0;

	for (int i = 1; i <= SIGNALS; i++) {
		if (actions[i].handler > 1)
			handled |= 1ull << (i - 1);
		else if (actions[i].handler == 1)
			ignored |= 1ull << (i - 1);
	}
	self.slot->handled = handled;
	self.slot->ignored = ignored;
}

/* Signals whose native disposition may be another than the default. */
static uint64_t not_default = UINT64_MAX;

#define BIT(signo) (1ull << ((signo) - 1))

void signal_begin(void)
{
	for (int i = 1; i <= SIGNALS; i++)
		signal(i, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN); /* a terminal's ^C is the daemon's to decide about */
	not_default = BIT(SIGPIPE) | BIT(SIGINT);
}

void signal_init(void)
{
	sigset_t none;

	sigemptyset(&none);
	for (int i = 1; i <= SIGNALS; i++)
		if (is_deaf(i) || (not_default & BIT(i)))
			set_native(i);
	set_wake_action((uintptr_t)note_wake);
	sigprocmask(SIG_SETMASK, &none, NULL);
	publish();
}

void signal_exec(void)
{
	for (int i = 1; i <= SIGNALS; i++) {
		if (actions[i].handler > 1) {
			actions[i] = (struct guest_action){ 0 };
			set_native(i);
		}
		actions[i].flags = 0;
	}
	publish();
}

/* A child is no pid 1 even if its parent is. */
void signal_fork_child(void)
{
	for (int i = 1; i <= SIGNALS; i++) {
		pending[i] = 0;
		if (actions[i].handler == 0 && self.slot->ppid == 1)
			set_native(i);
	}
	guest_poll_flag = 0;
	publish();
}

SYS(rt_sigaction)
{
	struct guest_sigaction in, out = { 0 };
	int signo = (int)a[0];

	if (signo < 1 || signo > SIGNALS)
		return -EINVAL;
	if (a[1] && copy_in(&in, a[1], sizeof(in)) < 0)
		return -EFAULT;
	if (a[1] && (signo == SIGKILL || signo == SIGSTOP))
		return -EINVAL;
	if (a[2]) {
		out.handler = actions[signo].handler;
		out.flags = actions[signo].flags;
		memcpy(out.mask, &actions[signo].mask, 8);
		if (copy_out(a[2], &out, sizeof(out)) < 0)
			return -EFAULT;
	}
	if (a[1]) {
		actions[signo].handler = in.handler;
		actions[signo].flags = in.flags;
		memcpy(&actions[signo].mask, in.mask, 8);
		set_native(signo);
		publish();
	}
	return 0;
}

/* ---- delivery ---- */

/* Faults on guest memory must always reach the runtime. */
static uint64_t set_mask(int how, uint64_t mask)
{
	const uint64_t kept =
		1ull << (SIGSEGV - 1) | 1ull << (SIGBUS - 1) | 1ull << (SIGNAL_PARK - 1) | 1ull << (SIGNAL_WAKE - 1);
	uint64_t old = 0;

	mask &= how == SIG_UNBLOCK ? UINT64_MAX : ~kept;
	host_call(SYS_rt_sigprocmask, how, (long)&mask, (long)&old, 8, 0, 0);
	return old;
}

/* siginfo with 32-bit fields lies as on x32: the first three ints and pid, uid. */
static uint32_t push_siginfo(uint32_t *sp, int signo)
{
	int32_t info[32] = { signo, 0, infos[signo].si_code };
	struct proc_slot *sender = proctable_find_host(infos[signo].si_pid);

	info[3] = sender ? sender->vpid : 0;
	info[5] = infos[signo].si_status;
	*sp -= sizeof(info);
	return copy_out(*sp, info, sizeof(info)) < 0 ? 0 : *sp;
}

static void call_handler(int signo, const struct guest_action *act)
{
	uint32_t *sp = self.module->stack_pointer(self.instance), saved = *sp, info = 0;

	if (saved < GUEST_RED_ZONE + 4096)
		guest_trap(SIGSEGV, saved, false);
	*sp = (saved - GUEST_RED_ZONE) & ~15u;
	if (act->flags & SA_SIGINFO)
		info = push_siginfo(sp, signo);
	self.module->deliver(self.instance, (uint32_t)signo, act->handler, !!(act->flags & SA_SIGINFO), info, 0);
	*sp = saved;
}

static bool signal_is_deliverable(void)
{
	uint64_t mask = set_mask(SIG_BLOCK, 0);

	for (int i = 1; i <= SIGNALS; i++)
		if (pending[i] && !(mask >> (i - 1) & 1))
			return true;
	return false;
}

bool signal_take_wake(void)
{
	if (!wake)
		return false;
	wake = 0;
	guest_poll_flag = 0;
	if (!signal_is_deliverable())
		return true;
	guest_poll_flag = 1;
	return false;
}

/* After a mask has changed: the flag stands for what may be delivered now. */
static void rearm(void)
{
	if (signal_is_deliverable())
		guest_poll_flag = 1;
}

static bool deliver_one(int signo)
{
	struct guest_action act = actions[signo];
	uint64_t old;

	pending[signo] = 0;
	if (act.handler <= 1)
		return true;
	if (act.flags & SA_RESETHAND) {
		actions[signo].handler = 0;
		set_native(signo);
	}
	old = set_mask(SIG_BLOCK, act.mask | ((act.flags & SA_NODEFER) ? 0 : 1ull << (signo - 1)));
	call_handler(signo, &act);
	set_mask(SIG_SETMASK, old);
	rearm();
	return (act.flags & SA_RESTART) != 0;
}

/* Only what is not blocked now: a signal may have been noted before the mask
 * that a handler runs under came up. What stays waits for rearm. */
bool signal_deliver(void)
{
	bool may_restart = true;

	wake = 0;
	while (guest_poll_flag) {
		guest_poll_flag = 0;
		for (int i = 1; i <= SIGNALS; i++)
			if (pending[i] && !(set_mask(SIG_BLOCK, 0) >> (i - 1) & 1) && !deliver_one(i))
				may_restart = false;
	}
	return may_restart;
}

void guest_poll(void)
{
	signal_deliver();
}

void guest_jump_hook(uint32_t depth)
{
	(void)depth; /* nothing of ours lives on the native stack but saved masks */
}

/* The wall lets no signal out, not even to ourselves: make the real thing. */
static _Noreturn void die_of(int signo)
{
	if (signo == SIGSEGV || signo == SIGBUS)
		__asm__ volatile("movl $0, 0" ::: "memory");
	else if (signo == SIGFPE)
		__asm__ volatile("xorl %%ecx, %%ecx\n\tdivl %%ecx" ::: "eax", "ecx", "edx");
	else
		__asm__ volatile("ud2");
	_exit(128 + signo);
}

void guest_trap(int signo, uint32_t address, bool no_stack)
{
	struct guest_action act = actions[signo];

	(void)address;
	if (!no_stack && act.handler > 1) {
		actions[signo].handler = 0; /* a second fault inside the handler kills */
		infos[signo].si_code = 1;
		call_handler(signo, &act);
	}
	signal(signo, SIG_DFL);
	set_mask(SIG_UNBLOCK, 1ull << (signo - 1));
	die_of(signo);
}

void guest_out_of_memory(void)
{
	_exit(137);
}

/* ---- calls ---- */

SYS(rt_sigprocmask)
{
	uint64_t mask = 0, old;

	if (a[1] && copy_in(&mask, a[1], 8) < 0)
		return -EFAULT;
	if (a[1] && a[0] > 2)
		return -EINVAL;
	if (a[1])
		old = set_mask((int)a[0], mask);
	else
		old = set_mask(SIG_BLOCK, 0);
	rearm();
	return a[2] ? copy_out(a[2], &old, 8) : 0;
}

/* The handler runs under the temporary mask, as on Linux. A signal between
 * the two calls is seen by host_block. */
SYS(rt_sigsuspend)
{
	uint64_t mask, old;

	if (copy_in(&mask, a[0], 8) < 0)
		return -EFAULT;
	old = set_mask(SIG_SETMASK, mask);
	rearm();
	while (!signal_is_deliverable())
		host_block(SYS_pause, 0, 0, 0, 0, 0, 0);
	signal_deliver();
	set_mask(SIG_SETMASK, old);
	rearm();
	return -EINTR;
}

SYS(pause)
{
	return host_block(SYS_pause, 0, 0, 0, 0, 0, 0);
}

SYS(rt_sigpending)
{
	uint64_t set = 0;
	long r = host_call(SYS_rt_sigpending, (long)&set, 8, 0, 0, 0, 0);

	return r < 0 ? r : copy_out(a[0], &set, 8);
}

SYS(rt_sigtimedwait)
{
	struct {
		int64_t sec;
		int64_t nsec;
	} ts = { 0 };
	int32_t out[32] = { 0 };
	siginfo_t info;
	uint64_t set;
	long r;

	if (copy_in(&set, a[0], 8) < 0 || (a[2] && copy_in(&ts, a[2], 16) < 0))
		return -EFAULT;
	ts.nsec &= UINT32_MAX;
	r = host_block(SYS_rt_sigtimedwait, (long)&set, (long)&info, a[2] ? (long)&ts : 0, 8, 0, 0);
	if (r > 0 && a[1]) {
		out[0] = info.si_signo;
		out[2] = info.si_code;
		if (copy_out(a[1], out, sizeof(out)) < 0)
			return -EFAULT;
	}
	return r;
}

SYS(sigaltstack)
{
	return 0;
}
SYS(rt_sigreturn)
{
	return -ENOSYS;
}

/* ---- sending ---- */

SYS(kill)
{
	struct broker_request req = { .op = BROKER_KILL, .pid = (int32_t)a[0], .signo = (int32_t)a[1], .sender_vpid = self.vpid };
	struct broker_reply reply;
	long r;

	if (req.signo < 0 || req.signo > SIGNALS)
		return -EINVAL;
	r = broker_call(&req, -1, &reply, NULL);
	return r < 0 ? r : reply.result;
}

SYS(tkill)
{
	const uint64_t args[6] = { a[0], a[1] };

	return (int32_t)a[0] > 0 ? sys_kill(args) : -EINVAL; /* no groups here */
}

SYS(tgkill)
{
	const uint64_t args[6] = { a[1], a[2] };

	return (int32_t)a[0] > 0 && (int32_t)a[1] > 0 ? sys_kill(args) : -EINVAL;
}

SYS(alarm)
{
	return host_call(SYS_alarm, (long)a[0], 0, 0, 0, 0, 0);
}

SYS(setitimer)
{
	int64_t in[4], out[4];
	long r;

	if (copy_in(in, a[1], sizeof(in)) < 0)
		return -EFAULT;
	r = host_call(SYS_setitimer, (long)a[0], (long)in, (long)out, 0, 0, 0);
	return r < 0 || !a[2] ? r : copy_out(a[2], out, sizeof(out));
}

SYS(getitimer)
{
	int64_t out[4];
	long r = host_call(SYS_getitimer, (long)a[0], (long)out, 0, 0, 0, 0);

	return r < 0 ? r : copy_out(a[1], out, sizeof(out));
}
