#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"

int engine_connect(struct engine *e)
{
	http_close(&e->http);
	return http_open(&e->http, e->socket);
}

static int expect(struct engine *e, const char *what, int got, int wanted, const struct http_reply *r)
{
	if (got == wanted)
		return 0;
	fprintf(stderr, "bench: %s: %s: %d %.200s\n", e->name, what, got, got > 0 ? r->body : strerror(-got));
	if (got < 0)
		engine_connect(e);
	return -1;
}

int engine_create(struct engine *e, const char *config, char *ret_id, size_t size)
{
	struct http_reply r = { 0 };
	char body[2048];

	snprintf(body, sizeof(body), "{\"Image\":\"busybox\",\"HostConfig\":{\"NetworkMode\":\"none\"},%s}", config);
	if (expect(e, "create", http_do(&e->http, "POST", "/containers/create", body, &r), 201, &r) < 0)
		return -1;
	json_text(r.body, "Id", ret_id, size);
	return 0;
}

static int post(struct engine *e, const char *id, const char *what, int wanted)
{
	struct http_reply r = { 0 };
	char path[256];

	snprintf(path, sizeof(path), "/containers/%s/%s", id, what);
	return expect(e, what, http_do(&e->http, "POST", path, NULL, &r), wanted, &r);
}

int engine_start(struct engine *e, const char *id)
{
	return post(e, id, "start", 204);
}

int engine_wait(struct engine *e, const char *id)
{
	return post(e, id, "wait", 200);
}

int engine_remove(struct engine *e, const char *id)
{
	struct http_reply r = { 0 };
	char path[256];

	snprintf(path, sizeof(path), "/containers/%s?force=1&v=1", id);
	return expect(e, "remove", http_do(&e->http, "DELETE", path, NULL, &r), 204, &r);
}

int64_t engine_exec(struct engine *e, const char *id, const char *cmd)
{
	struct http_reply r = { 0 };
	struct http c = { .fd = -1 };
	char path[256], body[2048], exec[80];
	int64_t n = -1;

	snprintf(path, sizeof(path), "/containers/%s/exec", id);
	snprintf(body, sizeof(body), "{\"AttachStdout\":true,\"AttachStderr\":true,\"Cmd\":%s}", cmd);
	if (expect(e, "exec", http_do(&e->http, "POST", path, body, &r), 201, &r) < 0)
		return -1;
	json_text(r.body, "Id", exec, sizeof(exec));
	snprintf(path, sizeof(path), "/exec/%s/start", exec);
	if (http_open(&c, e->socket) == 0 && http_hijack(&c, path, "{\"Detach\":false,\"Tty\":false}") == 0)
		n = (int64_t)http_drain(&c);
	http_close(&c);
	return n;
}

uint64_t run_program(const char *host, char *const argv[])
{
	uint64_t before = now_ns();
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		for (int i = 0; i < 3; i++)
			dup2(null, i);
		if (host)
			setenv("DOCKER_HOST", host, 1);
		execv(argv[0], argv);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status == 0 ? now_ns() - before : 0;
}
