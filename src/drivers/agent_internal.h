/* What the files of the agent driver share. */
#ifndef SOCKERLESS_DRIVERS_AGENT_INTERNAL_H
#define SOCKERLESS_DRIVERS_AGENT_INTERNAL_H

#include "agent/dialer.h"
#include "agent/handshake.h"
#include "agent/link.h"
#include "agent/registry.h"
#include "drivers/agent.h"
#include "drivers/launchers.h"
#include "drivers/ports.h"
#include "util/buf.h"
#include "util/list.h"

struct agent_driver {
	struct driver base;
	uv_loop_t *loop;
	struct store *store;
	struct agent_registry *registry;
	struct launchers *launchers;
	struct map running;     /* container id → struct agent_container */
	struct list all;        /* those and the ones that are ending */
	unsigned wait_ms, grace_ms;
	char *token, *data_root, *authorities;
	struct tls_context *tls; /* NULL: no agent was dialled with TLS yet */
};

/* One run of a container: its agent, how it is reached, its main process. */
struct agent_container {
	struct list link;
	struct agent_driver *driver;
	char id[ID_LEN + 1];
	struct agent_link *agent;
	struct agent_process *main;
	struct list execs;
	struct list updates;    /* of its limits, under way */
	struct launch *launch;  /* of a launcher's; NULL: another's, or it has ended */
	struct ports *ports;    /* of one that a launcher started on this host; NULL: none */
	struct process_exit exit; /* of the main process, while its launcher still takes the changes */
	char *reason;
	json_t *command;        /* the exec that becomes the main process, should the agent have none */
	struct dial_target target; /* forward */
	struct dialer *dialer;
	uv_timer_t timer; /* the patience with an agent that does not come; the pause before it is dialled again */
	bool is_forward, was_up, is_over, is_launched;
	unsigned pause_ms, wait_ms;
	int leftover_code; /* of execs that are over with the container: killed with it, or lost with its agent */
};

/* A main process, or an exec. */
struct agent_process {
	struct driver_process base;
	struct list link; /* an exec's: of its container */
	struct agent_container *container; /* NULL: it has gone */
	struct agent_session *session;
	struct process_sink sink;
	bool is_main, is_told, is_released, has_begun, is_attach;
	bool wants_eof, is_closed; /* of stdin, before there is a session */
	uint16_t rows, cols;
};

/* agent_run.c */
/* As lifecycle.start; borrows the plan. */
int agent_container_start(struct agent_driver *d, struct container *c, struct run_plan *plan,
			  struct agent_process *main, struct error *err);
void agent_container_end(struct agent_container *ac); /* whatever still runs is killed */
json_t *agent_exec_message(const struct run_spec *spec);
/* Makes its session; failures are told later. */
void agent_process_open(struct agent_process *p, json_t *take_message);
void agent_process_fail(struct agent_process *p, int exit_code, const char *message);

/* agent_update.c */
/* As lifecycle.update. */
int agent_container_update(struct agent_container *ac, const struct limits *limits, driver_done done, void *arg,
			   struct error *err);
void agent_updates_drop(struct agent_container *ac); /* it ends: they fail */

/* agent_files.c */
int agent_files_run(struct driver *d, struct file_job *job, struct error *err);

#endif
