/* The thread pointer is a plain variable: there is one thread. */
extern hidden uintptr_t __guest_thread_pointer;

static inline uintptr_t __get_tp(void)
{
	return __guest_thread_pointer;
}

#define MC_PC gregs[REG_RIP]
#define tls_mod_off_t unsigned long long
