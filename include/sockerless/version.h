/* The library's version. Before 1.0 a new minor number may change the API. */
#ifndef SOCKERLESS_VERSION_H
#define SOCKERLESS_VERSION_H

#define SOCKERLESS_VERSION_MAJOR 0
#define SOCKERLESS_VERSION_MINOR 1
#define SOCKERLESS_VERSION_PATCH 0
#define SOCKERLESS_VERSION "0.1.0"

#endif
