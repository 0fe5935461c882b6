/* Signals by name and number, and docker kill. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <strings.h>

#include "engine/internal.h"
#include "util/cleanup.h"

static const struct {
	const char *name;
	int number;
} signals[] = {
	{ "HUP", SIGHUP },   { "INT", SIGINT },     { "QUIT", SIGQUIT }, { "ILL", SIGILL },   { "TRAP", SIGTRAP },
	{ "ABRT", SIGABRT }, { "BUS", SIGBUS },     { "FPE", SIGFPE },   { "KILL", SIGKILL }, { "USR1", SIGUSR1 },
	{ "SEGV", SIGSEGV }, { "USR2", SIGUSR2 },   { "PIPE", SIGPIPE }, { "ALRM", SIGALRM }, { "TERM", SIGTERM },
	{ "CHLD", SIGCHLD }, { "CONT", SIGCONT },   { "STOP", SIGSTOP }, { "TSTP", SIGTSTP }, { "TTIN", SIGTTIN },
	{ "TTOU", SIGTTOU }, { "URG", SIGURG },     { "XCPU", SIGXCPU }, { "XFSZ", SIGXFSZ }, { "VTALRM", SIGVTALRM },
	{ "PROF", SIGPROF }, { "WINCH", SIGWINCH }, { "IO", SIGIO },     { "PWR", SIGPWR },   { "SYS", SIGSYS },
};

int signal_number(const char *name)
{
	char *end;
	long n = strtol(name, &end, 10);

	if (*name && !*end)
		return n >= 1 && n <= 64 ? (int)n : -EINVAL;
	if (strncasecmp(name, "SIG", 3) == 0)
		name += 3;
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		if (strcasecmp(signals[i].name, name) == 0)
			return signals[i].number;
	return -EINVAL;
}

int crun_signal(struct crun *run, int signo, struct error *err)
{
	struct driver_process *p = run->process;

	if (!p)
		return error_set(err, -ESRCH, "the container's process has ended");
	return p->owner->ops->lifecycle->signal(p->owner, run->container, p, signo, err);
}

void crun_tell_kill(struct crun *run, int signo)
{
	engine_container_event(run->engine, run->container, "kill", json_pack("{s:o}", "signal", json_sprintf("%d", signo)));
}

void engine_container_kill(struct engine *e, struct container *c, const char *signal, engine_done done, void *arg)
{
	int signo = signal && *signal ? signal_number(signal) : SIGKILL;
	struct error err = { 0 };
	int r = 0;

	if (signo < 0)
		r = error_set_class(&err, ERROR_INVALID, "invalid signal: %.100s", signal);
	else if (!container_is_live(c))
		r = error_set_class(&err, ERROR_CONFLICT, "cannot kill container: %s: container %s is not running",
				    c->name, c->id);
	else
		r = crun_signal(crun_of(e, c), signo, &err);
	if (r == 0)
		crun_tell_kill(crun_of(e, c), signo);
	engine_later(e, done, arg, r < 0 ? &err : NULL);
}
