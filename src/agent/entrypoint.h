/* A container's command wrapped into the agent that is to run it: what a launcher, or a cloud's job, starts. Pure. */
#ifndef SOCKERLESS_AGENT_ENTRYPOINT_H
#define SOCKERLESS_AGENT_ENTRYPOINT_H

#include <stdbool.h>

/* Does the command only keep the container alive: tail -f /dev/null, however it is spelt? */
bool entrypoint_is_keep_alive(const char *const *argv);

/* agent --addr ADDR --keep-alive -- command…, or for one that only keeps alive the agent by itself. NULL-ended; free
 * with entrypoint_free. */
char **entrypoint_forward(const char *agent, const char *addr, const char *const *argv);
/* The same with --callback URL. */
char **entrypoint_reverse(const char *agent, const char *url, const char *const *argv);
void entrypoint_free(char **argv);

/* The words as one line that a shell reads as they are. malloc'd. */
char *entrypoint_quote(const char *const *argv);

#endif
