/* Health checks: a container's probes, their results, and what they make of its
 * health (state.health). Loop thread only. */
#ifndef SOCKERLESS_ENGINE_HEALTH_H
#define SOCKERLESS_ENGINE_HEALTH_H

struct crun;

/* The main process runs: its health is "starting", where the container has a check. */
void health_begin(struct crun *run);
/* It has ended or is paused: no probes any more; one that runs is killed. As in Docker it counts as unhealthy then. */
void health_halt(struct crun *run);
/* Its end is certain, but not told yet: what a probe that ends with it comes to says nothing. health_halt follows. */
void health_stop(struct crun *run);
/* It goes on after a pause. */
void health_go_on(struct crun *run);
/* The daemon stops, the drivers are gone. */
void health_abandon(struct crun *run);
void health_free(struct crun *run);

#endif
