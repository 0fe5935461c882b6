/* Blobs between a registry and files DIR/<64 digits>: a download goes to "<64 digits>.part" while its digest is
 * computed, and gets its name when that is right. What a broken download left is gone on with. */
#ifndef SOCKERLESS_FETCH_BLOB_H
#define SOCKERLESS_FETCH_BLOB_H

#include "fetch/endpoint.h"
#include "fetch/manifest.h"

/* Blocks until the blob is there, telling its progress by events when `is_told`. What is there already is not asked for.
 * `d->size` < 0: not known. At most `max` bytes. */
int blob_download(const struct session *s, struct endpoint *e, struct http *h, const struct descriptor *d, int64_t max,
		  bool is_told, struct error *err);

/* A small one (a config) into memory, verified: *ret is to be freed with buf_done, also after an error. */
int blob_get(const struct session *s, struct endpoint *e, struct http *h, const struct descriptor *d, size_t max,
	     struct buf *ret, struct error *err);

#endif
