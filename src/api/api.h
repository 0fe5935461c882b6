/* The Engine API's handlers, each named as its operation, and the shapes that
 * several of them share. Loop thread; handlers answer once, now or later. */
#ifndef SOCKERLESS_API_API_H
#define SOCKERLESS_API_API_H

#include <sockerless/version.h>

#include "engine/engine.h"
#include "http/request.h"
#include "http/route.h"

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

struct image;
struct image_platform;
/* images.c: the image that {name} means; answers 404 or 400 itself and returns NULL. */
struct image *api_find_image(struct request *req);
/* A platform as JSON. ERROR_INVALID. */
int api_parse_platform(const char *text, struct image_platform *ret, struct error *err);
/* Of a parameter that names platforms as JSON: ERROR_INVALID for a bad one, ERROR_NOT_FOUND for another than that of the image
 * {name}. Those that the request's version does not know are not looked at. */
int api_check_platform(struct request *req, const char *key, const struct image *i, struct error *err);
/* The one of `offers` (NULL-ended) that the Accept header names with the highest weight; `fallback` when it names none. */
bool api_accepts(const struct request *req, const char *header, const char *what); /* by its name, with a weight above 0 */
const char *api_negotiate(const struct request *req, const char *const *offers, const char *fallback);
/* What attach, exec and logs send: frames of both outputs, or as it comes. */
const char *api_stream_type(const struct request *req, bool is_mux);
/* h and w; answers 400 itself and returns false. */
bool api_terminal_size(struct request *req, int *ret_rows, int *ret_cols);
/* Measures each and adds SizeRw and SizeRootFs to the reply: an object, or an array in the order of
 * the containers, already of the request's version. Takes both, and the references. */
void api_reply_sized(struct request *req, json_t *take_reply, struct container **take_containers, size_t n);

/* images.c: the body is an archive, or `source` is the URL of one: import_url.c, which copies the options. Both answer. */
void api_image_import(struct request *req, const char *source);
struct image_import_options;
void api_import_url(struct request *req, const char *url, const struct image_import_options *opt);

/* inspect.c */
json_t *view_container_inspect(struct engine *e, struct container *c);
json_t *view_mounts(const struct container *c);

/* networks.c */
json_t *view_networks(struct engine *e, const struct container *c, bool is_whole); /* name → endpoint; the list's form: not whole */
json_t *view_network_settings(struct engine *e, const struct container *c);
struct network;
json_t *view_network(const struct network *n);
json_t *view_network_summary(const struct network *n); /* without what is in it */
json_t *view_ports(struct engine *e, const struct container *c); /* the list's form */

/* views.c; all views are those of the newest version, see versions.h */
json_t *view_container_summary(struct engine *e, struct container *c);
json_t *view_image(struct engine *e, const struct image *i);
json_t *view_image_summary(struct engine *e, const struct image *i, bool is_measured); /* SharedSize */
json_t *view_image_labels(const struct image *i); /* with sockerless.image */
struct volume;
json_t *view_volume(const struct volume *v);

#define HANDLER(name) void name(struct request *req)
HANDLER(AgentPrepare);
HANDLER(SystemPing);
HANDLER(SystemOptions);
HANDLER(SystemVersion);
HANDLER(SystemInfo);
HANDLER(SystemEvents);
HANDLER(SystemAuth);
HANDLER(DistributionInspect);
HANDLER(ImageBuild);
HANDLER(BuildPrune);
HANDLER(BuildCancel);
HANDLER(PluginList);
/* Several operations that have one answer; request_route tells them apart. */
HANDLER(ClusterOperation);
HANDLER(PluginOperation);
HANDLER(PluginInstall);
HANDLER(ExperimentalOperation);
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
HANDLER(ContainerUpdate);
HANDLER(ContainerResize);
HANDLER(ContainerWait);
HANDLER(ContainerDelete);
HANDLER(ContainerPrune);
HANDLER(ContainerAttach);
HANDLER(ContainerAttachWebsocket);
HANDLER(ContainerLogs);
HANDLER(ContainerTop);
HANDLER(ContainerStats);
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
HANDLER(ImageAttestations);
HANDLER(ImageCreate);
HANDLER(ImageCommit);
HANDLER(ImageGet);
HANDLER(ImageGetAll);
HANDLER(ImageLoad);
HANDLER(ImagePush);
HANDLER(ImageSearch);
HANDLER(ImageTag);
HANDLER(ImageDelete);
HANDLER(ImagePrune);
HANDLER(SystemDataUsage);
HANDLER(NetworkList);
HANDLER(NetworkInspect);
HANDLER(NetworkCreate);
HANDLER(NetworkDelete);
HANDLER(NetworkConnect);
HANDLER(NetworkDisconnect);
HANDLER(NetworkPrune);
HANDLER(VolumeList);
HANDLER(VolumeCreate);
HANDLER(VolumeUpdate);
HANDLER(VolumeInspect);
HANDLER(VolumeDelete);
HANDLER(VolumePrune);

#endif
