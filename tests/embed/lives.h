/* The lives that a server can have: several at once, never started, started and freed, stopped before it served. */
#ifndef SOCKERLESS_TESTS_EMBED_LIVES_H
#define SOCKERLESS_TESTS_EMBED_LIVES_H

/* 0, or the number of expectations that were not met; says on stderr which. */
int lives_check(const char *dir, const char *sandbox, const char *guest);

/* Starts and stops a server n times; prints by how many descriptors and threads the process has grown meanwhile. 0, or 1
 * when it has, or when more than a little memory is in use that was not before. */
int cycles_check(int n, const char *dir, const char *sandbox, const char *guest);

#endif
