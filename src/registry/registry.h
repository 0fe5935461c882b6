/* Registries, as the daemon deals with them: pulls, pushes, and questions that have one answer. What speaks to them is
 * sockerless-fetch (docs/registry.md), a process for each operation.
 *
 * Loop thread only; nothing blocks. */
#ifndef SOCKERLESS_REGISTRY_REGISTRY_H
#define SOCKERLESS_REGISTRY_REGISTRY_H

#include <stdbool.h>

#include <jansson.h>
#include <uv.h>

#include "image/images.h"
#include "util/error.h"

struct registry;

struct registry_options {
	uv_loop_t *loop;
	struct images *images;
	struct events *events;
	const char *data_root;
	const char *fetch_path;              /* the program */
	const char *const *mirrors, *const *insecure; /* NULL-ended; NULL: none */
};
/* Copies the options. Sweeps downloads that nobody has gone on with for a week. Blocks: start-up. */
int registry_open(const struct registry_options *opt, struct registry **ret, struct error *err);
/* Ends what is under way: every `done` runs, with an error. */
void registry_stop(struct registry *r);
void registry_free(struct registry *r); /* takes NULL; after a stop, and a turn of the loop */

/* What `docker info` tells: a new object. */
json_t *registry_config(const struct registry *r);
/* Checks one as the daemon's options have it: "https://mirror.example" (*ret: normalised, malloc'd), "host:port" or CIDR. */
int registry_check_mirror(const char *url, char **ret, struct error *err);
int registry_check_insecure(const char *text, struct error *err);

/* A name without tag and digest → its registry ("docker.io", "127.0.0.1:5000") and its place there
 * ("library/busybox"). Each malloc'd. */
void registry_split(const char *familiar, char **ret_domain, char **ret_path);
bool registry_is_loopback(const char *domain);

/* ---- one question, one answer: inspect, tags, search, login, download ---- */

struct registry_question;
/* `request`: the operation's own members ("op", …), taken; configuration and `auth` (borrowed; may be NULL) are added.
 * `done` once, later: the "result" event, borrowed, or err. NULL: err tells, `done` never runs. */
struct registry_question *registry_ask(struct registry *r, json_t *take_request, json_t *auth,
				       void (*done)(void *arg, json_t *result, const struct error *err, bool is_unreachable),
				       void *arg, struct error *err);
void registry_question_cancel(struct registry_question *q); /* `done` does not run */

/* ---- a URL into a file ---- */

struct download_result {
	const char *path; /* the receiver's to read and to unlink */
	int64_t bytes;
	const char *digest, *last_modified, *content_type; /* "" when not told */
};
struct registry_download;
/* `bytes_max` 0: 1 TiB. `on_found`: the server has it, and sends. `on_progress`: total -1 when unknown. `done` once, later.
 * NULL: err tells. */
struct registry_download *
registry_download(struct registry *r, const char *url, int64_t bytes_max, void (*on_found)(void *arg),
		  void (*on_progress)(void *arg, int64_t current, int64_t total),
		  void (*done)(void *arg, const struct download_result *result, const struct error *err), void *arg,
		  struct error *err);
void registry_download_cancel(struct registry_download *d); /* `done` does not run */

/* ---- pull ---- */

struct pull_request {
	const char *name; /* familiar, without tag and digest */
	const char *tag, *digest; /* both "": all tags */
	json_t *platform; /* {os, architecture, variant}; borrowed; NULL: ours */
	json_t *auth; /* borrowed; may be NULL */
	/* Each line of progress in Docker's form, taken. `is_passing`: one of many, may be dropped. */
	void (*on_line)(void *arg, json_t *take_line, bool is_passing);
	/* Once, later. `i`: the last image pulled; NULL with err. `is_unreachable`: no registry answered. */
	void (*done)(void *arg, struct image *i, const struct error *err, bool is_unreachable);
	void *arg;
};
struct pull;
/* Copies the request. NULL: err tells. */
struct pull *registry_pull(struct registry *r, const struct pull_request *req, struct error *err);
/* `done` does not run. What has been downloaded stays for the next try. */
void registry_pull_cancel(struct pull *p);

/* ---- push ---- */

struct push_request {
	const char *name, *tag; /* tag "": all of the name's */
	json_t *auth;
	void (*on_line)(void *arg, json_t *take_line, bool is_passing);
	void (*done)(void *arg, const struct error *err);
	void *arg;
};
struct push;
struct push *registry_push(struct registry *r, const struct push_request *req, struct error *err);
void registry_push_cancel(struct push *p);

#endif
