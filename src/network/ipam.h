/* Address management: which subnets are taken, which addresses of a subnet are.
 * Pure: no clock, no files; loop thread or any one thread.
 * Behaviour and texts are Docker's (moby: daemon/libnetwork/ipams/defaultipam). */
#ifndef SOCKERLESS_NETWORK_IPAM_H
#define SOCKERLESS_NETWORK_IPAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "network/prefix.h"
#include "util/error.h"

struct ipam;
struct ipam_subnet; /* one that is taken, with the addresses in use */

/* A pool to cut subnets of `size` bits from, in order. */
struct ipam_pool {
	struct prefix base;
	uint8_t size;
};

/* Docker's: 172.17–31.0.0/16, then 192.168.0.0/16 by /20. */
extern const struct ipam_pool ipam_default_pools[];
extern const size_t ipam_default_npools;

struct ipam *ipam_new(void);
void ipam_free(struct ipam *ip); /* with what is taken; takes NULL */
/* Behind those that are there. ERROR_INVALID: base and size do not fit. */
int ipam_add_pool(struct ipam *ip, struct ipam_pool pool, struct error *err);
/* "base=10.0.0.0/8,size=24" */
int ipam_parse_pool(const char *text, struct ipam_pool *ret, struct error *err);
/* fdxx:xxxx:xxxx::/48 by /64, always the same for a daemon's id. */
struct ipam_pool ipam_ula_pool(const char *daemon_id);

/* This subnet (masked). ERROR_FORBIDDEN "invalid pool request: Pool overlaps with other one on this address space". */
int ipam_take_subnet(struct ipam *ip, struct prefix wanted, struct ipam_subnet **ret, struct error *err);
/* The first one of the pools, of their size or of `bits` (0: theirs), that overlaps neither what is taken nor
 * `avoid`. ERROR_INVALID "all predefined address pools have been fully subnetted". */
int ipam_take_any_subnet(struct ipam *ip, bool is_v6, unsigned bits, const struct prefix *avoid, size_t navoid,
			 struct ipam_subnet **ret, struct error *err);
void ipam_release_subnet(struct ipam *ip, struct ipam_subnet *s); /* takes NULL */

struct prefix ipam_subnet_prefix(const struct ipam_subnet *s);
/* ERROR_FORBIDDEN "Address already in use"; ERROR_INVALID "requested address is out of range". The network's own
 * and the broadcast address are in use from the start. */
int ipam_take(struct ipam_subnet *s, struct ip a, struct error *err);
/* The lowest free one of `range` (none: of the whole). -ENOSPC, no text. */
int ipam_take_any(struct ipam_subnet *s, struct prefix range, struct ip *ret);
void ipam_give(struct ipam_subnet *s, struct ip a);
bool ipam_is_taken(const struct ipam_subnet *s, struct ip a);
/* Network inspect's Status: all in use; free ones of `range`. UINT64_MAX when more. */
uint64_t ipam_in_use(const struct ipam_subnet *s);
uint64_t ipam_available(const struct ipam_subnet *s, struct prefix range);

#endif
