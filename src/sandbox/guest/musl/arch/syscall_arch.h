/* How musl enters the kernel: one imported function, 64-bit arguments. A
 * pointer or int arrives zero-extended (the kernel casts back), an off_t whole.
 * The numbers are x86-64's, and x32's where a structure holds pointers. */
#define __SYSCALL_LL_E(x) (x)
#define __SYSCALL_LL_O(x) (x)
#define __scc(X) (sizeof(1 ? (X) : 0ULL) < 8 ? (unsigned long)(X) : (long long)(X))
typedef long long syscall_arg_t;

__attribute__((import_module("linux"), import_name("syscall")))
long long __guest_syscall(int n, long long a, long long b, long long c,
			  long long d, long long e, long long f);

#define __GUEST_P(x) long long x
#define __GUEST_CALL(n, a, b, c, d, e, f) \
	((long)__guest_syscall((int)(n), a, b, c, d, e, f))

static inline long __syscall0(__GUEST_P(n))
{
	return __GUEST_CALL(n, 0, 0, 0, 0, 0, 0);
}

static inline long __syscall1(__GUEST_P(n), __GUEST_P(a))
{
	return __GUEST_CALL(n, a, 0, 0, 0, 0, 0);
}

static inline long __syscall2(__GUEST_P(n), __GUEST_P(a), __GUEST_P(b))
{
	return __GUEST_CALL(n, a, b, 0, 0, 0, 0);
}

static inline long __syscall3(__GUEST_P(n), __GUEST_P(a), __GUEST_P(b),
			      __GUEST_P(c))
{
	return __GUEST_CALL(n, a, b, c, 0, 0, 0);
}

static inline long __syscall4(__GUEST_P(n), __GUEST_P(a), __GUEST_P(b),
			      __GUEST_P(c), __GUEST_P(d))
{
	return __GUEST_CALL(n, a, b, c, d, 0, 0);
}

static inline long __syscall5(__GUEST_P(n), __GUEST_P(a), __GUEST_P(b),
			      __GUEST_P(c), __GUEST_P(d), __GUEST_P(e))
{
	return __GUEST_CALL(n, a, b, c, d, e, 0);
}

static inline long __syscall6(__GUEST_P(n), __GUEST_P(a), __GUEST_P(b),
			      __GUEST_P(c), __GUEST_P(d), __GUEST_P(e),
			      __GUEST_P(f))
{
	return __GUEST_CALL(n, a, b, c, d, e, f);
}

#undef __GUEST_P
#undef __GUEST_CALL

/* Not a system call of its own any more; utimensat does it. */
#undef SYS_futimesat

/* time_t has 64 bits everywhere: the _time64 calls are the plain ones. */
#define SYS_clock_gettime64 SYS_clock_gettime
#define SYS_clock_settime64 SYS_clock_settime
#define SYS_clock_adjtime64 SYS_clock_adjtime
#define SYS_clock_nanosleep_time64 SYS_clock_nanosleep
#define SYS_timer_gettime64 SYS_timer_gettime
#define SYS_timer_settime64 SYS_timer_settime
#define SYS_timerfd_gettime64 SYS_timerfd_gettime
#define SYS_timerfd_settime64 SYS_timerfd_settime
#define SYS_utimensat_time64 SYS_utimensat
#define SYS_pselect6_time64 SYS_pselect6
#define SYS_ppoll_time64 SYS_ppoll
#define SYS_recvmmsg_time64 SYS_recvmmsg
#define SYS_mq_timedsend_time64 SYS_mq_timedsend
#define SYS_mq_timedreceive_time64 SYS_mq_timedreceive
#define SYS_semtimedop_time64 SYS_semtimedop
#define SYS_rt_sigtimedwait_time64 SYS_rt_sigtimedwait
#define SYS_futex_time64 SYS_futex
#define SYS_sched_rr_get_interval_time64 SYS_sched_rr_get_interval
#define SYS_getrusage_time64 SYS_getrusage
#define SYS_wait4_time64 SYS_wait4

#define IPC_64 0
