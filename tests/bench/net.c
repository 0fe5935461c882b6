/* Bytes through a connection between two processes of a container, beside TCP over the loopback natively. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"

enum { BLOCK = 65536, PORT = 9123 };

static void write_all(int fd, uint64_t bytes)
{
	static char block[BLOCK];

	for (uint64_t done = 0; done < bytes;) {
		ssize_t n = write(fd, block, BLOCK);

		if (n <= 0)
			_exit(1);
		done += (uint64_t)n;
	}
	_exit(0);
}

/* As `dd bs=64k` at both ends. The time, or 0. */
uint64_t tcp_native(uint64_t bytes)
{
	static char block[BLOCK];
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint64_t begin = now_ns(), got = 0;
	ssize_t n;
	pid_t pid;

	if (bind(listener, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(listener, 1) < 0 ||
	    getsockname(listener, (struct sockaddr *)&a, &len) < 0)
		return 0;
	pid = fork();
	if (pid == 0)
		write_all(accept(listener, NULL, NULL), bytes);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		while ((n = read(fd, block, BLOCK)) > 0)
			got += (uint64_t)n;
	close(fd);
	close(listener);
	waitpid(pid, NULL, 0);
	return got >= bytes ? now_ns() - begin : 0;
}

void bench_net(struct bench *b)
{
	uint64_t bytes = b->is_quick ? 512u << 20 : 2048u << 20;
	struct samples s[ENGINES_MAX] = { 0 }, tcp = { 0 };
	char cmd[500], what[100];

	snprintf(cmd, sizeof(cmd),
		 "[\"sh\",\"-c\",\"tcpsvd 127.0.0.1 %d dd if=/dev/zero bs=64k count=%lu 2>/dev/null & "
		 "until nc 127.0.0.1 %d -e dd of=/dev/null bs=64k 2>/dev/null; do sleep 0.01; done; kill $!; echo ok\"]",
		 PORT, (unsigned long)(bytes / BLOCK), PORT);
	for (int turn = 0; turn < 3; turn++) {
		uint64_t t = tcp_native(bytes);

		if (t)
			samples_add(&tcp, t);
		for (int i = 0; i < b->n; i++) {
			t = now_ns();
			if (engine_exec(&b->engines[i], b->engines[i].running, cmd) >= 3)
				samples_add(&s[i], now_ns() - t);
		}
	}
	for (int i = 0; i < b->n; i++)
		row_take(&b->engines[i], &s[i], 1e6);
	snprintf(what, sizeof(what), "%lu MB from process to process", (unsigned long)(bytes >> 20));
	row_print(b, what, "ms", (double)samples_at(&tcp, 50) / 1e6);
	row_note("the limit is TCP over the loopback, natively, in the same run");
	for (int i = 0; i < b->n; i++)
		samples_done(&s[i]);
	samples_done(&tcp);
}
