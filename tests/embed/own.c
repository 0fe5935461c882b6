#include "own.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int count;

struct own {
	struct sockerless_sink *sink;
	struct own *container; /* of an exec: its main process */
	char *what;
	int has_ended;
};

int own_count(void)
{
	return count;
}

static void end(struct own *p, int code)
{
	if (p->has_ended)
		return;
	p->has_ended = 1;
	sockerless_sink_exited(p->sink, code);
}

static void say(struct own *p, int stream, const char *text)
{
	sockerless_sink_output(p->sink, stream, text, strlen(text));
}

/* Everything is told from within the slot: the server must bring it into order. */
static int begin(const struct sockerless_process_spec *spec, struct sockerless_sink *sink, struct own *container,
		 void **ret_process, struct sockerless_error *err)
{
	const char *what = spec->argv[0];
	struct own *p;

	if (strcmp(what, "refuse") == 0) {
		snprintf(err->message, sizeof(err->message), "not today");
		sockerless_sink_failed(sink, 127, "never told");
		return -EIO;
	}
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	count++;
	p->sink = sink;
	p->container = container;
	p->what = strdup(what);
	*ret_process = p;
	if (strcmp(what, "lost") == 0) {
		sockerless_sink_failed(sink, 127, "lost on the way");
		return 0;
	}
	say(p, 1, "before the start: not to be heard\n");
	sockerless_sink_started(sink, 4242);
	say(p, 1, container ? "exec" : "main");
	for (size_t i = 0; spec->argv[i]; i++) {
		say(p, 1, " ");
		say(p, 1, spec->argv[i]);
	}
	say(p, 1, "\n");
	say(p, 2, "complaint\n");
	if (strcmp(what, "oom") == 0) {
		sockerless_sink_oom(sink);
		end(p, 137);
	} else if (strcmp(what, "sleep") != 0 && strcmp(what, "cat") != 0) {
		end(p, spec->argv[1] ? atoi(spec->argv[1]) : 0);
		say(p, 1, "after the end: not to be heard\n");
	}
	return 0;
}

static int start(void *ctx, const struct sockerless_process_spec *spec, struct sockerless_sink *sink,
		 void **ret_process, struct sockerless_error *err)
{
	(void)ctx;
	if (strncmp(spec->container_name, "own", 3) != 0)
		return SOCKERLESS_DECLINED;
	return begin(spec, sink, NULL, ret_process, err);
}

static int start_exec(void *ctx, void *main_process, const struct sockerless_process_spec *spec,
		      struct sockerless_sink *sink, void **ret_process, struct sockerless_error *err)
{
	(void)ctx;
	if (strcmp(spec->argv[0], "decline") == 0)
		return SOCKERLESS_DECLINED;
	return begin(spec, sink, main_process, ret_process, err);
}

static int kill_process(void *ctx, void *process, int signo, struct sockerless_error *err)
{
	(void)ctx, (void)err;
	if (signo == SIGUSR2)
		return SOCKERLESS_DECLINED;
	end(process, 128 + signo);
	return 0;
}

static int freeze(void *ctx, void *process, struct sockerless_answer *answer, struct sockerless_error *err)
{
	(void)ctx, (void)process, (void)err;
	sockerless_answer_done(answer);
	return 0;
}

static int thaw(void *ctx, void *process, struct sockerless_answer *answer, struct sockerless_error *err)
{
	static int attempts;

	(void)ctx, (void)process, (void)err;
	if (attempts++ % 2 == 0)
		sockerless_answer_failed(answer, -EAGAIN, "frozen fast");
	else
		sockerless_answer_done(answer);
	return 0;
}

static int top(void *ctx, void *process, struct sockerless_answer *answer, struct sockerless_error *err)
{
	struct sockerless_process_row row = { .size = sizeof(row), .pid = 7, .command = ((struct own *)process)->what };

	(void)ctx, (void)err;
	sockerless_answer_row(answer, &row);
	row.pid = 8;
	sockerless_answer_row(answer, &row);
	sockerless_answer_done(answer);
	return 0;
}

static int stats(void *ctx, void *process, struct sockerless_answer *answer, struct sockerless_error *err)
{
	struct sockerless_process_stats s = { .size = sizeof(s), .memory_bytes = 8192, .pids = 3 };

	(void)ctx, (void)process, (void)err;
	sockerless_answer_stats(answer, &s);
	sockerless_answer_done(answer);
	return 0;
}

static int update(void *ctx, void *process, const struct sockerless_limits *limits, struct sockerless_error *err)
{
	char text[128];

	(void)ctx, (void)err;
	snprintf(text, sizeof(text), "limits %llu %u %llu\n", (unsigned long long)limits->memory_bytes,
		 limits->pids_max, (unsigned long long)limits->nano_cpus);
	say(process, 1, text);
	return 0;
}

static void cleanup(void *ctx, const char *container_id)
{
	(void)ctx;
	printf("own: %zu removed\n", strlen(container_id));
}

/* ---- stream ---- */

static int write_stdin(void *ctx, void *process, const void *data, size_t len)
{
	(void)ctx;
	sockerless_sink_output(((struct own *)process)->sink, 1, data, len);
	return 0;
}

static void close_stdin(void *ctx, void *process)
{
	(void)ctx;
	if (strcmp(((struct own *)process)->what, "cat") == 0)
		end(process, 0);
}

static void release(void *ctx, void *process)
{
	struct own *p = process;

	(void)ctx;
	count--;
	free(p->what);
	free(p);
}

/* ---- files ---- */

/* The reader keeps its place in the tar: read to its end it must be what was put. */
static int count_tar(int fd)
{
	char buf[4096];
	ssize_t n;
	int blocks = 0;

	while ((n = read(fd, buf, 512)) > 0)
		blocks += n == 512;
	return blocks;
}

static int run_file(void *ctx, void *main_process, const struct sockerless_file_job *job,
		    struct sockerless_answer *answer, struct sockerless_error *err)
{
	static const char header[] = "own-file";
	struct sockerless_path_stat st = { .size = sizeof(st), .name = "file", .size_bytes = 4, .mode = S_IFREG | 0640 };

	(void)ctx, (void)err;
	if (!main_process)
		return SOCKERLESS_DECLINED; /* of one that does not run: the server's own view of its files */
	switch (job->op) {
	case SOCKERLESS_FILE_STAT:
	case SOCKERLESS_FILE_GET:
		if (strcmp(job->path, "/missing") == 0)
			return -ENOENT;
		if (strcmp(job->path, "/later") == 0) {
			sockerless_answer_failed(answer, -ENOENT, NULL);
			return 0;
		}
		sockerless_answer_path(answer, &st);
		if (job->op == SOCKERLESS_FILE_GET) {
			char block[512] = { 0 };

			memcpy(block, header, sizeof(header)); /* no tar, but the bytes that must arrive */
			if (write(job->tar_fd, block, sizeof(block)) != sizeof(block))
				return -EIO;
		}
		break;
	case SOCKERLESS_FILE_PUT: printf("own: put %s, some %d\n", job->path, count_tar(job->tar_fd) > 2); break;
	case SOCKERLESS_FILE_CHANGES:
		sockerless_answer_change(answer, "/a", SOCKERLESS_ADDED);
		sockerless_answer_change(answer, "/d", SOCKERLESS_DELETED);
		break;
	case SOCKERLESS_FILE_SIZE: sockerless_answer_size(answer, 1000, 5000); break;
	case SOCKERLESS_FILE_EXPORT: sockerless_answer_failed(answer, -ENOTSUP, "nothing to export"); return 0;
	}
	sockerless_answer_done(answer);
	return 0;
}

static void closed(void *ctx)
{
	(void)ctx;
	printf("own: closed with %d\n", count);
}

static const struct sockerless_lifecycle_ops lifecycle = {
	.size = sizeof(lifecycle),
	.start = start,
	.signal = kill_process,
	.pause = freeze,
	.unpause = thaw,
	.top = top,
	.stats = stats,
	.update = update,
	.cleanup = cleanup,
};
static const struct sockerless_exec_ops exec = { .size = sizeof(exec), .start = start_exec, .signal = kill_process };
static const struct sockerless_stream_ops stream = {
	.size = sizeof(stream), .write_stdin = write_stdin, .close_stdin = close_stdin, .release = release
};
static const struct sockerless_filesystem_ops filesystem = { .size = sizeof(filesystem), .run = run_file };
static const struct sockerless_driver_ops ops = {
	.size = sizeof(ops),
	.name = "own",
	.lifecycle = &lifecycle,
	.exec = &exec,
	.stream = &stream,
	.filesystem = &filesystem,
	.close = closed,
};

const struct sockerless_driver_ops *own_driver(void)
{
	return &ops;
}
