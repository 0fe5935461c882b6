#include "network/ipam.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"
#include "util/digest.h"

/* Addresses in use, as bits of those pieces of the subnet that have any: a /16 is at most
 * sixteen pieces, and an IPv6 subnet costs what is used of it. */
enum { PIECE_BITS = 4096, PIECE_SHIFT = 12 };

struct piece {
	unsigned __int128 index;
	unsigned count;
	uint64_t words[PIECE_BITS / 64];
};

struct ipam_subnet {
	struct prefix prefix;
	struct piece **pieces; /* by index */
	size_t n, size;
	uint64_t count;
	unsigned __int128 low; /* no address below is free; of the whole, not of a range */
};

struct ipam {
	struct ipam_subnet **taken; /* by first address */
	size_t n, size;
	struct ipam_pool *pools;
	size_t npools;
};

#define V4(a, b) { { (unsigned __int128)0xffff << 32 | (uint32_t)(a) << 24 | (b) << 16 }, 16 }

const struct ipam_pool ipam_default_pools[] = {
	{ V4(172, 17), 16 }, { V4(172, 18), 16 }, { V4(172, 19), 16 }, { V4(172, 20), 16 },
	{ V4(172, 21), 16 }, { V4(172, 22), 16 }, { V4(172, 23), 16 }, { V4(172, 24), 16 },
	{ V4(172, 25), 16 }, { V4(172, 26), 16 }, { V4(172, 27), 16 }, { V4(172, 28), 16 },
	{ V4(172, 29), 16 }, { V4(172, 30), 16 }, { V4(172, 31), 16 }, { V4(192, 168), 20 },
};
const size_t ipam_default_npools = sizeof(ipam_default_pools) / sizeof(ipam_default_pools[0]);

/* ---- the bits of a subnet ---- */

/* The first piece that is not before `index`. */
static size_t piece_at(const struct ipam_subnet *s, unsigned __int128 index)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (s->pieces[mid]->index < index)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct piece *find_piece(const struct ipam_subnet *s, unsigned __int128 index)
{
	size_t at = piece_at(s, index);

	return at < s->n && s->pieces[at]->index == index ? s->pieces[at] : NULL;
}

static struct piece *make_piece(struct ipam_subnet *s, unsigned __int128 index)
{
	size_t at = piece_at(s, index);

	if (at < s->n && s->pieces[at]->index == index)
		return s->pieces[at];
	if (s->n == s->size) {
		s->size = s->size ? 2 * s->size : 2;
		s->pieces = xrealloc(s->pieces, s->size * sizeof(struct piece *));
	}
	memmove(s->pieces + at + 1, s->pieces + at, (s->n - at) * sizeof(struct piece *));
	s->pieces[at] = xnew(struct piece);
	s->pieces[at]->index = index;
	s->n++;
	return s->pieces[at];
}

static bool test_bit(const struct ipam_subnet *s, unsigned __int128 a)
{
	const struct piece *p = find_piece(s, a >> PIECE_SHIFT);
	unsigned bit = (unsigned)(a % PIECE_BITS);

	return p && p->words[bit / 64] >> bit % 64 & 1;
}

static void set_bit(struct ipam_subnet *s, unsigned __int128 a)
{
	struct piece *p = make_piece(s, a >> PIECE_SHIFT);
	unsigned bit = (unsigned)(a % PIECE_BITS);

	p->words[bit / 64] |= (uint64_t)1 << bit % 64;
	p->count++;
	s->count++;
	if (a == s->low)
		s->low++;
}

static void clear_bit(struct ipam_subnet *s, unsigned __int128 a)
{
	size_t at = piece_at(s, a >> PIECE_SHIFT);
	struct piece *p = s->pieces[at];
	unsigned bit = (unsigned)(a % PIECE_BITS);

	p->words[bit / 64] &= ~((uint64_t)1 << bit % 64);
	p->count--;
	s->count--;
	if (a < s->low)
		s->low = a;
	if (p->count > 0)
		return;
	free(p);
	s->n--;
	memmove(s->pieces + at, s->pieces + at + 1, (s->n - at) * sizeof(struct piece *));
}

/* The lowest clear bit in [from, to]. */
static bool find_clear(const struct ipam_subnet *s, unsigned __int128 from, unsigned __int128 to, unsigned __int128 *ret)
{
	size_t at = piece_at(s, from >> PIECE_SHIFT);

	while (from <= to) {
		const struct piece *p = at < s->n ? s->pieces[at] : NULL;

		if (!p || p->index != from >> PIECE_SHIFT) {
			*ret = from;
			return true;
		}
		for (unsigned bit = (unsigned)(from % PIECE_BITS); p->count < PIECE_BITS && bit < PIECE_BITS;) {
			uint64_t clear = ~p->words[bit / 64] >> bit % 64;

			if (clear) {
				*ret = (p->index << PIECE_SHIFT) + bit + (unsigned)__builtin_ctzll(clear);
				return *ret <= to;
			}
			bit = (bit / 64 + 1) * 64;
		}
		from = (p->index + 1) << PIECE_SHIFT;
		at++;
		if (from == 0) /* the very end of all addresses */
			return false;
	}
	return false;
}

static uint64_t count_within(const struct ipam_subnet *s, struct prefix range)
{
	unsigned __int128 first = prefix_first(range).n, last = prefix_last(range).n;
	uint64_t n = 0;

	for (size_t at = piece_at(s, first >> PIECE_SHIFT); at < s->n && s->pieces[at]->index <= last >> PIECE_SHIFT; at++) {
		const struct piece *p = s->pieces[at];
		unsigned __int128 base = p->index << PIECE_SHIFT;

		if (base >= first && base + (PIECE_BITS - 1) <= last) {
			n += p->count;
			continue;
		}
		for (unsigned bit = 0; bit < PIECE_BITS; bit++)
			n += base + bit >= first && base + bit <= last && (p->words[bit / 64] >> bit % 64 & 1);
	}
	return n;
}

/* ---- addresses ---- */

struct prefix ipam_subnet_prefix(const struct ipam_subnet *s)
{
	return s->prefix;
}

bool ipam_is_taken(const struct ipam_subnet *s, struct ip a)
{
	return test_bit(s, a.n);
}

int ipam_take(struct ipam_subnet *s, struct ip a, struct error *err)
{
	if (!prefix_contains(s->prefix, a))
		return error_set_class(err, ERROR_INVALID, "requested address is out of range");
	if (test_bit(s, a.n))
		return error_set_class(err, ERROR_FORBIDDEN, "Address already in use");
	set_bit(s, a.n);
	return 0;
}

int ipam_take_any(struct ipam_subnet *s, struct prefix range, struct ip *ret)
{
	struct prefix of = prefix_is_none(range) ? s->prefix : range;
	unsigned __int128 from = prefix_first(of).n, at;

	if (from < s->low)
		from = s->low;
	if (!find_clear(s, from, prefix_last(of).n, &at))
		return -ENOSPC;
	if (from == s->low) /* what lies between is in use */
		s->low = at;
	set_bit(s, at);
	ret->n = at;
	return 0;
}

void ipam_give(struct ipam_subnet *s, struct ip a)
{
	if (prefix_contains(s->prefix, a) && test_bit(s, a.n))
		clear_bit(s, a.n);
}

uint64_t ipam_in_use(const struct ipam_subnet *s)
{
	return s->count;
}

uint64_t ipam_available(const struct ipam_subnet *s, struct prefix range)
{
	struct prefix of = prefix_is_none(range) ? s->prefix : range;
	unsigned __int128 all = prefix_width(of) >= 127 ? ~(unsigned __int128)0 : (unsigned __int128)1 << prefix_width(of);
	unsigned __int128 left = all - count_within(s, of);

	return left > UINT64_MAX ? UINT64_MAX : (uint64_t)left;
}

/* ---- subnets ---- */

static struct ipam_subnet *subnet_new(struct prefix prefix)
{
	struct ipam_subnet *s = xnew(struct ipam_subnet);
	bool is_v4 = prefix_is_v4(prefix);

	s->prefix = prefix;
	s->low = prefix_first(prefix).n;
	if (!is_v4 || prefix_width(prefix) > 1) /* a /31 joins two points (RFC 3021) */
		set_bit(s, prefix_first(prefix).n);
	if (is_v4 && prefix_width(prefix) > 1)
		set_bit(s, prefix_last(prefix).n);
	return s;
}

static void subnet_free(struct ipam_subnet *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->pieces[i]);
	free(s->pieces);
	free(s);
}

/* The first taken subnet that does not end before `p`. */
static size_t taken_at(const struct ipam *ip, struct prefix p)
{
	size_t lo = 0, hi = ip->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (prefix_last(ip->taken[mid]->prefix).n < prefix_first(p).n)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct ipam_subnet *enter(struct ipam *ip, struct prefix p)
{
	size_t at = taken_at(ip, p);

	if (ip->n == ip->size) {
		ip->size = ip->size ? 2 * ip->size : 16;
		ip->taken = xrealloc(ip->taken, ip->size * sizeof(struct ipam_subnet *));
	}
	memmove(ip->taken + at + 1, ip->taken + at, (ip->n - at) * sizeof(struct ipam_subnet *));
	ip->taken[at] = subnet_new(p);
	ip->n++;
	return ip->taken[at];
}

/* Subnets that are taken do not overlap, so the neighbour decides. */
static const struct ipam_subnet *taken_over(const struct ipam *ip, struct prefix p)
{
	size_t at = taken_at(ip, p);

	return at < ip->n && prefix_overlaps(ip->taken[at]->prefix, p) ? ip->taken[at] : NULL;
}

int ipam_take_subnet(struct ipam *ip, struct prefix wanted, struct ipam_subnet **ret, struct error *err)
{
	wanted = prefix_masked(wanted);
	if (taken_over(ip, wanted))
		return error_set_class(err, ERROR_FORBIDDEN,
				       "invalid pool request: Pool overlaps with other one on this address space");
	*ret = enter(ip, wanted);
	return 0;
}

static const struct prefix *avoided_over(const struct prefix *avoid, size_t n, struct prefix p)
{
	for (size_t i = 0; i < n; i++)
		if (prefix_overlaps(avoid[i], p))
			return &avoid[i];
	return NULL;
}

/* Jumps over what is in the way, so that a pool of millions costs as many steps as are taken. */
static bool find_in_pool(const struct ipam *ip, struct prefix base, unsigned size, const struct prefix *avoid,
			 size_t navoid, struct prefix *ret)
{
	struct prefix p = { prefix_first(base), (uint8_t)size };

	for (;;) {
		const struct ipam_subnet *taken = taken_over(ip, p);
		const struct prefix *way = taken ? &taken->prefix : avoided_over(avoid, navoid, p);
		struct ip after;

		if (!way) {
			*ret = p;
			return true;
		}
		after = prefix_last(*way).n > prefix_last(p).n ? prefix_last(*way) : prefix_last(p);
		if (after.n >= prefix_last(base).n)
			return false;
		p.ip.n = after.n + 1;
	}
}

int ipam_take_any_subnet(struct ipam *ip, bool is_v6, unsigned bits, const struct prefix *avoid, size_t navoid,
			 struct ipam_subnet **ret, struct error *err)
{
	bool is_possible = false;

	for (size_t i = 0; i < ip->npools; i++) {
		const struct ipam_pool *pool = &ip->pools[i];
		struct prefix p;

		if (prefix_is_v4(pool->base) == is_v6 || (bits && (bits < pool->base.bits || bits > (is_v6 ? 128 : 32))))
			continue;
		is_possible = true;
		if (!find_in_pool(ip, pool->base, bits ? bits : pool->size, avoid, navoid, &p))
			continue;
		*ret = enter(ip, p);
		return 0;
	}
	return is_possible ? error_set_class(err, ERROR_INVALID, "all predefined address pools have been fully subnetted") :
			     error_set_class(err, ERROR_INVALID, "invalid address pool");
}

void ipam_release_subnet(struct ipam *ip, struct ipam_subnet *s)
{
	size_t at;

	if (!s)
		return;
	at = taken_at(ip, s->prefix);
	ip->n--;
	memmove(ip->taken + at, ip->taken + at + 1, (ip->n - at) * sizeof(struct ipam_subnet *));
	subnet_free(s);
}

/* ---- the whole ---- */

struct ipam *ipam_new(void)
{
	return xnew(struct ipam);
}

void ipam_free(struct ipam *ip)
{
	if (!ip)
		return;
	for (size_t i = 0; i < ip->n; i++)
		subnet_free(ip->taken[i]);
	free(ip->taken);
	free(ip->pools);
	free(ip);
}

int ipam_add_pool(struct ipam *ip, struct ipam_pool pool, struct error *err)
{
	char text[PREFIX_TEXT_MAX];

	prefix_format(pool.base, text);
	if (prefix_is_none(pool.base) || pool.size < pool.base.bits || pool.size > (prefix_is_v4(pool.base) ? 32 : 128))
		return error_set_class(err, ERROR_INVALID, "the pool %s cannot be cut into subnets of /%u", text, pool.size);
	pool.base = prefix_masked(pool.base);
	ip->pools = xrealloc(ip->pools, (ip->npools + 1) * sizeof(*ip->pools));
	ip->pools[ip->npools++] = pool;
	return 0;
}

int ipam_parse_pool(const char *text, struct ipam_pool *ret, struct error *err)
{
	char base[PREFIX_TEXT_MAX] = "";
	unsigned long size = 0;

	for (const char *p = text; *p;) {
		size_t n = strcspn(p, ",");

		if (strncmp(p, "base=", 5) == 0 && n - 5 < sizeof(base)) {
			memcpy(base, p + 5, n - 5);
			base[n - 5] = '\0';
		} else if (strncmp(p, "size=", 5) == 0) {
			size = strtoul(p + 5, NULL, 10);
		} else {
			return error_set_class(err, ERROR_INVALID, "unrecognized input key %.60s", p);
		}
		p += n + (p[n] == ',');
	}
	if (!*base || prefix_parse(base, &ret->base, err) < 0)
		return error_set_class(err, ERROR_INVALID, "invalid base pool \"%s\": invalid CIDR address: %s", base, base);
	if (size == 0 || size > 128)
		return error_set_class(err, ERROR_INVALID, "invalid size value: %lu", size);
	ret->size = (uint8_t)size;
	return 0;
}

/* As RFC 4193 says, by a hash: forty bits that no other daemon has. */
struct ipam_pool ipam_ula_pool(const char *daemon_id)
{
	char text[DIGEST_LEN + 1];
	unsigned __int128 n = 0xfd;

	digest_of(daemon_id, strlen(daemon_id), text);
	for (size_t i = 0; i < 10; i++) {
		char c = text[7 + 6 + i];

		n = n << 4 | (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	return (struct ipam_pool){ { { n << 80 }, 48 }, 64 };
}
