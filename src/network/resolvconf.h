/* What a resolv.conf says, and the host's own kept for whoever asks on the loop. */
#ifndef SOCKERLESS_NETWORK_RESOLVCONF_H
#define SOCKERLESS_NETWORK_RESOLVCONF_H

#include <stdint.h>

#include <jansson.h>

#include "util/buf.h"

struct resolvconf {
	json_t *servers;         /* words, addresses or not, in order */
	json_t *search, *options; /* words: the last line of each counts, "domain" as a search for one */
	struct buf other;        /* whole lines of anything else but comments */
};

/* Pure. Done with resolvconf_done. */
void resolvconf_parse(const char *text, struct resolvconf *ret);
void resolvconf_done(struct resolvconf *r);

struct resolvconf_file;
/* Copies the path; nothing is read yet. */
struct resolvconf_file *resolvconf_file_new(const char *path);
void resolvconf_file_free(struct resolvconf_file *f); /* takes NULL */
/* Borrowed until the next call. It is looked at no more than once a second (now_ms: a clock that does not go back), and
 * read only when it has changed: what is asked for with every question does not wait for a disk. */
const struct resolvconf *resolvconf_file_get(struct resolvconf_file *f, uint64_t now_ms);

#endif
