/* A pull from a registry on this host, beside skopeo, which only downloads: run.sh has filled the registry. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

static int pull_once(struct engine *e, const char *image, struct samples *s)
{
	struct http_reply r;
	char path[300];
	uint64_t begin;

	snprintf(path, sizeof(path), "/images/%s:1", image);
	http_once(e->socket, "DELETE", path, NULL, &r);
	snprintf(path, sizeof(path), "/images/create?fromImage=%s&tag=1", image);
	begin = now_ns();
	if (http_once(e->socket, "POST", path, NULL, &r) != 200)
		return -1;
	samples_add(s, now_ns() - begin);
	snprintf(path, sizeof(path), "/images/%s:1/json", image);
	return http_once(e->socket, "GET", path, NULL, &r) == 200 ? 0 : -1;
}

static int copy_once(struct bench *b, const char *image, struct samples *s)
{
	char from[300], to[300], remove[320];
	char *argv[] = { "/usr/bin/skopeo", "--insecure-policy", "copy", "--src-tls-verify=false", from, to, NULL };
	uint64_t ns;

	snprintf(from, sizeof(from), "docker://%s:1", image);
	snprintf(to, sizeof(to), "dir:%s/copied", b->dir);
	snprintf(remove, sizeof(remove), "rm -rf '%s/copied'", b->dir);
	if (system(remove) != 0)
		return -1;
	ns = run_program(NULL, argv);
	if (ns)
		samples_add(s, ns);
	return ns ? 0 : -1;
}

void bench_pull(struct bench *b)
{
	const char *image = getenv("PULL_IMAGE"); /* host:port/name of what run.sh has put there */
	struct samples ours = { 0 }, theirs = { 0 };
	double limit;

	if (!image || !*image)
		return;
	for (int turn = 0; turn < (b->is_quick ? 5 : 15); turn++)
		if (copy_once(b, image, &theirs) < 0 || pull_once(&b->engines[0], image, &ours) < 0)
			break;
	for (int i = 1; i < b->n; i++)
		b->engines[i].is_missing = true;
	limit = (double)samples_at(&theirs, 50) / 1e6;
	row_take(&b->engines[0], &ours, 1e6);
	row_print(b, "pull of 100 MB in 4 layers", "ms", limit);
	row_note("the limit is skopeo copy into a directory, which unpacks nothing: %.0f ms (%.0f at best)", limit,
		 (double)samples_at(&theirs, 0) / 1e6);
	for (int i = 1; i < b->n; i++)
		b->engines[i].is_missing = false;
	samples_done(&ours);
	samples_done(&theirs);
}
