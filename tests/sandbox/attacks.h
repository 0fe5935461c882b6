/* The hole that the drilled build has in the first wall: a worker that is asked
 * for the command `attack` runs native code of ours instead of a guest. */
#ifndef SOCKERLESS_TESTS_SANDBOX_ATTACKS_H
#define SOCKERLESS_TESTS_SANDBOX_ATTACKS_H

#include <stdbool.h>
#include <stdint.h>

bool attack_is_meant(const char *const *argv);
/* argv: attack NAME VICTIM_PID DIRECTORY [SEED] (which holds lower/, upper/ and the
 * file `secret`). Tells on standard output what broke through. Exits 0: all
 * held, 1: something broke, 2: no such attack. */
_Noreturn void attack_main(const char *const *argv);

/* An attempt counts as held only when it is refused for its own sake: EPERM, EACCES or EXDEV. */
void broke(const char *what, const char *how);
void held(const char *what, long r);
#define HELD(call) held(#call, (long)(call))

/* attack_network.c */
void attack_connections(void);
void attack_switch(void);

/* The attack "syscalls": every call with hostile arguments, from `first_seed` on. 0: all stood. */
int fuzz_main(uint64_t first_seed);
/* A guest's memory for whoever makes calls in its place. */
void fuzz_start_program(void);

/* socket_calls.c: socket calls as a guest makes them, and what Linux answers. How many did not answer so. */
int socket_calls_main(void);

#endif
