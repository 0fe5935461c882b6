/* libsockerless: a Docker engine inside your program. All of its public API. */
#ifndef SOCKERLESS_H
#define SOCKERLESS_H

#include <sockerless/base.h>
#include <sockerless/driver.h>
#include <sockerless/process.h>
#include <sockerless/request.h>
#include <sockerless/server.h>
#include <sockerless/store.h>
#include <sockerless/version.h>

#endif
