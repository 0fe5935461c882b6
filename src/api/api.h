/* The Engine API's handlers, each named as its operation, and the shapes that
 * several of them share. Loop thread; handlers answer once, now or later. */
#ifndef SOCKERLESS_API_API_H
#define SOCKERLESS_API_API_H

#include "engine/engine.h"
#include "http/request.h"
#include "http/route.h"

#define SOCKERLESS_VERSION "0.1.0"

/* The one route table. */
extern const struct route api_routes[];
extern const size_t api_route_count;

static inline struct engine *api_engine(const struct request *req)
{
	return request_context(req);
}

/* The container that {name} means; answers 404 or 400 itself and returns NULL. */
struct container *api_container(struct request *req);
/* Answers 204 (or the error) when an engine operation has ended; arg is the request. */
void api_reply_done(void *arg, const struct error *err);

/* views.c */
json_t *view_container_inspect(struct engine *e, struct container *c);
json_t *view_container_summary(struct engine *e, struct container *c, int api_version);
json_t *view_image_summary(struct engine *e, const struct image *i);
struct volume;
json_t *view_volume(const struct volume *v);
char *view_status(const struct container *c); /* "Up 3 minutes", "Exited (0) …"; malloc'd */

#define HANDLER(name) void name(struct request *req)
HANDLER(SystemPing);
HANDLER(SystemOptions);
HANDLER(SystemVersion);
HANDLER(SystemInfo);
HANDLER(SystemEvents);
HANDLER(SystemAuth);
HANDLER(ContainerList);
HANDLER(ContainerCreate);
HANDLER(ContainerInspect);
HANDLER(ContainerStart);
HANDLER(ContainerStop);
HANDLER(ContainerRestart);
HANDLER(ContainerKill);
HANDLER(ContainerPause);
HANDLER(ContainerUnpause);
HANDLER(ContainerRename);
HANDLER(ContainerResize);
HANDLER(ContainerWait);
HANDLER(ContainerDelete);
HANDLER(ContainerPrune);
HANDLER(ContainerAttach);
HANDLER(ContainerLogs);
HANDLER(ContainerTop);
HANDLER(ContainerArchive);
HANDLER(ContainerArchiveInfo);
HANDLER(PutContainerArchive);
HANDLER(ContainerChanges);
HANDLER(ContainerExport);
HANDLER(ContainerExec);
HANDLER(ExecStart);
HANDLER(ExecResize);
HANDLER(ExecInspect);
HANDLER(ImageList);
HANDLER(ImageInspect);
HANDLER(ImageHistory);
HANDLER(ImageCreate);
HANDLER(ImageTag);
HANDLER(ImageDelete);
HANDLER(ImagePrune);
HANDLER(SystemDataUsage);
HANDLER(NetworkList);
HANDLER(NetworkInspect);
HANDLER(VolumeList);
HANDLER(VolumeCreate);
HANDLER(VolumeInspect);
HANDLER(VolumeDelete);
HANDLER(VolumePrune);

#endif
