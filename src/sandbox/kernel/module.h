/* The seam between translated guest programs and the kernel that runs them:
 * what a module offers, what the kernel must supply, what the runtime adds.
 * Only declarations; modules are built by src/sandbox/guest, the runtime is
 * src/sandbox/runtime, the hooks are defined in src/sandbox/kernel.
 *
 * Threads: one guest program runs in one single-threaded host process. All of
 * this is for that one thread; nothing here is safe against a second one. */
#ifndef SOCKERLESS_SANDBOX_KERNEL_MODULE_H
#define SOCKERLESS_SANDBOX_KERNEL_MODULE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <wasm-rt.h>

/* The C compiler of the guest may keep live data this far below the guest's
 * stack pointer, so whoever pushes a signal frame first skips as much. */
enum { GUEST_RED_ZONE = 256 };

/* A translated program. Immutable, lives as long as the process.
 *
 * Life of a guest program in a worker (exec is the same from step 2):
 *   1. module->init()                 once, in the zygote; later calls do nothing
 *   2. instance = calloc(1, instance_size)
 *   3. module->instantiate(instance)  maps memory, copies data, fills the table
 *   4. grow the memory, write the argument block into the new pages
 *   5. module->start(instance, block) never returns: the guest leaves through
 *                                     guest_syscall (exit, exec) or guest_trap
 *
 * exec in process: the system call handler decides (file found, arguments
 * copied out of guest memory into host memory, signals reset), then longjmps
 * (_longjmp, no signal mask) to the worker's main loop, which set its jump
 * point with _setjmp before step 2. That drops all native frames of the old
 * program at once: generated code owns no resource in its frames. The main
 * loop then calls guest_jump_reset(), module->release(instance), and begins
 * again at step 2 with the new module. Whatever the kernel's own frames
 * between the guest and the longjmp own, they must let go of first. exec may
 * also come from a guest signal handler (deliver is on the native stack then):
 * nothing special, the longjmp drops that too. */
struct guest_module {
	const char *name;
	size_t instance_size;

	void (*init)(void);
	/* Cannot fail but by running out of address space or memory, which
	 * ends in guest_out_of_memory(). */
	void (*instantiate)(void *instance);
	/* Unmaps the whole reservation; the instance itself stays the caller's. */
	void (*release)(void *instance);

	wasm_rt_memory_t *(*memory)(void *instance);
	uint32_t *(*stack_pointer)(void *instance);

	/* Runs the program. The block looks like a new Linux program's stack
	 * with 32-bit words: argc, argv…, 0, envp…, 0, auxv pairs…, 0, 0; the
	 * strings may be anywhere in guest memory. Align it to 16. auxv needs
	 * AT_PAGESZ (4096), AT_RANDOM (16 bytes), AT_UID, AT_EUID, AT_GID,
	 * AT_EGID, AT_SECURE; AT_SYSINFO_EHDR must be absent. */
	void (*start)(void *instance, uint32_t block);

	/* Calls a guest signal handler and returns when it returns (it may also
	 * leave by the guest's own longjmp, which cuts the native stack: see
	 * guest_jump_hook). The caller has lowered *stack_pointer below the red
	 * zone and whatever it pushed, aligned to 16, and restores it after.
	 * A handler that is no function of the right type ends in guest_trap. */
	void (*deliver)(void *instance, uint32_t sig, uint32_t handler, uint32_t is_siginfo, uint32_t siginfo, uint32_t ucontext);

	/* Guest addresses. The guest's stack is [0, stack_top), growing down;
	 * an overflow wraps below 0 and traps. Static data ends at heap_base,
	 * where the kernel may begin brk or the argument block. */
	uint32_t stack_top;
	uint32_t heap_base;

	/* Base names that this module answers to by argv[0] ("ls", "sh"),
	 * sorted by strcmp, NULL at the end. */
	const char *const *applets;
	size_t applet_count;
};

/* All modules of this build, NULL at the end. */
extern const struct guest_module *const guest_modules[];

/* Binary search: does the module answer to this base name? */
bool guest_module_has_applet(const struct guest_module *m, const char *name);
/* The first module that does; NULL when none. */
const struct guest_module *guest_module_for_applet(const char *name);

/* ---- hooks: the kernel defines these ---- */

/* The guest's only way out. Number and arguments as on x86-64, but with
 * 32-bit pointers and longs: a pointer arrives zero-extended in the low 32
 * bits (mask it), a signed argument sign-extended. Numbers 512 to 547 are the
 * x32 calls whose structures hold pointers. Returns the result or -errno.
 * May poll, run guest handlers, fork; does not return from exit or exec. */
int64_t guest_syscall(uint32_t n, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f);

/* Set by the kernel's native signal handlers when a guest signal is pending.
 * Generated code looks at it at the head of every loop and calls guest_poll,
 * at a place where no guest memory is cached in registers; so guest handlers
 * run only from guest_poll and from guest_syscall, never inside a native
 * handler. guest_poll clears the flag, delivers, returns. */
extern volatile int guest_poll_flag;
void guest_poll(void);

/* The guest did something undefined: raise signo (SIGSEGV, SIGBUS, SIGFPE,
 * SIGILL) in it. The instruction cannot be resumed, so this does not return:
 * either a guest handler leaves by longjmp or exit, or the guest dies of it.
 * It runs on the normal stack, outside of any native handler, except when
 * no_stack is set: then the native stack is used up, this runs on the
 * alternate stack inside the handler, and the guest must not run again. */
_Noreturn void guest_trap(int signo, uint32_t address, bool no_stack);

/* SIGSEGV or SIGBUS that some process sent (kill), in the native handler,
 * async-signal context: treat it as any other signal for the guest. */
void guest_stray_signal(int signo, siginfo_t *info, void *ucontext);

/* A reservation or table could not be had. Does not return: kill the guest. */
_Noreturn void guest_out_of_memory(void);

/* The guest has called longjmp and the native stack is about to be cut down
 * to the frame that called setjmp: forget any kernel state that lives above,
 * such as "inside a delivery" marks. `depth` is what guest_jump_depth()
 * returned when that setjmp was called or reused. */
void guest_jump_hook(uint32_t depth);

/* ---- offered by the runtime (src/sandbox/runtime) ---- */

/* Once per process, before the first instantiate, kept over fork: installs the
 * SIGSEGV and SIGBUS handlers and their alternate stack (the kernel must leave
 * those two native dispositions alone) and the type registry. -errno. */
int guest_runtime_init(void);

/* Forgets all guest jump buffers: at exec, after the native stack was cut. */
void guest_jump_reset(void);
/* Number of live jump slots; grows with setjmp, cut on return and longjmp. */
uint32_t guest_jump_depth(void);

/* Unmaps everything the memory reserved and zeroes it; harmless twice. */
void guest_memory_release(wasm_rt_memory_t *mem);
/* Grows to at least `bytes` (up to the module's maximum); new bytes are zero.
 * 0 or -ENOMEM, nothing changed. */
int guest_memory_grow_to(wasm_rt_memory_t *mem, uint64_t bytes);

/* Copies between host and guest memory, either direction, where a page of the
 * guest may have been protected or unmapped: -EFAULT instead of a signal (part
 * may have been copied then). Does not check bounds; the caller has. */
int guest_copy(void *dst, const void *src, size_t n);
/* Copies a string with its terminator; returns its length, -EFAULT, or
 * -ENAMETOOLONG when no NUL came within max bytes (max > 0). */
long guest_copy_string(char *dst, const char *src, size_t max);

#endif
