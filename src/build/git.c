#include "build/git.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build/internal.h"
#include "build/remote.h"
#include "rootfs/rootfs.h"
#include "util/alloc.h"
#include "util/buf.h"
#include "util/cleanup.h"

#define CLONE_MAX_BYTES (16ull << 30)
enum { TIME_MAX_MS = 30 * 60 * 1000, MEASURE_MS = 1000, OUTPUT_MAX = 2048, REF_MAX = 250 };

/* ---- the source ---- */

/* git check-ref-format, and what would be an option. An object's name passes, too. */
static bool is_ref(const char *ref)
{
	size_t n = strlen(ref);

	if (n == 0 || n > REF_MAX || ref[0] == '-' || ref[n - 1] == '/' || strstr(ref, "..") || strstr(ref, "@{"))
		return false;
	for (const char *p = ref; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f || strchr("~^:?*[\\+", *p))
			return false;
	return true;
}

static bool has_control(const char *text)
{
	for (; *text; text++)
		if (iscntrl((unsigned char)*text))
			return true;
	return false;
}

int git_source_parse(const char *text, struct git_source *ret, struct error *err)
{
	const char *hash = strchr(text, '#'), *fragment = hash ? hash + 1 : "";
	size_t n = hash ? (size_t)(hash - text) : strlen(text), ref_len = strcspn(fragment, ":");
	bool has_transport = remote_is_url(text) || strncmp(text, "git://", 6) == 0 || strncmp(text, "git@", 4) == 0;
	struct git_source s = { .url = xasprintf("%s%.*s", has_transport ? "" : "https://", (int)n, text),
				.ref = ref_len ? xstrndup(fragment, ref_len) : xstrdup("HEAD"),
				.dir = xstrdup(fragment[ref_len] == ':' ? fragment + ref_len + 1 : "") };
	int r = 0;

	if (!is_ref(s.ref))
		r = error_set_class(err, ERROR_INVALID, "invalid refspec: %.250s", s.ref);
	else if (has_control(s.url) || has_control(s.dir))
		r = error_set_class(err, ERROR_INVALID, "invalid Git URL: it holds control characters");
	if (r < 0)
		git_source_done(&s);
	else
		*ret = s;
	return r;
}

void git_source_done(struct git_source *s)
{
	free(s->url);
	free(s->ref);
	free(s->dir);
	*s = (struct git_source){ 0 };
}

/* ---- the child ---- */

/* $1: the URL, $2: the ref. Its status tells where it ended. Shallow first: a server of plain files cannot do that. */
static const char script[] =
	"exec 2>&1; umask 022; command -v git >/dev/null || exit 70\n"
	"g() { git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c http.lowSpeedLimit=100 -c http.lowSpeedTime=60 \"$@\"; }\n"
	"g init -q --template= . || exit 71\n"
	"g remote add -- origin \"$1\" || exit 72\n"
	"g fetch -q --depth 1 -- origin \"$2\" >/dev/null 2>&1 || g fetch -q -- origin \"$2\" || exit 73\n"
	"g checkout -q --detach FETCH_HEAD || exit 74\n"
	"[ -e .gitmodules ] || exit 0\n"
	"set -- g submodule --quiet update --init --recursive\n"
	"\"$@\" --depth=1 >/dev/null 2>&1 || \"$@\" || exit 75\n";

enum { EXIT_NO_GIT = 70, EXIT_FIRST = 71 };

struct git_fetch {
	uv_process_t process;
	uv_pipe_t out;
	uv_timer_t timer;
	uv_work_t work;
	struct build *build;
	char *dir, *ref;
	void (*then)(struct build *b, const struct error *err);
	char output[OUTPUT_MAX + 1], scrap[4096];
	size_t len;
	unsigned nhandles;
	uint64_t bytes, waited_ms;
	int64_t status;
	int signal;
	bool has_process, has_exited, has_closed_out, is_measuring;
	struct error err; /* why it was killed */
};

static void tell_failure(struct git_fetch *f)
{
	static const char *const what[] = { "failed to init repo", "failed add origin repo", "error fetching",
					    "error checking out", "error initializing submodules" };
	size_t at = (size_t)(f->status - EXIT_FIRST);

	while (f->len && isspace((unsigned char)f->output[f->len - 1]))
		f->len--;
	f->output[f->len] = '\0';
	if (f->status == EXIT_NO_GIT)
		error_set_class(&f->err, ERROR_UNIMPLEMENTED,
				"unable to find 'git': exec: \"git\": executable file not found in $PATH");
	else if (f->status >= EXIT_FIRST && at < ARRAY_SIZE(what))
		error_set(&f->err, -EIO, "%s: %.800s", what[at], f->output);
	else
		error_set(&f->err, -EIO, "git ended with status %d, signal %d: %.800s", (int)f->status, f->signal, f->output);
}

static void on_closed(uv_handle_t *handle)
{
	struct git_fetch *f = handle->data;
	struct error err;
	struct build *b = f->build;
	void (*then)(struct build *b, const struct error *err) = f->then;

	if (--f->nhandles)
		return;
	err = f->err;
	free(f->dir);
	free(f->ref);
	free(f);
	b->git = NULL;
	then(b, err.code ? &err : NULL);
}

static void settle(struct git_fetch *f)
{
	if (!f->has_exited || !f->has_closed_out || f->is_measuring || uv_is_closing((uv_handle_t *)&f->timer))
		return;
	if (!f->err.code && (f->status || f->signal))
		tell_failure(f);
	uv_close((uv_handle_t *)&f->timer, on_closed);
	if (f->has_process)
		uv_close((uv_handle_t *)&f->process, on_closed);
	uv_close((uv_handle_t *)&f->out, on_closed);
}

/* The whole session: what git has started may hold the pipe. */
static void stop(struct git_fetch *f)
{
	if (!f->has_exited)
		kill(-f->process.pid, SIGKILL);
}

static void on_ended(uv_process_t *process, int64_t status, int signal)
{
	struct git_fetch *f = process->data;

	stop(f);
	f->has_exited = true;
	f->status = status;
	f->signal = signal;
	settle(f);
}

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
	struct git_fetch *f = handle->data;

	(void)hint;
	*buf = uv_buf_init(f->scrap, sizeof(f->scrap));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct git_fetch *f = stream->data;
	size_t room = OUTPUT_MAX - f->len, taken;

	if (n < 0) {
		f->has_closed_out = true;
		uv_read_stop(stream);
		settle(f);
		return;
	}
	taken = (size_t)n < room ? (size_t)n : room;
	memcpy(f->output + f->len, buf->base, taken);
	f->len += taken;
}

/* ---- what it may cost ---- */

static void measure(uv_work_t *work)
{
	struct git_fetch *f = container_of(work, struct git_fetch, work);
	CLEANUP(closep) int fd = -1;
	struct rootfs *fs;
	uint64_t total;

	if (context_view(f->dir, false, &fs, &fd, NULL) < 0)
		return;
	rootfs_usage(fs, &total, &f->bytes);
	rootfs_free(fs);
}

static void on_measured(uv_work_t *work, int status)
{
	struct git_fetch *f = container_of(work, struct git_fetch, work);

	(void)status;
	f->is_measuring = false;
	if (f->bytes > CLONE_MAX_BYTES && !f->err.code) {
		error_set(&f->err, -EFBIG, "error fetching: the repository has more than %llu bytes",
			  (unsigned long long)CLONE_MAX_BYTES);
		stop(f);
	}
	settle(f);
}

static void on_timer(uv_timer_t *timer)
{
	struct git_fetch *f = timer->data;

	f->waited_ms += MEASURE_MS;
	if (f->waited_ms >= TIME_MAX_MS && !f->err.code) {
		error_set(&f->err, -ETIMEDOUT, "error fetching: no end after %d minutes", TIME_MAX_MS / 60000);
		stop(f);
	}
	if (f->is_measuring || f->has_exited)
		return;
	f->is_measuring = true;
	uv_queue_work(f->build->engine->loop, &f->work, measure, on_measured);
}

/* ---- start ---- */

enum { ENVIRONMENT_MAX = 24 };

/* No configuration but the system's, no question to anybody, no transport but these; proxies as the daemon has them. */
static void make_environment(struct git_fetch *f, char *env[ENVIRONMENT_MAX])
{
	static const char *const ours[] = { "GIT_TERMINAL_PROMPT=0",    "GIT_CONFIG_GLOBAL=/dev/null",
					    "GIT_ASKPASS=false",        "GIT_ALLOW_PROTOCOL=http:https:git:ssh",
					    "GIT_PROTOCOL_FROM_USER=0", "GIT_SSH_COMMAND=ssh -oBatchMode=yes",
					    "GIT_LFS_SKIP_SMUDGE=1",    "LC_ALL=C" };
	static const char *const passed[] = { "PATH",     "http_proxy", "https_proxy", "HTTPS_PROXY",   "no_proxy",
					      "NO_PROXY", "all_proxy",  "ALL_PROXY",   "SSL_CERT_FILE", "SSL_CERT_DIR" };
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		env[n++] = xstrdup(ours[i]);
	for (size_t i = 0; i < ARRAY_SIZE(passed); i++)
		if (getenv(passed[i]))
			env[n++] = xasprintf("%s=%s", passed[i], getenv(passed[i]));
	env[n++] = xasprintf("HOME=%s", f->dir);
	env[n] = NULL;
}

static int spawn(struct git_fetch *f, const char *url)
{
	char *argv[] = { "sh", "-c", (char *)script, "sh", (char *)url, f->ref, NULL }, *env[ENVIRONMENT_MAX];
	uv_stdio_container_t stdio[3] = { { .flags = UV_IGNORE },
					  { .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&f->out },
					  { .flags = UV_IGNORE } };
	uv_process_options_t opt = { .exit_cb = on_ended,
				     .file = "/bin/sh",
				     .args = argv,
				     .env = env,
				     .cwd = f->dir,
				     .flags = UV_PROCESS_DETACHED,
				     .stdio_count = 3,
				     .stdio = stdio };
	int r;

	make_environment(f, env);
	r = uv_spawn(f->build->engine->loop, &f->process, &opt);
	for (size_t i = 0; env[i]; i++)
		free(env[i]);
	return r;
}

void git_fetch_start(struct build *b, const struct git_source *s, const char *name,
		     void (*then)(struct build *b, const struct error *err))
{
	struct git_fetch *f = b->git = xnew(struct git_fetch);
	uv_loop_t *loop = b->engine->loop;
	int r;

	f->build = b;
	f->then = then;
	f->ref = xstrdup(s->ref);
	f->dir = xasprintf("%s/%s", b->dir, name);
	uv_pipe_init(loop, &f->out, 0);
	uv_timer_init(loop, &f->timer);
	f->process.data = f->out.data = f->timer.data = f;
	r = mkdir(f->dir, 0755) < 0 ? -errno : 0;
	f->has_process = r == 0; /* it is a handle to be closed also when uv_spawn fails */
	f->nhandles = 2 + f->has_process;
	if (r == 0)
		r = spawn(f, s->url);
	if (r < 0) {
		error_set(&f->err, r, "git cannot be started: %s", strerror(-r));
		f->has_exited = f->has_closed_out = true;
		settle(f);
		return;
	}
	uv_timer_start(&f->timer, on_timer, MEASURE_MS, MEASURE_MS);
	uv_read_start((uv_stream_t *)&f->out, on_alloc, on_read);
}

void git_fetch_cancel(struct git_fetch *f)
{
	if (!f)
		return;
	if (!f->err.code)
		error_set(&f->err, -ECANCELED, "Build cancelled");
	stop(f);
}

/* ---- the checkout ---- */

static int find_dir(const char *checkout, const char *dir, char **ret, struct error *err)
{
	CLEANUP(closep) int fd = -1;
	char real[BUILD_PATH_MAX];
	struct rootfs_file f;
	struct rootfs *fs;
	ssize_t n;
	int r = context_view(checkout, false, &fs, &fd, err);

	if (r < 0)
		return r;
	r = rootfs_open(fs, NULL, NULL, dir, O_PATH | O_CLOEXEC, 0, &f);
	if (r < 0) {
		rootfs_free(fs);
		return error_set(err, r, "error setting git context, stat %.300s: %s", dir, error_text(-r));
	}
	if (S_ISDIR(f.st.mode)) {
		n = rootfs_dir_path(f.dir, real, sizeof(real));
		r = n < 0 ? error_set(err, (int)n, "error setting git context, %.300s: %s", dir, error_text((int)-n)) : 0;
		if (r == 0)
			*ret = xasprintf("%s%s", checkout, strcmp(real, "/") ? real : "");
	} else {
		r = error_set(err, -ENOTDIR, "error setting git context, not a directory: %.300s", dir);
	}
	rootfs_file_done(&f);
	rootfs_free(fs);
	return r;
}

int git_take_checkout(const char *checkout, const char *dir, const char *to, bool keeps_git, struct error *err)
{
	CLEANUP(closep) int fd = open(checkout, O_PATH | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(freep) char *from = *dir ? NULL : xstrdup(checkout);

	if (fd >= 0 && !keeps_git)
		rootfs_remove_tree(fd, ".git");
	if (!from && find_dir(checkout, dir, &from, err) < 0)
		return err->code;
	return rename(from, to) < 0 ? error_set(err, -errno, "error setting git context: %s", strerror(errno)) : 0;
}
