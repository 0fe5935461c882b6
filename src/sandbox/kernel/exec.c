/* execve: which program a path means, and the change into it. The new
 * program's arguments live in host memory until its own memory exists. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "sandbox/kernel/kernel.h"
#include "sandbox/kernel/module.h"
#include "sandbox/program.h"

enum { ARGS_MAX = 32768, ARGS_BYTES_MAX = 2 << 20, AUX_PAIRS = 9 };

/* As much of it as there is room for. Not by printf, whose code and tables are pages that a new process need not have. */
static void put_text(char *out, size_t size, const char *text)
{
	size_t n = strnlen(text, size - 1);

	memcpy(out, text, n);
	out[n] = '\0';
}

/* ---- the image ---- */

static size_t count_of(char *const *v)
{
	size_t n = 0;

	while (v && v[n])
		n++;
	return n;
}

static char **copy_vector(char *const *first, char *const *rest)
{
	size_t a = count_of(first), b = count_of(rest), k = 0;
	char **v = calloc(a + b + 1, sizeof(*v));

	if (!v)
		return NULL;
	for (size_t i = 0; i < a; i++)
		v[k++] = strdup(first[i]);
	for (size_t i = 0; i < b; i++)
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): b is 0 without rest */
		v[k++] = strdup(rest[i]);
	return v;
}

static void free_vector(char **v)
{
	for (size_t i = 0; v && v[i]; i++)
		free(v[i]);
	free(v);
}

/* A shell that runs itself again as an applet names /proc/self/exe: its argv[0] says more. */
static void set_comm(struct exec_image *image, const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;

	if (strcmp(base, "exe") == 0 && image->argv[0]) {
		slash = strrchr(image->argv[0], '/');
		base = slash ? slash + 1 : image->argv[0];
		base += base[0] == '-';
	}
	put_text(image->comm, sizeof(image->comm), base);
}

static int exec_prepare(const char *path, char *const argv[], char *const env[], struct exec_image *ret)
{
	struct program p;
	int r = program_resolve(self.container->fs, process_cred(), self.cwd, path, &p);

	return r < 0 ? r : exec_prepare_found(&p, argv, env, ret);
}

int exec_prepare_known(const struct wire_program *p, char *const argv[], char *const env[], struct exec_image *ret)
{
	char *const *prefix = (char *const *)p->prefix;

	ret->path = strdup(p->interpreter);
	ret->is_setuid = p->is_setuid && !prefix; /* not of scripts, as on Linux */
	ret->is_setgid = p->is_setgid && !prefix;
	ret->uid = p->uid;
	ret->gid = p->gid;
	/* A script: interpreter, its argument, the script in place of argv[0]. */
	ret->argv = prefix ? copy_vector(prefix, argv && argv[0] ? argv + 1 : argv) : copy_vector(argv, NULL);
	ret->env = copy_vector(env, NULL);
	/* A native file whose applet runs in its place: the applet goes by the file's name. */
	if (p->applet_by_name && ret->argv && ret->argv[0]) {
		const char *slash = strrchr(p->interpreter, '/'), *base = slash ? slash + 1 : p->interpreter;

		free(ret->argv[0]);
		ret->argv[0] = strdup(strcmp(base, "bash") ? base : "ash");
	}
	if (ret->path && ret->argv && ret->env) {
		set_comm(ret, p->path);
		return 0;
	}
	free(ret->path);
	free_vector(ret->argv);
	free_vector(ret->env);
	return -ENOMEM;
}

int exec_prepare_found(struct program *take_program, char *const argv[], char *const env[], struct exec_image *ret)
{
	const struct wire_program known = program_told(take_program);
	int r = take_program->kind == PROGRAM_MODULE ? exec_prepare_known(&known, argv, env, ret) : -ENOEXEC;

	program_done(take_program);
	return r;
}

/* ---- entering ---- */

/* argc, argv, 0, envp, 0, auxv as 32-bit words, then the strings. */
static uint32_t write_block(struct exec_image *image, uint32_t at)
{
	size_t argc = count_of(image->argv), envc = count_of(image->env), k = 0;
	size_t words = 1 + argc + 1 + envc + 1 + 2 * AUX_PAIRS + 2;
	uint32_t *block = calloc(words, 4), text = (at + (uint32_t)words * 4 + 15) & ~15u;
	uint32_t aux[2 * AUX_PAIRS] = { 6,  4096,      11, self.ruid,
					12, self.euid, 13, self.rgid,
					14, self.egid, 23, self.ruid != self.euid || self.rgid != self.egid,
					17, 100,       25, text,
					0,  0 };
	unsigned char random[16];

	if (!block || getrandom(random, sizeof(random), 0) != sizeof(random))
		guest_out_of_memory();
	memcpy(guest_base() + text, random, sizeof(random));
	text += sizeof(random);
	block[k++] = (uint32_t)argc;
	for (int pass = 0; pass < 2; pass++) {
		char **v = pass ? image->env : image->argv;

		for (size_t i = 0; v[i]; i++) {
			size_t n = strlen(v[i]) + 1;

			block[k++] = text;
			memcpy(guest_base() + text, v[i], n);
			text += (uint32_t)n;
		}
		block[k++] = 0;
	}
	memcpy(block + k, aux, sizeof(aux));
	memcpy(guest_base() + at, block, words * 4);
	free(block);
	return text;
}

static uint64_t block_bytes(const struct exec_image *image)
{
	uint64_t n = 4096;

	for (size_t i = 0; image->argv[i]; i++)
		n += strlen(image->argv[i]) + 5;
	for (size_t i = 0; image->env[i]; i++)
		n += strlen(image->env[i]) + 5;
	return n;
}

static void keep_environ(const struct exec_image *image)
{
	size_t len = 0, at = 0;

	for (size_t i = 0; image->env[i]; i++)
		len += strlen(image->env[i]) + 1;
	free(self.environ);
	self.environ = malloc(len ? len : 1);
	self.environ_len = self.environ ? len : 0;
	for (size_t i = 0; self.environ && image->env[i]; i++) {
		size_t n = strlen(image->env[i]) + 1;

		memcpy(self.environ + at, image->env[i], n);
		at += n;
	}
}

static void name_process(const struct exec_image *image)
{
	struct proc_slot *s = self.slot;
	size_t n = 0;

	memcpy(s->comm, image->comm, sizeof(s->comm));
	put_text(s->exe, sizeof(s->exe), image->path);
	put_text(self.exe, sizeof(self.exe), image->path);
	for (size_t i = 0; image->argv[i] && n + 1 < sizeof(s->cmdline); i++) {
		size_t len = strlen(image->argv[i]) + 1;

		if (len > sizeof(s->cmdline) - n)
			len = sizeof(s->cmdline) - n;
		memcpy(s->cmdline + n, image->argv[i], len);
		n += len;
	}
	s->cmdline_len = (uint32_t)n;
}

/* Where the argument block goes: behind what the program itself has, in pages that may have to be made. */
static uint64_t instantiate(void)
{
	uint64_t end;

	guest_jump_reset();
	if (prepared_take(&end))
		return end;
	if (self.instance) {
		self.module->release(self.instance);
		free(self.instance);
	}
	self.module = guest_modules[0];
	self.instance = calloc(1, self.module->instance_size);
	if (!self.instance)
		guest_out_of_memory();
	self.module->instantiate(self.instance);
	return self.module->memory(self.instance)->size;
}

void exec_enter(struct exec_image *image)
{
	wasm_rt_memory_t *mem;
	uint64_t block = instantiate(), end;

	mem = self.module->memory(self.instance);
	if (guest_memory_grow_to(mem, block + block_bytes(image)) < 0)
		guest_out_of_memory();
	end = write_block(image, (uint32_t)block);
	name_process(image);
	keep_environ(image);
	free(image->path);
	free_vector(image->argv);
	free_vector(image->env);
	memory_init((uint32_t)end);
	self.slot->memory_pages = mem->pages;
	self.slot->state = PROC_RUNNING;
	self.module->start(self.instance, (uint32_t)block);
	process_exit(0); /* the guest leaves by exit; this is for one that returns */
}

/* ---- the call ---- */

/* A guest vector of strings, copied once. */
static int copy_in_vector(uint64_t addr, char ***ret, size_t *bytes)
{
	char **v = calloc(1, sizeof(*v)), *text = malloc(131072);
	size_t n = 0, size = 1;
	int r = -ENOMEM;

	while (v && text) {
		uint32_t p = 0;
		ssize_t len;

		r = addr ? copy_in(&p, addr + n * 4, 4) : 0;
		if (r < 0 || p == 0)
			break;
		len = copy_in_string(text, p, 131072);
		if (len < 0) {
			r = len == -ENAMETOOLONG ? -E2BIG : (int)len;
			break;
		}
		*bytes += (size_t)len + 1;
		r = -E2BIG;
		if (n >= ARGS_MAX || *bytes > ARGS_BYTES_MAX)
			break;
		if (n + 1 >= size) {
			char **more = realloc(v, (size *= 2) * 2 * sizeof(*v));

			if (!more)
				break;
			v = more;
		}
		v[n++] = strdup(text);
		v[n] = NULL;
	}
	free(text);
	if (r < 0) {
		free_vector(v);
		return r;
	}
	*ret = v;
	return 0;
}

SYS(execve)
{
	static struct exec_image image; /* survives the jump */
	char path[4096], **argv = NULL, **env = NULL;
	size_t bytes = 0;
	ssize_t r = copy_in_string(path, a[0], sizeof(path));

	if (r >= 0)
		r = copy_in_vector(a[1], &argv, &bytes);
	if (r >= 0)
		r = copy_in_vector(a[2], &env, &bytes);
	if (r >= 0)
		r = exec_prepare(path, argv, env, &image);
	free_vector(argv);
	free_vector(env);
	if (r < 0)
		return r;
	fdtable_exec();
	signal_exec();
	process_take_ids(&image);
	worker_restart(&image);
}
