/* Runs one command in a sandbox without a daemon: what the sandbox's own tests use.
 *
 *   sandbox-run [-tnNxD] [-a LANDLOCK_ABI] [-f DIR] [-u UID] [-w DIR] SANDBOX_PROGRAM LOWER UPPER COMMAND [ARGUMENT...]
 *
 * -f binds the file DIR/file onto /bound. -n drops the second wall in the drilled build.
 * -N gives it a network of its own: loopback, and one network with nobody else on it; -D leaves that network once the
 * command has made the file /leave.
 * -x runs the command as an exec beside a main process that is `attack stand-by` (of the drilled build).
 * Standard streams are the command's own; exits with its exit code. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "network/switch.h"
#include "sandbox/client.h"

enum { LEAVE_LOOK_MS = 20 };

static int result = 125;
static int streams[3] = { 0, 1, 2 };
static struct wire_spawn spawn;
static bool is_exec; /* the main process is there only for it */
static struct sandbox *sandbox;
static struct sandbox_container *container;
static struct net_switch *net_switch;
static struct netns *netns;
static uv_timer_t leave_timer;
static int upper = -1;

static void on_ready(void *ctx, const struct sandbox_ready *ready)
{
	(void)ctx;
	if (ready->error)
		fprintf(stderr, "sandbox-run: setup: %s\n", ready->message);
}

static void wake(void *arg)
{
	(void)arg;
	sandbox_container_wake(container);
}

static void on_leave(uv_timer_t *t)
{
	if (faccessat(upper, "leave", F_OK, 0) < 0)
		return;
	uv_timer_stop(t);
	netns_detach(netns, "test");
}

/* fds: the net socket and the pages. */
static int make_network(int fds[3], struct error *err)
{
	const struct netns_endpoint ep = { .network_id = "test",
					   .network_name = "test",
					   .mac = { 2, 0x42, 172, 17, 0, 2 },
					   .ip4 = { 172, 17, 0, 2 },
					   .ip4_prefix = 16,
					   .gateway4 = { 172, 17, 0, 1 },
					   .is_internal = true };
	int r = net_switch_new(uv_default_loop(), NULL, &net_switch, err);

	if (r < 0)
		return r;
	netns = netns_new(net_switch, NETNS_PRIVATE, "0000000000000000000000000000000000000000000000000000000000000000");
	r = netns_attach(netns, &ep, err);
	if (r < 0)
		return r;
	netns_add_waker(netns, wake, NULL);
	fds[0] = netns_open_socket(netns, err);
	fds[1] = netns_page_fd(netns);
	fds[2] = netns_counters_fd(netns);
	return fds[0] < 0 ? fds[0] : 0;
}

static void finish(void)
{
	uv_timer_stop(&leave_timer);
	netns_unref(netns);
	net_switch_free(net_switch);
	sandbox_container_free(container);
	sandbox_stop(sandbox, NULL, NULL);
}

static void start_exec(void);

static void on_started(void *ctx, const struct sandbox_started *started)
{
	(void)ctx;
	if (!started->error) {
		if (is_exec && spawn.is_main)
			start_exec();
		return;
	}
	fprintf(stderr, "sandbox-run: %s\n", started->message);
	result = started->error == -2 ? 127 : 126;
	finish();
}

static void on_exited(void *ctx, int status, uint32_t flags)
{
	(void)ctx, (void)flags;
	result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	finish();
}

static const struct sandbox_process_events events = { .on_started = on_started, .on_exited = on_exited };

static int start(struct error *err)
{
	uint64_t tag;

	return sandbox_container_spawn(container, &spawn, streams, spawn.tty ? 1 : 3, &events, NULL, &tag, err);
}

static const char *const *exec_argv;

static void start_exec(void)
{
	struct error err = { 0 };

	spawn.is_main = false;
	spawn.argv = exec_argv;
	if (start(&err) < 0) {
		fprintf(stderr, "sandbox-run: %s\n", err.message);
		finish();
	}
}

int main(int argc, char **argv)
{
	static const char *const stand_by[] = { "attack", "stand-by", "0", "/", NULL };
	const char *env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
			      "TERM=xterm", NULL };
	struct wire_mount mounts[] = {
		{ .kind = 0, .target = "/", .has_lower = true, .has_upper = true },
		{ .kind = 3, .target = "/proc", .which = "proc" },
		{ .kind = 3, .target = "/dev", .which = "dev" },
		{ .kind = 2, .target = "/bound", .fd_name = "file", .has_fd = true, .is_bind = true },
	};
	struct wire_setup setup = { .id = "test", .hostname = "sandbox", .mounts = mounts, .nmounts = 3 };
	struct sandbox_options options = { 0 };
	struct error err = { 0 };
	const char *bound = NULL;
	bool is_to_leave = false;
	int all[6], *dirs = all, c;
	size_t ndirs = 2;

	spawn = (struct wire_spawn){ .is_main = true, .env = env, .cwd = "/" };
	while ((c = getopt(argc, argv, "+tnNxDa:c:f:m:p:u:w:")) != -1) {
		if (c == 't')
			spawn.tty = true;
		else if (c == 'n')
			setup.drop_walls = true; /* obeyed by the drilled build only */
		else if (c == 'N')
			setup.has_network = true;
		else if (c == 'x')
			is_exec = true;
		else if (c == 'D')
			is_to_leave = true;
		else if (c == 'a')
			setup.landlock_abi_max = (uint32_t)atoi(optarg);
		else if (c == 'f')
			bound = optarg;
		else if (c == 'c') { /* percent of a processor */
			setup.limits.cpu_period_ns = 100000000;
			setup.limits.cpu_quota_ns = (uint64_t)atoi(optarg) * 1000000;
		} else if (c == 'm')
			setup.limits.memory_bytes = strtoull(optarg, NULL, 10);
		else if (c == 'p')
			setup.limits.pids_max = (uint32_t)atoi(optarg);
		else if (c == 'u')
			spawn.uid = spawn.gid = (uint32_t)atoi(optarg);
		else if (c == 'w')
			spawn.cwd = optarg;
		else
			return 2;
	}
	uv_timer_init(uv_default_loop(), &leave_timer);
	if (argc - optind < 4)
		return 2;
	options.program = argv[optind];
	if (setup.has_network) {
		if (make_network(all, &err) < 0) {
			fprintf(stderr, "sandbox-run: %s\n", err.message);
			return 125;
		}
		if (is_to_leave)
			uv_timer_start(&leave_timer, on_leave, LEAVE_LOOK_MS, LEAVE_LOOK_MS);
		dirs = all + 3;
		ndirs += 3;
	}
	dirs[0] = open(argv[optind + 1], O_PATH | O_DIRECTORY | O_CLOEXEC);
	dirs[1] = open(argv[optind + 2], O_PATH | O_DIRECTORY | O_CLOEXEC);
	upper = open(argv[optind + 2], O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (bound) {
		dirs[2] = open(bound, O_PATH | O_DIRECTORY | O_CLOEXEC);
		setup.nmounts = 4;
		ndirs++;
	}
	exec_argv = (const char *const *)argv + optind + 3;
	spawn.argv = is_exec ? stand_by : exec_argv;
	if (sandbox_start(uv_default_loop(), &options, &sandbox, &err) < 0 ||
	    sandbox_container_new(sandbox, "test", NULL, NULL, &container, &err) < 0 ||
	    sandbox_container_setup(container, &setup, all, ndirs, on_ready, NULL, &err) < 0 || start(&err) < 0) {
		fprintf(stderr, "sandbox-run: %s\n", err.message);
		return 125;
	}
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	return result;
}
