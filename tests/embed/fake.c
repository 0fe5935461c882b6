#include "fake.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sockerless/server.h>

static struct sockerless_server *server;
static const char *dir;
static int count;
static int next_number;

struct fake {
	char *name;          /* argv[0] */
	char text[4096];     /* what it says */
	char root[4096];
	int number;
	const struct sockerless_process_listener *listener;
	void *listener_arg;
	void (*exited)(void *arg, int code);
	void *exited_arg;
	int has_ended;
};

int fake_count(void)
{
	return count;
}

static void end(struct fake *f, int code)
{
	if (!f->has_ended && f->exited) {
		f->has_ended = 1;
		f->exited(f->exited_arg, code);
	}
}

static void add(struct fake *f, const char *word)
{
	size_t n = strlen(f->text);

	snprintf(f->text + n, sizeof(f->text) - n, "%s", word);
}

/* ---- a thread that finishes the work of "thread", as a foreign process's waiter would ---- */

static void on_posted(void *arg)
{
	struct fake *f = arg;

	f->listener->output(f->listener_arg, 2, "from a thread\n", 14);
	end(f, 3);
}

static void *work(void *arg)
{
	usleep(20000);
	sockerless_server_post(server, on_posted, arg);
	return NULL;
}

/* ---- the process ---- */

static const void *fake_log_bytes(void *p, size_t *ret_len)
{
	*ret_len = 6;
	(void)p;
	return "early\n";
}

static int fake_subscribe(void *p, const struct sockerless_process_listener *listener, void *arg)
{
	struct fake *f = p;

	f->listener = listener;
	f->listener_arg = arg;
	listener->output(arg, 1, f->text, strlen(f->text));
	return 0;
}

static int fake_wait(void *p, void (*exited)(void *arg, int code), void *arg)
{
	struct fake *f = p;
	pthread_t t;

	f->exited = exited;
	f->exited_arg = arg;
	if (strcmp(f->name, "thread") == 0) {
		pthread_create(&t, NULL, work, f);
		pthread_detach(t);
	} else if (strcmp(f->name, "sleep") != 0 && strcmp(f->name, "cat") != 0 && strcmp(f->name, "stubborn") != 0) {
		end(f, 0);
	}
	return 0;
}

static int fake_signal(void *p, int signo)
{
	if (strcmp(((struct fake *)p)->name, "stubborn") == 0 && signo != SIGUSR1)
		return -EPERM;
	end(p, 128 + signo);
	return 0;
}

static int fake_write_stdin(void *p, const void *data, size_t len)
{
	struct fake *f = p;

	f->listener->output(f->listener_arg, 1, data, len);
	return 0;
}

static void fake_close_stdin(void *p)
{
	if (strcmp(((struct fake *)p)->name, "cat") == 0)
		end(p, 0);
}

static int fake_stats(void *p, struct sockerless_process_stats *ret)
{
	(void)p;
	*ret = (struct sockerless_process_stats){ .size = sizeof(*ret), .cpu_user_ns = 1000, .memory_bytes = 4096, .pids = 1 };
	return 0;
}

static int fake_top(void *p, void (*row)(void *arg, const struct sockerless_process_row *r), void *arg)
{
	struct sockerless_process_row r = { .size = sizeof(r), .pid = 4711, .command = ((struct fake *)p)->name };

	row(arg, &r);
	return 0;
}

static const char *fake_root_path(void *p)
{
	return ((struct fake *)p)->root;
}

static void fake_close(void *p)
{
	count--;
	free(((struct fake *)p)->name);
	free(p);
}

static int make(const struct sockerless_process_spec *spec, const char *what,
		const struct sockerless_container_process_ops **ret_ops, void **ret_process);

static int fake_run_exec(void *p, const struct sockerless_process_spec *spec,
			 const struct sockerless_container_process_ops **ret_ops, void **ret_process,
			 struct sockerless_error *err)
{
	(void)p, (void)err;
	return make(spec, "exec", ret_ops, ret_process);
}

static int fake_shell(void *p, const struct sockerless_process_spec *spec,
		      const struct sockerless_container_process_ops **ret_ops, void **ret_process,
		      struct sockerless_error *err)
{
	(void)p, (void)err;
	return make(spec, "shell", ret_ops, ret_process);
}

static const struct sockerless_container_process_ops process_ops = {
	.size = sizeof(process_ops),
	.wait = fake_wait,
	.signal = fake_signal,
	.log_bytes = fake_log_bytes,
	.subscribe = fake_subscribe,
	.write_stdin = fake_write_stdin,
	.close_stdin = fake_close_stdin,
	.run_exec = fake_run_exec,
	.interactive_shell = fake_shell,
	.stats = fake_stats,
	.top = fake_top,
	.root_path = fake_root_path,
	.close = fake_close,
};

static int make(const struct sockerless_process_spec *spec, const char *what,
		const struct sockerless_container_process_ops **ret_ops, void **ret_process)
{
	struct fake *f = calloc(1, sizeof(*f));
	char path[4200];
	FILE *file;

	if (!f)
		return -ENOMEM;
	count++;
	f->name = strdup(spec->argv[0]);
	f->number = next_number++;
	add(f, what);
	for (size_t i = 0; spec->argv[i]; i++) {
		add(f, " ");
		add(f, spec->argv[i]);
	}
	for (size_t i = 0; spec->mounts && spec->mounts[i]; i++) {
		if (strcmp(spec->mounts[i]->source, "tmpfs") == 0)
			continue;
		add(f, " ");
		add(f, spec->mounts[i]->target);
	}
	add(f, "\n");
	snprintf(f->root, sizeof(f->root), "%s/fake-%d", dir, f->number);
	mkdir(f->root, 0755);
	snprintf(path, sizeof(path), "%s/where", f->root);
	file = fopen(path, "w");
	if (file) {
		fputs("in the fake's root\n", file);
		fclose(file);
	}
	*ret_ops = &process_ops;
	*ret_process = f;
	return 0;
}

static int new_process(void *ctx, const struct sockerless_process_spec *spec,
		       const struct sockerless_container_process_ops **ret_ops, void **ret_process,
		       struct sockerless_error *err)
{
	const char *prefix = ctx;

	if (strncmp(spec->container_name, prefix, strlen(prefix)) != 0)
		return SOCKERLESS_DECLINED;
	if (strcmp(spec->argv[0], "missing") == 0)
		return -ENOENT;
	if (strcmp(spec->argv[0], "broken") == 0) {
		snprintf(err->message, sizeof(err->message), "the fake is broken today");
		return -EIO;
	}
	return make(spec, "main", ret_ops, ret_process);
}

static int is_shell_command(void *ctx, const char *const *argv)
{
	(void)ctx;
	return strcmp(argv[0], "sh") == 0;
}

static void factory_close(void *ctx)
{
	printf("factory for %s is closed\n", (const char *)ctx);
}

const struct sockerless_process_factory_ops *fake_factory(struct sockerless_server *s, const char *root_dir)
{
	static const struct sockerless_process_factory_ops ops = {
		.size = sizeof(ops),
		.name = "fake",
		.new_process = new_process,
		.is_shell_command = is_shell_command,
		.close = factory_close,
	};

	server = s;
	if (*root_dir)
		dir = root_dir;
	return &ops;
}
