/* What the two files of an embedder's driver share: its processes, its answers. */
#ifndef SOCKERLESS_DRIVERS_CUSTOM_INTERNAL_H
#define SOCKERLESS_DRIVERS_CUSTOM_INTERNAL_H

#include "drivers/custom.h"
#include "drivers/public.h"
#include "util/list.h"
#include "util/map.h"

struct custom_driver {
	struct driver base;
	struct driver_ops ops;  /* carries the embedder's name */
	uv_loop_t *loop;
	void *ctx;
	void (*close)(void *ctx);
	struct sockerless_lifecycle_ops lifecycle;
	struct sockerless_exec_ops exec;
	struct sockerless_stream_ops stream;
	struct sockerless_filesystem_ops filesystem;
	struct map running;     /* container id → its main process */
	struct list processes, answers;
};

static inline struct custom_driver *custom_of(struct driver *d)
{
	return (struct custom_driver *)d;
}

/* ---- custom_answer.c ---- */

/* Whom the embedder's answer goes to, from the loop. */
struct sockerless_answer {
	struct list link;
	struct custom_driver *driver;
	uv_timer_t timer;
	bool is_given;
	struct error err;
	void (*deliver)(struct sockerless_answer *a);
	driver_done done;
	void (*rows_done)(void *arg, const struct process_info *rows, size_t n, const struct error *err);
	void (*stats_done)(void *arg, const struct process_figures *f, const struct error *err);
	void *arg;
	struct process_info *rows;
	size_t nrows;
	struct process_figures figures;
	struct file_job *job;
	struct sockerless_file_job public_job;
};

struct sockerless_answer *custom_answer_new(struct custom_driver *d, void (*deliver)(struct sockerless_answer *a), void *arg);
/* The slot has not taken it. */
void custom_answer_drop(struct sockerless_answer *a);
/* The driver goes: whoever waits is told so. */
void custom_answers_end(struct custom_driver *d);

/* The container's main process as the embedder named it; NULL: it does not run here. */
void *custom_running(const struct custom_driver *d, const char *container_id);

int custom_files_run(struct driver *d, struct file_job *job, struct error *err);

#endif
