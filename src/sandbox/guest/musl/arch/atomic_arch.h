/* One thread for each memory: plain accesses are atomic. The volatile keeps
 * the compiler from moving them over a signal handler's poll point. */
#define a_cas a_cas
static inline int a_cas(volatile int *p, int expected, int desired)
{
	int seen = *p;

	if (seen == expected)
		*p = desired;
	return seen;
}

#define a_swap a_swap
static inline int a_swap(volatile int *p, int v)
{
	int old = *p;

	*p = v;
	return old;
}

#define a_store a_store
static inline void a_store(volatile int *p, int v)
{
	*p = v;
}

#define a_barrier a_barrier
static inline void a_barrier(void)
{
	__asm__ __volatile__("" ::: "memory");
}

#define a_crash a_crash
static inline void a_crash(void)
{
	__builtin_trap();
}

/* The bit counts must answer something for 0: callers rely on it. */
#define a_ctz_32 a_ctz_32
static inline int a_ctz_32(uint32_t x)
{
	return x ? __builtin_ctz(x) : 32;
}

#define a_ctz_64 a_ctz_64
static inline int a_ctz_64(uint64_t x)
{
	return x ? __builtin_ctzll(x) : 64;
}

#define a_clz_32 a_clz_32
static inline int a_clz_32(uint32_t x)
{
	return x ? __builtin_clz(x) : 32;
}

#define a_clz_64 a_clz_64
static inline int a_clz_64(uint64_t x)
{
	return x ? __builtin_clzll(x) : 64;
}
