#include "sandbox/kernel/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "network/netwire.h"
#include "sandbox/kernel/cgroup.h"
#include "sandbox/kernel/limits.h"
#include "sandbox/kernel/nursery.h"
#include "sandbox/kernel/view.h"
#include "util/alloc.h"
#include "util/list.h"

/* A process that the daemon asked for. */
struct spawned {
	struct list link;
	uint64_t tag;
	pid_t pid;
	int report_fd;       /* -1: told */
	bool has_tty;
	uint32_t tty_number; /* as /dev/pts/N of the container */
	bool is_main, has_started;
	struct proc_slot *slot;
};

static struct {
	struct container container;
	struct wire_message setup_message; /* setup's strings point into it */
	struct wire_setup setup;
	bool is_set_up, is_paused;
	bool has_oom; /* the limit of memory has killed somebody */
	int sock, broker_sock, signal_fd;
	struct list spawned;
} sv;

static void tell(uint32_t type, uint64_t tag, struct buf *fields)
{
	if (wire_send(sv.sock, type, tag, fields, NULL, 0) < 0 && type != WIRE_DONE)
		exit(1); /* the daemon is gone: the kernel of on_daemon_gone runs at EOF */
	buf_done(fields);
}

static void tell_done(uint64_t tag, int error)
{
	struct buf b;

	buf_init(&b, WIRE_MAX_BYTES);
	wire_put_u32(&b, (uint32_t)-error);
	tell(WIRE_DONE, tag, &b);
}

/* ---- the end ---- */

static void tell_exited(struct spawned *p, int status, uint32_t flags)
{
	struct buf b;

	if (p->is_main)
		flags = WIRE_EXIT_MAIN | (sv.has_oom ? WIRE_EXIT_OOM : 0);
	buf_init(&b, WIRE_MAX_BYTES);
	wire_put_u32(&b, (uint32_t)status);
	wire_put_u32(&b, flags);
	tell(WIRE_EXITED, p->tag, &b);
}

static _Noreturn void end_container(struct spawned *main_process, int status)
{
	descent_kill_all();
	cgroup_remove_own(); /* before the end is told: then nothing of the container is left */
	list_for_each(it, &sv.spawned) {
		struct spawned *p = container_of(it, struct spawned, link);

		if (p != main_process && p->has_started)
			tell_exited(p, SIGKILL, WIRE_EXIT_WITH_MAIN);
	}
	tell_exited(main_process, status, 0);
	exit(0);
}

/* The limits' own words (limits.h). */
void supervisor_on_oom(void)
{
	struct buf b;

	sv.has_oom = true;
	buf_init(&b, WIRE_MAX_BYTES);
	tell(WIRE_OOM, 0, &b);
}

void supervisor_on_taken_over(void)
{
	list_for_each(it, &sv.spawned) {
		struct spawned *p = container_of(it, struct spawned, link);

		if (p->is_main && p->has_started)
			end_container(p, SIGKILL);
	}
	descent_kill_all();
	exit(0);
}

/* ---- setup ---- */

static int open_device(const char *path, int flags)
{
	return fd_to_floor(open(path, flags | O_CLOEXEC | O_NOCTTY));
}

static int make_broker(void)
{
	int pair[2], on = 1;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	sv.broker_sock = fd_to_floor(pair[0]);
	sv.container.broker_fd = fd_to_floor(pair[1]);
	return 0;
}

/* The net socket stays open for the workers; the pages are mapped, and that is enough. */
static int set_up_network(struct container *c, struct wire_message *m, size_t *first)
{
	if (m->nfds < 4)
		return -EPROTO;
	c->net_fd = m->fds[1];
	c->net_page = mmap(NULL, sizeof(*c->net_page), PROT_READ, MAP_SHARED, m->fds[2], 0);
	c->net_counters = mmap(NULL, sizeof(*c->net_counters), PROT_READ | PROT_WRITE, MAP_SHARED, m->fds[3], 0);
	if (c->net_page == MAP_FAILED || c->net_counters == MAP_FAILED)
		return -errno;
	close(m->fds[2]);
	close(m->fds[3]);
	m->fds[1] = m->fds[2] = m->fds[3] = -1;
	*first = 4;
	return 0;
}

static int set_up(struct wire_message *m)
{
	struct wire_reader r = { .data = m->data, .len = m->len };
	struct container *c = &sv.container;
	size_t first = 1; /* of the mounts' descriptors */
	int err = wire_get_setup(&r, &sv.setup);

	if (err < 0)
		return err;
	if (m->nfds < 1)
		return -EPROTO;
	for (size_t i = 0; i < m->nfds; i++)
		m->fds[i] = fd_to_floor(m->fds[i]);
	c->table = mmap(NULL, sizeof(*c->table), PROT_READ | PROT_WRITE, MAP_SHARED, m->fds[0], 0);
	if (c->table == MAP_FAILED)
		return -errno;
	close(m->fds[0]); /* mapped is enough, for us and for every worker */
	m->fds[0] = -1;
	c->setup = &sv.setup;
	c->net_fd = -1;
	if (sv.setup.has_network) {
		err = set_up_network(c, m, &first);
		if (err < 0)
			return err;
	}
	c->null_fd = open_device("/dev/null", O_RDWR);
	c->zero_fd = open_device("/dev/zero", O_RDWR);
	c->full_fd = open_device("/dev/full", O_RDWR);
	c->urandom_fd = open_device("/dev/urandom", O_RDONLY);
	c->boot_ns = (uint64_t)time(NULL) * 1000000000u;
	if (c->null_fd < 0)
		return -ENODEV;
	limits_set(c, &sv.setup.limits);
	err = make_broker();
	return err < 0 ? err : container_open_view(c, &sv.setup, m->fds + first, m->nfds - first);
}

static void on_setup(struct wire_message *m)
{
	struct buf b;
	int err;

	sv.setup_message = *m; /* kept for the container's life */
	err = sv.is_set_up ? -EALREADY : set_up(&sv.setup_message);
	sv.is_set_up = sv.is_set_up || err == 0;
	buf_init(&b, WIRE_MAX_BYTES);
	wire_put_u32(&b, (uint32_t)-err);
	wire_put_str(&b, err ? strerror(-err) : "");
	wire_put_u32(&b, (uint32_t)getpid());
	tell(WIRE_READY, m->tag, &b);
}

/* ---- processes ---- */

static void tell_started(struct spawned *p, int error, const char *message)
{
	struct buf b;

	buf_init(&b, WIRE_MAX_BYTES);
	wire_put_u32(&b, (uint32_t)-error);
	wire_put_str(&b, message);
	wire_put_u32(&b, p->slot ? (uint32_t)p->slot->vpid : 0);
	wire_put_u32(&b, (uint32_t)p->pid);
	tell(WIRE_STARTED, p->tag, &b);
	p->has_started = error == 0;
}

static void on_report(struct spawned *p)
{
	struct {
		int32_t error;
		char message[240];
	} rep = { .error = -EIO, .message = "the process died before it could start" };

	(void)!read(p->report_fd, &rep, sizeof(rep));
	rep.message[sizeof(rep.message) - 1] = '\0';
	close(p->report_fd);
	p->report_fd = -1;
	tell_started(p, rep.error, rep.error ? rep.message : "");
}

/* The lowest that no terminal of a process of ours has. */
static uint32_t free_tty_number(void)
{
	uint32_t number = 0;
	bool is_taken;

	do {
		is_taken = false;
		list_for_each(it, &sv.spawned) {
			const struct spawned *p = container_of(it, struct spawned, link);

			is_taken = is_taken || (p->has_tty && p->tty_number == number);
		}
		number += is_taken;
	} while (is_taken);
	return number;
}

/* What a worker is made of, from before its fork. */
struct birth {
	const struct wire_spawn *spawn;
	const struct wire_message *message;
	const struct spawned *process;
	int report_fd;
	bool is_walled;
};

static void run_worker(void *arg)
{
	const struct birth *b = arg;
	struct worker_start start = {
		.container = &sv.container,
		.spawn = b->spawn,
		.vpid = (uint32_t)b->process->slot->vpid,
		.slot = b->process->slot,
		.tty_number = b->process->tty_number,
		.is_walled = b->is_walled,
		.report_fd = fd_to_floor(b->report_fd),
	};
	sigset_t none;

	for (int i = 0; i < 3; i++)
		start.stdio[i] = b->message->fds[b->spawn->tty ? 0 : i];
	close(sv.sock);
	close(sv.broker_sock);
	close(sv.signal_fd);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	worker_main(&start);
}

/* Pid 1 becomes subreaper, and some limits are entered from outside the wall; the others are born behind it. */
static pid_t fork_worker(struct birth *b)
{
	pid_t pid = -1;

	b->is_walled = !b->spawn->is_main && !limits_concern_entry(&sv.setup.limits);
	if (b->is_walled)
		pid = nursery_fork(&sv.container, run_worker, b);
	if (pid > 0)
		return pid;
	b->is_walled = false;
	pid = fork();
	if (pid == 0)
		run_worker(b);
	return pid < 0 ? -errno : pid;
}

static int start_process(struct wire_message *m, const struct wire_spawn *s, struct spawned *p)
{
	struct birth b = { .spawn = s, .message = m, .process = p };
	int report[2];

	if (!sv.is_set_up)
		return -ENOTCONN;
	if (!s->argv || !s->argv[0] || m->nfds < (s->tty ? 1u : 3u))
		return -EPROTO;
	p->slot = proctable_claim();
	if (!p->slot)
		return -EAGAIN;
	if (pipe2(report, O_CLOEXEC) < 0)
		return -errno;
	p->report_fd = fd_to_floor(report[0]);
	if (s->tty)
		p->tty_number = free_tty_number();
	p->has_tty = s->tty;
	b.report_fd = report[1];
	p->pid = fork_worker(&b);
	close(report[1]);
	if (p->pid < 0)
		return p->pid;
	p->slot->host_pid = p->pid;
	return 0;
}

static void on_spawn(struct wire_message *m)
{
	struct wire_reader r = { .data = m->data, .len = m->len };
	struct spawned *p = xnew(struct spawned);
	struct wire_spawn s = { 0 };
	int err = wire_get_spawn(&r, &s);

	p->tag = m->tag;
	p->report_fd = -1;
	if (err == 0) {
		p->is_main = s.is_main;
		err = start_process(m, &s, p);
	}
	wire_spawn_done(&s);
	list_append(&sv.spawned, &p->link);
	if (err < 0) {
		tell_started(p, err, strerror(-err));
		proctable_release(p->slot);
		list_remove(&p->link);
		free(p);
	}
}

static struct spawned *spawned_by(pid_t pid, uint64_t tag)
{
	list_for_each(it, &sv.spawned) {
		struct spawned *p = container_of(it, struct spawned, link);

		if (pid ? p->pid == pid : tag ? p->tag == tag : p->is_main)
			return p;
	}
	return NULL;
}

static void on_child(pid_t pid, int status)
{
	struct spawned *p = spawned_by(pid, 0);
	bool has_started;

	if (p && p->report_fd >= 0)
		on_report(p);
	if (p && p->is_main && p->has_started)
		end_container(p, status);
	proctable_release(p ? p->slot : proctable_find_host(pid));
	if (!p)
		return;
	has_started = p->has_started;
	if (has_started)
		tell_exited(p, status, 0);
	list_remove(&p->link);
	if (p->is_main) { /* never started: nothing else can be here */
		descent_kill_all();
		exit(0);
	}
	free(p);
}

static void reap(void)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	(void)!read(sv.signal_fd, &info, sizeof(info));
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		on_child(pid, status);
}

/* ---- signals and pause from outside ---- */

struct sender {
	int signo;
};

static void signal_below(void *arg, pid_t pid)
{
	descent_signal(pid, getpid(), ((struct sender *)arg)->signo);
}

static void on_signal(struct wire_message *m)
{
	struct wire_reader r = { .data = m->data, .len = m->len };
	uint64_t tag = wire_get_u64(&r);
	int signo = (int)wire_get_u32(&r);
	uint32_t flags = wire_get_u32(&r);
	struct spawned *p = spawned_by(0, tag);
	struct sender s = { signo };

	if (r.failed || signo < 0 || signo > 64) {
		tell_done(m->tag, -EINVAL);
		return;
	}
	if (sv.is_paused && signo == SIGCONT) { /* only unpause ends a pause */
		tell_done(m->tag, 0);
		return;
	}
	if (flags & WIRE_SIGNAL_ALL) {
		descent_each(getpid(), false, signal_below, &s);
		tell_done(m->tag, 0);
		return;
	}
	if (!p || p->pid <= 0) {
		tell_done(m->tag, -ESRCH);
		return;
	}
	/* From outside pid 1 does feel KILL and STOP; the rest only with a handler. */
	if (p->slot->vpid != 1 || signo == SIGKILL || signo == SIGSTOP || signo == SIGCONT ||
	    (signo && (p->slot->handled >> (signo - 1) & 1)))
		kill(p->pid, signo);
	tell_done(m->tag, 0);
}

static void on_wake(void)
{
	struct sender s = { SIGNAL_WAKE };

	if (sv.is_set_up)
		descent_each(getpid(), false, signal_below, &s);
}

static void on_pause(struct wire_message *m, bool is_pause)
{
	if (!sv.is_set_up) {
		tell_done(m->tag, -ENOTCONN);
		return;
	}
	if (is_pause)
		freeze_container(&sv.container);
	else
		thaw_container(&sv.container);
	sv.is_paused = is_pause;
	tell_done(m->tag, 0);
}

static void on_limits(struct wire_message *m)
{
	struct wire_reader r = { .data = m->data, .len = m->len };
	struct limits limits;

	wire_get_limits(&r, &limits);
	if (!r.failed && sv.is_set_up)
		limits_set(&sv.container, &limits);
	if (!r.failed && sv.is_set_up)
		sv.setup.limits = limits;
	tell_done(m->tag, r.failed ? -EPROTO : sv.is_set_up ? 0 : -ENOTCONN);
}

/* ---- looking ---- */

/* A slot is written by processes that may be hostile, also while it is read:
 * what is checked is a copy. Answers false where the kernel knows no such process of ours. */
static bool describe(const struct proc_slot *s, struct wire_process *out)
{
	const volatile uint32_t *len = &s->cmdline_len;
	pid_t pid = s->host_pid;
	struct descent_facts f;
	size_t n = *len;

	if (n >= sizeof(out->cmdline))
		n = sizeof(out->cmdline) - 1;
	if (pid <= 1 || !descent_is_below(pid, getpid()) || descent_look(pid, &f) < 0)
		return false;
	*out = (struct wire_process){
		.vpid = (uint32_t)s->vpid,
		.ppid = s->ppid <= 0 ? 0 : (uint32_t)s->ppid,
		.pgid = (uint32_t)s->pgid,
		.sid = (uint32_t)s->sid,
		.uid = s->euid,
		.gid = s->egid,
		.host_pid = (uint32_t)pid,
		.start_ns = s->start_ns,
		.cpu_ns = f.user_ns + f.system_ns,
		.rss_bytes = f.rss_bytes,
		.vsz_bytes = (uint64_t)s->memory_pages * 65536,
		.state = (uint8_t)f.state,
		.tty = s->tty,
	};
	memcpy(out->comm, s->comm, sizeof(out->comm) - 1);
	memcpy(out->cmdline, s->cmdline, n);
	for (size_t i = 0; i + 1 < n; i++)
		if (out->cmdline[i] == '\0')
			out->cmdline[i] = ' ';
	return true;
}

static void on_top(struct wire_message *m)
{
	struct proctable *t = sv.container.table;
	struct wire_process one;
	struct buf b, rows;
	uint32_t n = 0;

	buf_init(&b, WIRE_MAX_BYTES);
	buf_init(&rows, WIRE_MAX_BYTES);
	for (size_t i = 0; t && i < proctable_used(t); i++) {
		if (t->slots[i].state == PROC_FREE || !describe(&t->slots[i], &one))
			continue;
		buf_append(&rows, &one, sizeof(one));
		n++;
	}
	wire_put_u32(&b, n);
	if (rows.len)
		buf_append(&b, rows.data, rows.len);
	buf_done(&rows);
	tell(WIRE_PROCESSES, m->tag, &b);
}

static void add_figures(void *arg, pid_t pid)
{
	struct descent_facts *sum = arg, f;

	if (descent_look(pid, &f) < 0)
		return;
	sum->user_ns += f.user_ns + f.waited_ns;
	sum->system_ns += f.system_ns;
	sum->parent++; /* counts */
}

static void on_stats(struct wire_message *m)
{
	struct descent_facts sum = { 0 };
	struct pressure p = pressure_look(&sv.container, sv.setup.limits.memory_bytes, 0, 0);
	uint64_t peak;
	const struct limits_figures *figures = limits_figures(&peak);
	struct rusage ended;
	struct buf b;

	descent_each(getpid(), false, add_figures, &sum);
	getrusage(RUSAGE_CHILDREN, &ended); /* those that we reaped, and what they had waited for */
	sum.user_ns += (uint64_t)ended.ru_utime.tv_sec * 1000000000u + (uint64_t)ended.ru_utime.tv_usec * 1000u;
	sum.system_ns += (uint64_t)ended.ru_stime.tv_sec * 1000000000u + (uint64_t)ended.ru_stime.tv_usec * 1000u;
	buf_init(&b, WIRE_MAX_BYTES);
	wire_put_u64(&b, sum.user_ns);
	wire_put_u64(&b, sum.system_ns);
	wire_put_u64(&b, p.bytes);
	wire_put_u64(&b, peak > p.bytes ? peak : p.bytes);
	wire_put_u32(&b, (uint32_t)sum.parent);
	wire_put_u64(&b, sv.setup.limits.memory_bytes);
	wire_put_u64(&b, figures->periods);
	wire_put_u64(&b, figures->throttled_periods);
	wire_put_u64(&b, figures->throttled_ns);
	wire_put_u32(&b, figures->oom_kills);
	tell(WIRE_FIGURES, m->tag, &b);
}

/* ---- the loop ---- */

/* True: the message now belongs to the handler. */
static bool dispatch(struct wire_message *m)
{
	switch (m->type) {
	case WIRE_SETUP: on_setup(m); return true;
	case WIRE_SPAWN: on_spawn(m); return false;
	case WIRE_SIGNAL: on_signal(m); return false;
	case WIRE_PAUSE:
	case WIRE_UNPAUSE: on_pause(m, m->type == WIRE_PAUSE); return false;
	case WIRE_TOP: on_top(m); return false;
	case WIRE_STATS: on_stats(m); return false;
	case WIRE_LIMITS: on_limits(m); return false;
	case WIRE_WAKE: on_wake(); return false;
	case WIRE_RECOUNT:
		if (sv.is_set_up)
			rootfs_count_used(sv.container.fs);
		return false;
	default: return false;
	}
}

static void on_daemon(void)
{
	static unsigned char room[WIRE_ROOM_BYTES];
	struct wire_message m;
	int r = wire_recv(sv.sock, room, &m);

	if (r == -EINTR || r == -EAGAIN)
		return;
	if (r <= 0) { /* the daemon is gone, or this is not our protocol */
		descent_kill_all();
		exit(0);
	}
	if (!dispatch(&m))
		wire_message_done(&m);
}

static int make_signal_fd(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGCHLD, SIG_DFL);
	return fd_to_floor(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

static size_t collect(struct pollfd *fds, struct spawned **who, size_t max)
{
	size_t n = 0;

	fds[n++] = (struct pollfd){ sv.sock, POLLIN, 0 };
	fds[n++] = (struct pollfd){ sv.signal_fd, POLLIN, 0 };
	fds[n++] = (struct pollfd){ sv.broker_sock, POLLIN, 0 };
	list_for_each(it, &sv.spawned) {
		struct spawned *p = container_of(it, struct spawned, link);

		if (p->report_fd < 0 || n == max)
			continue;
		who[n] = p;
		fds[n++] = (struct pollfd){ p->report_fd, POLLIN, 0 };
	}
	return n;
}

void supervisor_main(int sock, const char *id)
{
	struct pollfd fds[256];
	struct spawned *who[256];

	list_init(&sv.spawned);
	snprintf(sv.container.id, sizeof(sv.container.id), "%s", id);
	self.container = &sv.container;
	rootfs_set_fd_floor(FD_GUEST_MAX);
	umask(0); /* modes are the guest's business, with its own umask */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	prctl(PR_SET_NAME, "supervisor"); /* in the zygote's session: a session more costs 50 us */
	sv.sock = fd_to_floor(sock);
	sv.broker_sock = -1;
	sv.signal_fd = make_signal_fd();
	signal_install_park();
	signal_wake_ignore(); /* until a worker has its own handler */
	for (;;) {
		size_t n = collect(fds, who, 256);
		int ready = poll(fds, n, sv.is_set_up ? limits_turn(&sv.container) : -1);

		if (ready < 0)
			continue;
		/* Starts are told before ends, wishes come last. */
		for (size_t i = 3; i < n; i++)
			if (fds[i].revents)
				on_report(who[i]);
		if (fds[1].revents)
			reap();
		if (fds[2].revents)
			broker_serve(&sv.container, sv.broker_sock);
		if (fds[0].revents)
			on_daemon();
	}
}
