/* The sandbox's messages: what goes in comes out, and nothing that a hostile
 * peer sends is read past its end, believed in its counts, or kept open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sandbox/wire.h"

static unsigned char room[WIRE_ROOM_BYTES];

static struct wire_mount mounts[] = {
	{ .kind = 0, .target = "/", .has_lower = true, .has_upper = true },
	{ .kind = 3, .target = "/proc", .which = "proc", .is_readonly = true },
	{ .kind = 2, .target = "/f", .fd_name = "f", .source = "/src/f", .has_fd = true, .is_bind = true, .size_limit_bytes = 1ull << 40 },
};
static const struct wire_setup setup = { .id = "id",
					 .hostname = "host",
					 .domainname = "",
					 .mounts = mounts,
					 .nmounts = 3,
					 .init = true,
					 .limits.memory_bytes = UINT64_MAX,
					 .limits.pids_max = 7,
					 .limits.cpu_quota_ns = 50000000,
					 .limits.cpu_period_ns = 100000000,
					 .limits.cpus = { 5 } };
static const char *const argv[] = { "sh", "-c", "", NULL }, *const env[] = { "A=b", NULL };
static const uint32_t groups[] = { 1, UINT32_MAX };
static const struct wire_rlimit rlimits[] = { { 7, 1, 2 } };
static const struct wire_spawn spawn = {
	.is_main = true,
	.argv = argv,
	.env = env,
	.cwd = "/",
	.program = { .path = "/bin/sh", .interpreter = "/bin/busybox", .prefix = argv, .is_setgid = true, .uid = 8, .gid = 9 },
	.uid = 5,
	.gid = 6,
	.groups = groups,
	.ngroups = 2,
	.rlimits = rlimits,
	.nrlimits = 1,
	.rows = 24,
	.cols = 80
};

static void test_setup_round_trip(void **state)
{
	struct wire_reader r = { 0 };
	struct wire_setup got;
	struct buf b;

	(void)state;
	buf_init(&b, WIRE_MAX_BYTES);
	wire_put_setup(&b, &setup);
	r.data = (const unsigned char *)b.data;
	r.len = b.len;
	assert_int_equal(wire_get_setup(&r, &got), 0);
	assert_string_equal(got.hostname, "host");
	assert_string_equal(got.domainname, "");
	assert_int_equal(got.nmounts, 3);
	assert_null(got.mounts[0].which);
	assert_string_equal(got.mounts[2].fd_name, "f");
	assert_int_equal(got.mounts[2].size_limit_bytes, 1ull << 40);
	assert_true(got.limits.memory_bytes == UINT64_MAX && got.init && got.limits.pids_max == 7);
	wire_setup_done(&got);
	buf_done(&b);
}

static void test_spawn_round_trip(void **state)
{
	struct wire_reader r = { 0 };
	struct wire_spawn got;
	struct buf b;

	(void)state;
	buf_init(&b, WIRE_MAX_BYTES);
	wire_put_spawn(&b, &spawn);
	r.data = (const unsigned char *)b.data;
	r.len = b.len;
	assert_int_equal(wire_get_spawn(&r, &got), 0);
	assert_string_equal(got.argv[1], "-c");
	assert_null(got.argv[3]);
	assert_string_equal(got.program.path, "/bin/sh");
	assert_string_equal(got.program.interpreter, "/bin/busybox");
	assert_string_equal(got.program.prefix[1], "-c");
	assert_true(got.program.is_setgid && !got.program.is_setuid && got.program.uid == 8 && got.program.gid == 9);
	assert_int_equal(got.groups[1], UINT32_MAX);
	assert_int_equal(got.rlimits[0].hard, 2);
	assert_int_equal(got.cols, 80);
	wire_spawn_done(&got);
	buf_done(&b);
}

/* Exact-size copies, so that a sanitizer sees the first byte too far. */
static void read_both(const void *data, size_t len)
{
	unsigned char *copy = malloc(len ? len : 1);
	struct wire_reader r = { .data = copy, .len = len };
	struct wire_setup s;
	struct wire_spawn p;

	memcpy(copy, data, len);
	if (wire_get_setup(&r, &s) == 0)
		wire_setup_done(&s);
	r = (struct wire_reader){ .data = copy, .len = len };
	if (wire_get_spawn(&r, &p) == 0)
		wire_spawn_done(&p);
	free(copy);
}

static uint32_t next_random(void)
{
	static uint32_t x = 2463534242u;

	x ^= x << 13;
	x ^= x >> 17;
	return x ^= x << 5;
}

static void mutate(struct buf *whole)
{
	static const uint32_t edges[] = { 0, 1, 2, 0x7fffffff, 0x80000000, 0xffffffff, 65536, 5 };
	unsigned char *copy = malloc(whole->len);

	for (size_t len = 0; len < whole->len; len++)
		read_both(whole->data, len);
	for (int i = 0; i < 20000; i++) {
		memcpy(copy, whole->data, whole->len);
		for (uint32_t k = next_random() % 4 + 1; k > 0; k--) {
			size_t at = next_random() % (whole->len - 4);

			if (next_random() % 2)
				memcpy(copy + at / 4 * 4, &edges[next_random() % 8], 4);
			else
				copy[at] = (unsigned char)next_random();
		}
		read_both(copy, whole->len - next_random() % 3);
	}
	free(copy);
}

static void test_mutated_fields(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, WIRE_MAX_BYTES);
	wire_put_setup(&b, &setup);
	mutate(&b);
	buf_done(&b);
	buf_init(&b, WIRE_MAX_BYTES);
	wire_put_spawn(&b, &spawn);
	mutate(&b);
	buf_done(&b);
}

static void test_strings_mean_one_thing(void **state)
{
	static const unsigned char inner_nul[] = { 4, 0, 0, 0, 'a', 0, 'b', 0 }, no_nul[] = { 2, 0, 0, 0, 'a', 'b' };
	struct wire_reader r = { .data = inner_nul, .len = sizeof(inner_nul) };

	(void)state;
	assert_null(wire_get_str(&r));
	assert_true(r.failed);
	r = (struct wire_reader){ .data = no_nul, .len = sizeof(no_nul) };
	assert_null(wire_get_str(&r));
	assert_true(r.failed);
}

/* ---- transport ---- */

struct pair {
	int fd[2];
};

static int make_pair(void **state)
{
	static struct pair p;

	*state = &p;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, p.fd);
}

static int close_pair(void **state)
{
	struct pair *p = *state;

	close(p->fd[0]);
	close(p->fd[1]);
	return 0;
}

static void test_large_fields_travel(void **state)
{
	struct pair *p = *state;
	struct wire_message m;
	struct buf b;

	buf_init(&b, WIRE_MAX_BYTES);
	for (uint32_t i = 0; i < 50000; i++)
		wire_put_u32(&b, i);
	assert_int_equal(wire_send(p->fd[0], 9, 10, &b, &p->fd[0], 1), 0);
	assert_int_equal(wire_recv(p->fd[1], room, &m), 1);
	assert_true(m.type == 9 && m.tag == 10 && m.len == b.len && m.nfds == 1);
	assert_memory_equal(m.data, b.data, b.len);
	wire_message_done(&m);
	buf_done(&b);
	assert_int_equal(wire_recv(p->fd[1], room, &m), -EAGAIN);
}

static int open_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Raw bytes with fds, as a peer that has been taken over would send. */
static void send_raw(int sock, const void *data, size_t len, const int *fds, size_t nfds)
{
	struct iovec iov = { (void *)data, len };
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int) * 8)];
	} control = { 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nfds) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		control.head = (struct cmsghdr){ CMSG_LEN(sizeof(int) * nfds), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.head), fds, sizeof(int) * nfds);
	}
	assert_int_equal(sendmsg(sock, &msg, 0), len);
}

struct raw_header {
	uint32_t magic;
	uint16_t version, flags;
	uint32_t type, size;
	uint64_t tag;
};

static void test_hostile_packets(void **state)
{
	static const struct raw_header good = { 0x736b6c77u, WIRE_VERSION, 0, WIRE_DONE, 0, 1 };
	struct pair *p = *state;
	struct wire_message m;
	int zero = open("/dev/zero", O_RDONLY), before = open_descriptors(), three[3] = { zero, zero, zero };
	struct raw_header h;

	h = good;
	h.magic++;
	send_raw(p->fd[0], &h, sizeof(h), three, 3);
	assert_int_equal(wire_recv(p->fd[1], room, &m), -EPROTO);
	h = good;
	h.size = 1; /* more than came */
	send_raw(p->fd[0], &h, sizeof(h), three, 3);
	assert_int_equal(wire_recv(p->fd[1], room, &m), -EPROTO);
	h = good;
	h.flags = 2;
	send_raw(p->fd[0], &h, sizeof(h), NULL, 0);
	assert_int_equal(wire_recv(p->fd[1], room, &m), -EPROTO);
	send_raw(p->fd[0], &h, 3, three, 1);
	assert_int_equal(wire_recv(p->fd[1], room, &m), -EPROTO);
	h = good;
	h.flags = 1; /* fields in a file: without one, in a device, in one that is shorter */
	h.size = 100000;
	send_raw(p->fd[0], &h, sizeof(h), NULL, 0);
	assert_int_equal(wire_recv(p->fd[1], room, &m), -EPROTO);
	send_raw(p->fd[0], &h, sizeof(h), three, 2);
	assert_int_equal(wire_recv(p->fd[1], room, &m), -EPROTO);
	three[0] = memfd_create("short", MFD_CLOEXEC);
	before++;
	assert_int_equal(ftruncate(three[0], 99999), 0);
	send_raw(p->fd[0], &h, sizeof(h), three, 1);
	assert_int_equal(wire_recv(p->fd[1], room, &m), -EPROTO);
	assert_int_equal(open_descriptors(), before);
	close(three[0]);
	close(zero);
}

/* A supervisor tells how its container ended, and ends while a request is on its way to it. */
static void test_last_words_outlive_a_reset(void **state)
{
	int *pair = ((struct pair *)*state)->fd;
	struct wire_message m;
	struct buf b;

	buf_init(&b, WIRE_MAX_BYTES);
	wire_put_u32(&b, 7);
	assert_int_equal(wire_send(pair[0], WIRE_TOP, 1, NULL, NULL, 0), 0); /* never read */
	assert_int_equal(wire_send(pair[1], WIRE_EXITED, 2, &b, NULL, 0), 0);
	buf_done(&b);
	close(pair[1]);
	pair[1] = -1;
	assert_int_equal(wire_recv(pair[0], room, &m), 1);
	assert_int_equal(m.type, WIRE_EXITED);
	wire_message_done(&m);
	assert_int_equal(wire_recv(pair[0], room, &m), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_setup_round_trip),
		cmocka_unit_test(test_spawn_round_trip),
		cmocka_unit_test(test_mutated_fields),
		cmocka_unit_test(test_strings_mean_one_thing),
		cmocka_unit_test_setup_teardown(test_large_fields_travel, make_pair, close_pair),
		cmocka_unit_test_setup_teardown(test_hostile_packets, make_pair, close_pair),
		cmocka_unit_test_setup_teardown(test_last_words_outlive_a_reset, make_pair, close_pair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
