/* Signals by name and number, and docker kill. */
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <strings.h>

#include "engine/health.h"
#include "engine/internal.h"
#include "util/alloc.h"
#include "util/cleanup.h"

static const struct {
	const char *name;
	int number;
} signals[] = {
	{ "HUP", SIGHUP },       { "INT", SIGINT },       { "QUIT", SIGQUIT },   { "ILL", SIGILL },
	{ "TRAP", SIGTRAP },     { "ABRT", SIGABRT },     { "BUS", SIGBUS },     { "FPE", SIGFPE },
	{ "KILL", SIGKILL },     { "USR1", SIGUSR1 },     { "SEGV", SIGSEGV },   { "USR2", SIGUSR2 },
	{ "PIPE", SIGPIPE },     { "ALRM", SIGALRM },     { "TERM", SIGTERM },   { "CHLD", SIGCHLD },
	{ "CONT", SIGCONT },     { "STOP", SIGSTOP },     { "TSTP", SIGTSTP },   { "TTIN", SIGTTIN },
	{ "TTOU", SIGTTOU },     { "URG", SIGURG },       { "XCPU", SIGXCPU },   { "XFSZ", SIGXFSZ },
	{ "VTALRM", SIGVTALRM }, { "PROF", SIGPROF },     { "WINCH", SIGWINCH }, { "IO", SIGIO },
	{ "PWR", SIGPWR },       { "SYS", SIGSYS },       { "CLD", SIGCHLD },    { "IOT", SIGABRT },
	{ "POLL", SIGIO },       { "STKFLT", SIGSTKFLT },
};

enum { RTMIN = 34, RTMAX = 64 }; /* the kernel's range without what the C library keeps, as Docker counts */

/* "RTMIN", "RTMIN+3", "RTMAX-1"; each half is named from its own end. */
static int realtime_number(const char *name)
{
	bool is_min = strncasecmp(name, "RTMIN", 5) == 0;
	char *end;
	long n;

	if (!is_min && strncasecmp(name, "RTMAX", 5) != 0)
		return -EINVAL;
	name += 5;
	if (!*name)
		return is_min ? RTMIN : RTMAX;
	if (*name != (is_min ? '+' : '-') || !isdigit((unsigned char)name[1]))
		return -EINVAL;
	n = strtol(name + 1, &end, 10);
	if (*end || n < 1 || n > (is_min ? 15 : 14))
		return -EINVAL;
	return (int)(is_min ? RTMIN + n : RTMAX - n);
}

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
	return realtime_number(name);
}

int crun_signal(struct crun *run, int signo, struct error *err)
{
	struct driver_process *p = run->process;

	if (!p)
		return error_set(err, -ESRCH, "the container's process has ended");
	return p->owner->ops->lifecycle->signal(p->owner, run->container, p, signo, err);
}

static void tell_kill(struct crun *run, int signo)
{
	engine_container_event(run->engine, run->container, "kill", json_pack("{s:o}", "signal", json_sprintf("%d", signo)));
}

/* KILL, and the container's own stop signal; any signal where it names none (moby: killWithSignal). */
static bool is_to_end(const struct container *c, int signo)
{
	const char *own = json_string_value(json_object_get(c->config, "StopSignal"));

	return !own || !*own || signo == SIGKILL || signal_number(own) == signo;
}

int crun_kill(struct crun *run, int signo, struct error *err)
{
	struct container *c = run->container;
	bool is_waiting = c->state.status == CONTAINER_RESTARTING;
	int r;

	if (!run->engine->is_stopping) { /* else it is the daemon's end, not the container's */
		c->state.is_manually_stopped = true;
		containers_save(&run->engine->containers, c);
	}
	if (is_to_end(c, signo)) {
		restart_cancel(run);
		if (c->state.status == CONTAINER_PAUSED) /* it cannot hear: it goes on, then ends */
			engine_container_unpause(run->engine, c, NULL, NULL);
	}
	if (is_waiting)
		return 0;
	r = crun_signal(run, signo, err);
	if (r < 0 && r != -ESRCH)
		return r;
	if (signo == SIGKILL)
		health_stop(run);
	tell_kill(run, signo);
	return 0;
}

/* ---- docker kill ---- */

struct killing {
	struct engine *engine;
	struct container *container;
	int signo;
	engine_done done;
	void *arg;
};

/* The reply to KILL tells the end. Nobody waits for that of one that would not take it. */
static void kill_running(const struct killing *k, struct crun *run)
{
	bool is_last = k->signo == SIGKILL;
	struct error err = { 0 };
	int r;

	if (is_last)
		waiters_add(&run->stop_waits, k->done, k->arg);
	r = crun_kill(run, k->signo, &err);
	if (r < 0 && is_last)
		waiters_drop(&run->stop_waits, k->done, k->arg);
	if (r < 0 || !is_last)
		engine_later(k->engine, k->done, k->arg, r < 0 ? &err : NULL);
}

/* `start_error` says nothing. */
static void kill_now(void *arg, const struct error *start_error)
{
	struct killing *k = arg;
	struct container *c = k->container;
	struct error err = { 0 };

	(void)start_error;
	if (crun_is_starting(c)) {
		waiters_add(&crun_of(k->engine, c)->after_start, kill_now, k);
		return;
	}
	if (container_is_live(c)) {
		kill_running(k, crun_of(k->engine, c));
	} else {
		error_set_class(&err, ERROR_CONFLICT, "container %s is not running", c->id);
		engine_later(k->engine, k->done, k->arg, &err);
	}
	container_unref(c);
	free(k);
}

void engine_container_kill(struct engine *e, struct container *c, const char *signal, engine_done done, void *arg)
{
	int signo = signal && *signal ? signal_number(signal) : SIGKILL;
	struct error err = { 0 };
	struct killing *k;

	if (signo < 0) {
		error_set_class(&err, ERROR_INVALID, "invalid signal: %.100s", signal);
		engine_later(e, done, arg, &err);
		return;
	}
	k = xnew(struct killing);
	*k = (struct killing){ e, container_ref(c), signo, done, arg };
	kill_now(k, NULL);
}
