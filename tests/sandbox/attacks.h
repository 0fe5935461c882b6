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

/* The attack "syscalls": every call with hostile arguments, from `first_seed` on. 0: all stood. */
int fuzz_main(uint64_t first_seed);

#endif
