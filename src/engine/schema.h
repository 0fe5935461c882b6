/* The bodies that requests may have, as types for util/decode.h: every field of
 * API 1.55 (and the few older ones that are still read), under its own name. */
#ifndef SOCKERLESS_ENGINE_SCHEMA_H
#define SOCKERLESS_ENGINE_SCHEMA_H

#include "util/decode.h"

extern const struct decode_type schema_container_create; /* Config with HostConfig and NetworkingConfig */
extern const struct decode_type schema_container_update; /* Resources with RestartPolicy */
extern const struct decode_type schema_exec_create;
extern const struct decode_type schema_exec_start;
extern const struct decode_type schema_volume_create;
extern const struct decode_type schema_network_create;
extern const struct decode_type schema_network_connect;
extern const struct decode_type schema_network_disconnect;

#endif
