/* What the program can be asked for: one function an operation. They block, tell by events, and end with the event
 * "result"; an error is told by the caller. */
#ifndef SOCKERLESS_FETCH_OPS_H
#define SOCKERLESS_FETCH_OPS_H

#include "fetch/endpoint.h"
#include "fetch/session.h"

/* Where further lines of standard input come from: what was read beyond the first. */
struct input {
	struct buf buf;
	bool is_at_end;
};

struct run {
	const struct session *session;
	struct http *http;
	struct input *input;
	bool is_unreachable; /* set when no registry answered */
};

int op_pull(struct run *run, struct error *err);
int op_config(struct run *run, struct error *err);
int op_push(struct run *run, struct error *err);
int op_check(struct run *run, struct error *err);
int op_inspect(struct run *run, struct error *err);
int op_tags(struct run *run, struct error *err);
int op_search(struct run *run, struct error *err);
int op_login(struct run *run, struct error *err);
int op_download(struct run *run, struct error *err);

/* Opens the addresses in turn until `use` succeeds with one; mirrors may fail, the registry itself may not. `use` may keep
 * the endpoint by setting *e to NULL. */
int run_endpoints(struct run *run, bool is_pull,
		  int (*use)(struct run *run, struct endpoint **e, void *arg, struct error *err), void *arg,
		  struct error *err);

/* The next line of standard input, without its end, in input->buf (to be consumed by input_consume). 1: a line; 0: none
 * yet and `is_blocking` false, or the end. */
int input_line(struct input *in, bool is_blocking, size_t *ret_len);
void input_consume(struct input *in, size_t len);

#endif
