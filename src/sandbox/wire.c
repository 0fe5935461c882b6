/* Codec and transport of the sandbox's messages. Both sides link it, so it
 * stays free of everything but util/buf; policy lives with its callers. */
#include "sandbox/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER_MAGIC 0x736b6c77u
#define MOUNTS_MAX WIRE_MAX_FDS
#define GROUPS_MAX 64
#define RLIMITS_MAX 16

enum { HEADER_IN_MEMFD = 1 };

struct header {
	uint32_t magic;
	uint16_t version, flags;
	uint32_t type;
	uint32_t size; /* of the fields, wherever they are */
	uint64_t tag;
};

/* ---- writers ---- */

/* A cap of zero marks the buffer as failed for all that follows: see wire_send. */
static void put(struct buf *b, const void *data, size_t len)
{
	if (buf_append(b, data, len) < 0)
		b->max = 0;
}

void wire_put_u32(struct buf *b, uint32_t v)
{
	put(b, &v, sizeof v);
}

void wire_put_u64(struct buf *b, uint64_t v)
{
	put(b, &v, sizeof v);
}

/* length + 1 (0: NULL), the bytes, a NUL. */
void wire_put_str(struct buf *b, const char *s)
{
	size_t len;

	if (!s) {
		wire_put_u32(b, 0);
		return;
	}
	len = strlen(s);
	if (len >= WIRE_MAX_BYTES) {
		b->max = 0;
		return;
	}
	wire_put_u32(b, (uint32_t)len + 1);
	put(b, s, len + 1);
}

static void wire_put_strv(struct buf *b, const char *const *v)
{
	uint32_t n = 0;

	while (v && v[n])
		n++;
	wire_put_u32(b, n);
	for (uint32_t i = 0; i < n; i++)
		wire_put_str(b, v[i]);
}

/* ---- readers ---- */

static const void *get(struct wire_reader *r, size_t len)
{
	const void *p;

	if (r->failed || len > r->len - r->pos) {
		r->failed = true;
		return NULL;
	}
	p = r->data + r->pos;
	r->pos += len;
	return p;
}

uint32_t wire_get_u32(struct wire_reader *r)
{
	const void *p = get(r, 4);
	uint32_t v = 0;

	if (p)
		memcpy(&v, p, 4);
	return v;
}

uint64_t wire_get_u64(struct wire_reader *r)
{
	const void *p = get(r, 8);
	uint64_t v = 0;

	if (p)
		memcpy(&v, p, 8);
	return v;
}

static bool get_bool(struct wire_reader *r)
{
	uint32_t v = wire_get_u32(r);

	if (v > 1)
		r->failed = true;
	return v == 1 && !r->failed;
}

const char *wire_get_str(struct wire_reader *r)
{
	uint32_t size = wire_get_u32(r);
	const char *s;

	if (r->failed || size == 0)
		return NULL;
	s = get(r, size);
	/* exactly one NUL, at the end: a string never means two things */
	if (s && memchr(s, '\0', size) != s + size - 1) {
		r->failed = true;
		return NULL;
	}
	return s;
}

/* A string that may not be NULL. */
static const char *get_text(struct wire_reader *r)
{
	const char *s = wire_get_str(r);

	if (!s)
		r->failed = true;
	return s;
}

char **wire_get_strv(struct wire_reader *r)
{
	uint32_t n = wire_get_u32(r);
	char **v;

	/* each string takes 5 bytes at least: bounds the allocation by the message */
	if (r->failed || n > (r->len - r->pos) / 5) {
		r->failed = true;
		return NULL;
	}
	v = calloc((size_t)n + 1, sizeof *v);
	if (!v) {
		r->failed = true;
		return NULL;
	}
	for (uint32_t i = 0; i < n; i++)
		v[i] = (char *)get_text(r);
	if (r->failed) {
		free(v);
		return NULL;
	}
	return v;
}

/* ---- setup ---- */

static void put_mount(struct buf *b, const struct wire_mount *m)
{
	wire_put_u32(b, m->kind);
	wire_put_str(b, m->target);
	wire_put_str(b, m->which);
	wire_put_str(b, m->fd_name);
	wire_put_str(b, m->source);
	wire_put_u32(b, m->has_lower);
	wire_put_u32(b, m->has_upper);
	wire_put_u32(b, m->has_fd);
	wire_put_u32(b, m->is_readonly);
	wire_put_u32(b, m->is_bind);
	wire_put_u64(b, m->size_limit_bytes);
}

static void get_mount(struct wire_reader *r, struct wire_mount *m)
{
	m->kind = wire_get_u32(r);
	m->target = get_text(r);
	m->which = wire_get_str(r);
	m->fd_name = wire_get_str(r);
	m->source = wire_get_str(r);
	m->has_lower = get_bool(r);
	m->has_upper = get_bool(r);
	m->has_fd = get_bool(r);
	m->is_readonly = get_bool(r);
	m->is_bind = get_bool(r);
	m->size_limit_bytes = wire_get_u64(r);
}

void wire_put_limits(struct buf *b, const struct limits *l)
{
	wire_put_u64(b, l->memory_bytes);
	wire_put_u64(b, l->cpu_quota_ns);
	wire_put_u64(b, l->cpu_period_ns);
	wire_put_u32(b, l->pids_max);
	wire_put_u32(b, l->cpu_shares);
	for (size_t i = 0; i < sizeof l->cpus / sizeof *l->cpus; i++)
		wire_put_u64(b, l->cpus[i]);
}

void wire_get_limits(struct wire_reader *r, struct limits *ret)
{
	ret->memory_bytes = wire_get_u64(r);
	ret->cpu_quota_ns = wire_get_u64(r);
	ret->cpu_period_ns = wire_get_u64(r);
	ret->pids_max = wire_get_u32(r);
	ret->cpu_shares = wire_get_u32(r);
	for (size_t i = 0; i < sizeof ret->cpus / sizeof *ret->cpus; i++)
		ret->cpus[i] = wire_get_u64(r);
	if ((ret->cpu_quota_ns == 0) != (ret->cpu_period_ns == 0))
		r->failed = true;
}

void wire_put_setup(struct buf *b, const struct wire_setup *s)
{
	wire_put_str(b, s->id);
	wire_put_str(b, s->hostname);
	wire_put_str(b, s->domainname);
	wire_put_u32(b, s->init);
	wire_put_u32(b, s->is_readonly_root);
	wire_put_u32(b, s->has_network);
	wire_put_u32(b, s->drop_walls);
	wire_put_u32(b, s->landlock_abi_max);
	wire_put_limits(b, &s->limits);
	wire_put_u32(b, (uint32_t)s->nmounts);
	for (size_t i = 0; i < s->nmounts; i++)
		put_mount(b, &s->mounts[i]);
}

int wire_get_setup(struct wire_reader *r, struct wire_setup *ret)
{
	struct wire_setup s = { 0 };
	uint32_t n;

	s.id = get_text(r);
	s.hostname = wire_get_str(r);
	s.domainname = wire_get_str(r);
	s.init = get_bool(r);
	s.is_readonly_root = get_bool(r);
	s.has_network = get_bool(r);
	s.drop_walls = get_bool(r);
	s.landlock_abi_max = wire_get_u32(r);
	wire_get_limits(r, &s.limits);
	n = wire_get_u32(r);
	if (r->failed || n == 0 || n > MOUNTS_MAX)
		goto wrong;
	s.mounts = calloc(n, sizeof *s.mounts);
	if (!s.mounts)
		return -ENOMEM;
	s.nmounts = n;
	for (uint32_t i = 0; i < n; i++)
		get_mount(r, &s.mounts[i]);
	if (r->failed || r->pos != r->len)
		goto wrong;
	*ret = s;
	return 0;
wrong:
	free(s.mounts);
	r->failed = true;
	return -EPROTO;
}

void wire_setup_done(struct wire_setup *s)
{
	free(s->mounts);
	*s = (struct wire_setup){ 0 };
}

/* ---- spawn ---- */

static void put_program(struct buf *b, const struct wire_program *p)
{
	wire_put_str(b, p->path);
	if (!p->path)
		return;
	wire_put_str(b, p->interpreter);
	wire_put_strv(b, p->prefix);
	wire_put_u32(b, p->is_setuid);
	wire_put_u32(b, p->is_setgid);
	wire_put_u32(b, p->applet_by_name);
	wire_put_u32(b, p->uid);
	wire_put_u32(b, p->gid);
}

static void get_program(struct wire_reader *r, struct wire_program *p)
{
	p->path = wire_get_str(r);
	if (!p->path)
		return;
	p->interpreter = get_text(r);
	p->prefix = (const char *const *)wire_get_strv(r);
	if (p->prefix && !p->prefix[0]) {
		free((void *)p->prefix);
		p->prefix = NULL;
	}
	p->is_setuid = get_bool(r);
	p->is_setgid = get_bool(r);
	p->applet_by_name = get_bool(r);
	p->uid = wire_get_u32(r);
	p->gid = wire_get_u32(r);
}

void wire_put_spawn(struct buf *b, const struct wire_spawn *s)
{
	wire_put_u32(b, s->is_main);
	wire_put_u32(b, s->tty);
	wire_put_strv(b, s->argv);
	wire_put_strv(b, s->env);
	wire_put_str(b, s->cwd);
	put_program(b, &s->program);
	wire_put_u32(b, s->uid);
	wire_put_u32(b, s->gid);
	wire_put_u32(b, (uint32_t)s->ngroups);
	for (size_t i = 0; i < s->ngroups; i++)
		wire_put_u32(b, s->groups[i]);
	wire_put_u32(b, (uint32_t)s->nrlimits);
	for (size_t i = 0; i < s->nrlimits; i++) {
		wire_put_u32(b, s->rlimits[i].resource);
		wire_put_u64(b, s->rlimits[i].soft);
		wire_put_u64(b, s->rlimits[i].hard);
	}
	wire_put_u32(b, s->rows);
	wire_put_u32(b, s->cols);
}

static void get_groups(struct wire_reader *r, struct wire_spawn *s)
{
	uint32_t n = wire_get_u32(r);
	uint32_t *groups;

	if (n > GROUPS_MAX || r->failed) {
		r->failed = true;
		return;
	}
	groups = calloc(n ? n : 1, sizeof *groups);
	s->groups = groups;
	if (!groups) {
		r->failed = true;
		return;
	}
	for (s->ngroups = 0; s->ngroups < n; s->ngroups++)
		groups[s->ngroups] = wire_get_u32(r);
}

static void get_rlimits(struct wire_reader *r, struct wire_spawn *s)
{
	uint32_t n = wire_get_u32(r);
	struct wire_rlimit *limits;

	if (n > RLIMITS_MAX || r->failed) {
		r->failed = true;
		return;
	}
	limits = calloc(n ? n : 1, sizeof *limits);
	s->rlimits = limits;
	if (!limits) {
		r->failed = true;
		return;
	}
	for (s->nrlimits = 0; s->nrlimits < n; s->nrlimits++) {
		limits->resource = wire_get_u32(r);
		limits->soft = wire_get_u64(r);
		limits->hard = wire_get_u64(r);
		if (limits->resource >= 16 || limits->soft > limits->hard)
			r->failed = true;
		limits++;
	}
}

int wire_get_spawn(struct wire_reader *r, struct wire_spawn *ret)
{
	struct wire_spawn s = { 0 };
	uint32_t rows, cols;

	s.is_main = get_bool(r);
	s.tty = get_bool(r);
	s.argv = (const char *const *)wire_get_strv(r);
	s.env = (const char *const *)wire_get_strv(r);
	s.cwd = wire_get_str(r);
	get_program(r, &s.program);
	s.uid = wire_get_u32(r);
	s.gid = wire_get_u32(r);
	get_groups(r, &s);
	get_rlimits(r, &s);
	rows = wire_get_u32(r);
	cols = wire_get_u32(r);
	s.rows = (uint16_t)rows;
	s.cols = (uint16_t)cols;
	if (rows > UINT16_MAX || cols > UINT16_MAX || !s.argv || !s.argv[0])
		r->failed = true;
	if (r->failed || r->pos != r->len) {
		wire_spawn_done(&s);
		r->failed = true;
		return -EPROTO;
	}
	*ret = s;
	return 0;
}

void wire_spawn_done(struct wire_spawn *s)
{
	free((void *)s->argv);
	free((void *)s->env);
	free((void *)s->program.prefix);
	free((void *)s->groups);
	free((void *)s->rlimits);
	*s = (struct wire_spawn){ 0 };
}

/* ---- transport ---- */

/* The fields in a memfd, which the reader copies out of. */
static int fields_to_memfd(const struct buf *fields)
{
	int fd = memfd_create("wire", MFD_CLOEXEC);
	size_t done = 0;

	if (fd < 0)
		return -errno;
	while (done < fields->len) {
		ssize_t n = write(fd, fields->data + done, fields->len - done);

		if (n <= 0) {
			int saved = n < 0 ? errno : EIO;

			close(fd);
			return -saved;
		}
		done += (size_t)n;
	}
	return fd;
}

static int send_packet(int sock, const struct header *h, const struct buf *fields, const int *fds, size_t nfds)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * (WIRE_MAX_FDS + 1))];
	} control;
	struct iovec iov[2] = { { (void *)h, sizeof *h }, { 0 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 1 };
	ssize_t n;

	if (fields && fields->len && !(h->flags & HEADER_IN_MEMFD)) {
		iov[1] = (struct iovec){ fields->data, fields->len };
		msg.msg_iovlen = 2;
	}
	if (nfds) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof control);
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
	}
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0) /* ECONNRESET: the peer died with our messages unread */
		return errno == ECONNRESET ? -EPIPE : -errno;
	return 0;
}

int wire_send(int sock, uint32_t type, uint64_t tag, const struct buf *fields, const int *fds, size_t nfds)
{
	struct header h = { .magic = HEADER_MAGIC, .version = WIRE_VERSION, .type = type, .tag = tag };
	int all[WIRE_MAX_FDS + 1];
	int payload, r;

	if (nfds > WIRE_MAX_FDS)
		return -EMSGSIZE;
	if (fields && (fields->max == 0 || fields->len > WIRE_MAX_BYTES))
		return -EMSGSIZE;
	h.size = fields ? (uint32_t)fields->len : 0;
	if (h.size <= WIRE_ROOM_BYTES)
		return send_packet(sock, &h, fields, fds, nfds);

	payload = fields_to_memfd(fields);
	if (payload < 0)
		return payload;
	h.flags = HEADER_IN_MEMFD;
	if (nfds)
		memcpy(all, fds, sizeof(int) * nfds);
	all[nfds] = payload;
	r = send_packet(sock, &h, fields, all, nfds + 1);
	close(payload);
	return r;
}

/* Takes all fds that came, also from messages that are wrong otherwise. */
static void take_fds(struct msghdr *msg, struct wire_message *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			if (m->nfds < WIRE_MAX_FDS + 1)
				m->fds[m->nfds++] = fd;
			else
				close(fd);
		}
	}
}

static int read_memfd(struct wire_message *m, size_t size)
{
	struct stat st;
	int fd;

	if (m->nfds == 0)
		return -EPROTO;
	fd = m->fds[--m->nfds];
	m->data = NULL;
	/* Only memory has seals: nothing whose reading could wait for somebody. */
	if (fcntl(fd, F_GET_SEALS) >= 0 && fstat(fd, &st) == 0 && (uint64_t)st.st_size == size)
		m->data = malloc(size);
	for (m->len = 0; m->data && m->len < size;) {
		ssize_t n = pread(fd, m->data + m->len, size - m->len, (off_t)m->len);

		if (n <= 0)
			break;
		m->len += (size_t)n;
	}
	close(fd);
	return m->data && m->len == size ? 0 : -EPROTO;
}

static int take_fields(struct wire_message *m, const struct header *h, const void *data, size_t len)
{
	if (h->magic != HEADER_MAGIC || h->version != WIRE_VERSION || (h->flags & ~HEADER_IN_MEMFD))
		return -EPROTO;
	m->type = h->type;
	m->tag = h->tag;
	if (h->flags & HEADER_IN_MEMFD) {
		if (len || h->size > WIRE_MAX_BYTES || h->size <= WIRE_ROOM_BYTES)
			return -EPROTO;
		return read_memfd(m, h->size);
	}
	if (len != h->size)
		return -EPROTO;
	if (len == 0)
		return 0;
	m->data = malloc(len);
	if (!m->data)
		return -ENOMEM;
	memcpy(m->data, data, len);
	m->len = len;
	return 0;
}

int wire_recv(int sock, void *room, struct wire_message *ret)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * (WIRE_MAX_FDS + 1))];
	} control;
	struct header h;
	struct iovec iov[2] = { { &h, sizeof h }, { room, WIRE_ROOM_BYTES } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2, .msg_control = &control, .msg_controllen = sizeof control };
	ssize_t n;
	int r;

	ret->type = 0;
	ret->tag = 0;
	ret->data = NULL;
	ret->len = ret->nfds = 0;
	/* ECONNRESET: the other side ended with something of ours unread. It is told once, before what the other
	 * side had said, which is still there to be read; the end comes after that. */
	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0)
		return -errno;
	if (n == 0 && msg.msg_controllen == 0)
		return 0;
	take_fds(&msg, ret);
	if ((size_t)n < sizeof h || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		r = -EPROTO;
	else
		r = take_fields(ret, &h, room, (size_t)n - sizeof h);
	if (r < 0) {
		wire_message_done(ret);
		return r;
	}
	return 1;
}

void wire_message_done(struct wire_message *m)
{
	free(m->data);
	m->data = NULL;
	m->len = 0;
	for (size_t i = 0; i < m->nfds; i++)
		if (m->fds[i] >= 0)
			close(m->fds[i]);
	m->nfds = 0;
}
