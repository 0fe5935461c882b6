/* IP addresses and prefixes as numbers, and their texts as Go's netip reads and
 * writes them. Pure; any thread. */
#ifndef SOCKERLESS_NETWORK_PREFIX_H
#define SOCKERLESS_NETWORK_PREFIX_H

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

/* 128 bits, IPv4 mapped (::ffff:a.b.c.d). 0: none. */
struct ip {
	unsigned __int128 n;
};

struct prefix {
	struct ip ip; /* as written, host bits too; 0: none */
	uint8_t bits; /* of its family: 24 of 10.0.0.0/24 */
};

enum { IP_TEXT_MAX = 46, PREFIX_TEXT_MAX = 50 };

static inline bool ip_is_none(struct ip a)
{
	return a.n == 0;
}

bool ip_is_v4(struct ip a);
/* Refusals in the words of Go's netip.ParseAddr; class invalid. "" and "::" are none. */
int ip_parse(const char *text, struct ip *ret, struct error *err);
void ip_format(struct ip a, char ret[IP_TEXT_MAX]); /* none: "" */
void ip_to_bytes(struct ip a, uint8_t ret[16]);
struct ip ip_from_bytes(const uint8_t bytes[16]);

static inline bool prefix_is_none(struct prefix p)
{
	return p.ip.n == 0 && p.bits == 0;
}

bool prefix_is_v4(struct prefix p);
unsigned prefix_width(struct prefix p); /* bits that count hosts: 8 of a /24 */
int prefix_parse(const char *text, struct prefix *ret, struct error *err); /* in the words of netip.ParsePrefix */
void prefix_format(struct prefix p, char ret[PREFIX_TEXT_MAX]); /* none: "" */
struct prefix prefix_masked(struct prefix p);
struct ip prefix_first(struct prefix p);
struct ip prefix_last(struct prefix p);
bool prefix_contains(struct prefix p, struct ip a); /* never across families */
bool prefix_overlaps(struct prefix a, struct prefix b);

/* A hardware address of six bytes with ':', '-' or as three dotted groups: into its usual text. Refusals in
 * the words of Go's net.ParseMAC. "" stays "". */
int mac_parse(const char *text, uint8_t ret[6], struct error *err);
void mac_format(const uint8_t mac[6], char ret[18]);

#endif
