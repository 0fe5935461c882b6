/* The lives that a server can have: never started, started and freed, stopped before it served, two at once. */
#ifndef SOCKERLESS_TESTS_EMBED_LIVES_H
#define SOCKERLESS_TESTS_EMBED_LIVES_H

/* 0, or the number of expectations that were not met; says on stderr which. */
int lives_check(const char *dir, const char *sandbox, const char *guest);

#endif
