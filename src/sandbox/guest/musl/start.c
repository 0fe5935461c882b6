/* Where a guest program begins. The host has put argc, argv, envp and auxv into
 * memory above the initial one, so that they are not on the guest's stack. */
void __wasm_call_ctors(void);
int __main_argc_argv(int argc, char **argv);
int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv,
		      void (*init)(void), void (*fini)(void), void (*ld_fini)(void));

static void nothing(void)
{
}

/* libc calls with three arguments, and a call's type is checked. */
static int entry(int argc, char **argv, char **envp)
{
	(void)envp;
	__wasm_call_ctors();
	return __main_argc_argv(argc, argv);
}

__attribute__((export_name("__guest_start")))
void __guest_start(long *block)
{
	__libc_start_main(entry, (int)block[0], (char **)(block + 1), nothing,
			  nothing, nothing);
}
