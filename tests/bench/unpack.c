/* Layers: a tree of 20,000 files unpacked as a root beside GNU tar's extraction of the same archive, as root and as
 * an ordinary user, and such a root cloned beside `cp -al`. Processes take turns, and both write to the same disk. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"

enum { DIRS = 1000, FILES_IN_EACH = 20 };

static uint32_t seed = 20000;

static uint32_t below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed % n;
}

/* Of an image: most files are small, some are not, some directories are deep; text and what does not compress. */
static size_t some_size(void)
{
	uint32_t kind = below(100);

	return kind < 60 ? below(3000) : kind < 95 ? below(20000) : kind < 99 ? below(100000) : below(1000000);
}

static int make_tree(const char *dir)
{
	static char text[1 << 20], noise[1 << 20];
	char path[400];

	for (size_t i = 0; i < sizeof(text); i++) {
		text[i] = "the quick brown fox jumps over the lazy dog\n"[(i + below(3)) % 44];
		noise[i] = (char)below(256);
	}
	for (int d = 0; d < DIRS; d++) {
		int n = snprintf(path, sizeof(path), "%s/usr", dir);

		for (int depth = d % 5; depth >= 0; depth--) {
			mkdir(path, 0755);
			n += snprintf(path + n, sizeof(path) - (size_t)n, "/d%d", depth ? d % (7 * depth) : d);
		}
		mkdir(path, 0755);
		for (int f = 0; f < FILES_IN_EACH; f++) {
			FILE *file;

			snprintf(path + n, sizeof(path) - (size_t)n, "/file-%d.txt", f);
			file = fopen(path, "w");
			if (!file)
				return -1;
			fwrite(below(2) ? text : noise, 1, some_size(), file);
			fclose(file);
		}
	}
	return 0;
}

static uint64_t run_shell(const char *user, const char *script)
{
	char line[1500];

	snprintf(line, sizeof(line), "%s sh -c '%s'", user, script);
	return run_program(NULL, (char *[]){ "/bin/sh", "-c", line, NULL });
}

struct race {
	const char *name, *user, *ours, *theirs; /* scripts: of ours and of the other's */
	double budget;      /* of the other's time */
};

static void run_race(struct bench *b, const struct race *race)
{
	struct samples ours = { 0 }, theirs = { 0 };

	for (int i = b->is_quick ? 3 : 7; i > 0; i--) {
		char reset[400];
		uint64_t t;

		snprintf(reset, sizeof(reset), "cd %s/unpack && rm -rf out-a out-b && install -d %s out-a out-b && sync",
			 b->dir, geteuid() == 0 ? "-o 65534" : "");
		run_shell("", reset);
		t = run_shell(race->user, i % 2 ? race->ours : race->theirs);
		if (t)
			samples_add(i % 2 ? &ours : &theirs, t);
		t = run_shell(race->user, i % 2 ? race->theirs : race->ours);
		if (t)
			samples_add(i % 2 ? &theirs : &ours, t);
	}
	b->engines[0].is_missing = ours.n == 0 || theirs.n == 0;
	for (int i = 1; i < b->n; i++)
		b->engines[i].is_missing = true;
	row_take(&b->engines[0], &ours, 1e6);
	row_print(b, race->name, "ms", (double)samples_at(&theirs, 50) / 1e6 * race->budget);
	samples_done(&ours);
	samples_done(&theirs);
}

void bench_unpack(struct bench *b)
{
	const char *tool = getenv("LAYER_TOOL");
	char script[8][700], dir[200];
	const char *const kinds[] = { "t.tar", "t.tgz" };

	snprintf(dir, sizeof(dir), "%s/unpack", b->dir);
	/* The tool as well: where it was built others may not come. */
	snprintf(script[0], sizeof(script[0]), "mkdir -m 755 %s %s/tree && chmod 711 %s && cp %s %s/tool", dir, dir,
		 b->dir, tool, dir);
	if (!tool || !run_shell("", script[0]))
		return;
	snprintf(script[0], sizeof(script[0]), "%s/tree", dir);
	if (make_tree(script[0]) < 0)
		return;
	snprintf(script[0], sizeof(script[0]), "cd %s && tar -C tree -cf t.tar . && gzip -c t.tar >t.tgz && rm -r tree", dir);
	run_shell("", script[0]);
	for (int i = 0; i < 4; i++) {
		const char *user = i < 2 ? "" : "setpriv --reuid=65534 --regid=65534 --clear-groups";
		static const char *const names[] = { "unpack 20,000 files, plain", "unpack 20,000 files, gzip",
						     "the same as an ordinary user, plain",
						     "the same as an ordinary user, gzip" };

		if (i >= 2 && geteuid() != 0)
			break;
		snprintf(script[1], sizeof(script[1]), "exec %s/tool apply %s/out-a <%s/%s", dir, dir, dir, kinds[i % 2]);
		snprintf(script[2], sizeof(script[2]), "exec tar -C %s/out-b -xf %s/%s", dir, dir, kinds[i % 2]);
		run_race(b, &(struct race){ names[i], user, script[1], script[2], 1 / 0.9 });
	}
	row_note("the budget is GNU tar's own time in the same run / 0.9");
	snprintf(script[1], sizeof(script[1]), "mkdir %s/root && exec %s apply %s/root <%s/t.tar", dir, tool, dir, dir);
	run_shell("", script[1]);
	snprintf(script[1], sizeof(script[1]), "exec %s clone %s/root %s/out-a", tool, dir, dir);
	snprintf(script[2], sizeof(script[2]), "exec cp -al %s/root/. %s/out-b/", dir, dir);
	run_race(b, &(struct race){ "clone a root of 20,000 files", "", script[1], script[2], 1 });
	snprintf(script[1], sizeof(script[1]), "exec %s write %s/out-a %s/root >/dev/null", tool, dir, dir);
	snprintf(script[2], sizeof(script[2]), "exec tar -C %s/root -cf - . | cat >/dev/null", dir);
	run_race(b, &(struct race){ "write 20,000 files as a layer", "", script[1], script[2], 1 / 0.9 });
	row_note("the budgets are cp -al and tar -c");
}
