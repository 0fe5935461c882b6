/* A cloud that is none: a thread in which tasks come up, write a line now and then, and end. What matters is that it
 * answers late, from another thread, and outlives the servers that speak with it. Every call may come from any thread. */
#ifndef CLOUD_H
#define CLOUD_H

enum cloud_news { CLOUD_RUNNING, CLOUD_FAILED, CLOUD_LINE, CLOUD_ENDED };

/* `tell` is called from the cloud's thread: what has become of task `id`. Lines end in a newline. */
void cloud_open(void (*tell)(const char *id, enum cloud_news what, int code, const char *line));
void cloud_close(void);

/* Begins a task: RUNNING or FAILED (a command that begins with "fail") is told later. "exit N" ends with that code,
 * "echo …" writes its words and ends, all else writes "tick 1", "tick 2", … until it is stopped. */
void cloud_run(const char *id, const char *command);
/* ENDED is told later, with 128 + signo. 0: there is no such task that runs. */
int cloud_stop(const char *id, int signo);
int cloud_is_running(const char *id);
/* The last n lines of its log, or all of it (-1). */
void cloud_logs(const char *id, int n, void (*each)(void *arg, const char *line), void *arg);
void cloud_delete(const char *id);

#endif
