#include "network/prefix.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAPPED ((unsigned __int128)0xffff << 32)

/* ---- addresses ---- */

bool ip_is_v4(struct ip a)
{
	return a.n >> 32 == 0xffff;
}

void ip_to_bytes(struct ip a, uint8_t ret[16])
{
	for (int i = 15; i >= 0; i--, a.n >>= 8)
		ret[i] = (uint8_t)a.n;
}

struct ip ip_from_bytes(const uint8_t bytes[16])
{
	struct ip a = { 0 };

	for (int i = 0; i < 16; i++)
		a.n = a.n << 8 | bytes[i];
	return a;
}

/* Why a dotted text is no IPv4 address. */
static const char *why_not_v4(const char *text)
{
	unsigned fields = 0;

	for (const char *p = text;; p++) {
		size_t n = strspn(p, "0123456789");

		if (n == 0)
			return p[0] && p[0] != '.' ? "unexpected character" : "IPv4 field must have at least one digit";
		if (n > 1 && p[0] == '0')
			return "IPv4 field has octet with leading zero";
		if (n > 3 || atoi(p) > 255)
			return "IPv4 field has value >255";
		fields++;
		p += n;
		if (!*p)
			return fields < 4 ? "IPv4 address too short" : "unable to parse IP";
		if (*p != '.')
			return "unexpected character";
		if (fields == 4)
			return "IPv4 address too long";
	}
}

int ip_parse(const char *text, struct ip *ret, struct error *err)
{
	uint8_t bytes[16] = { [10] = 0xff, [11] = 0xff };
	size_t n = strcspn(text, ".:");

	ret->n = 0;
	if (!*text)
		return 0;
	if (text[n] == '.' && inet_pton(AF_INET, text, bytes + 12) != 1)
		return error_set_class(err, ERROR_INVALID, "ParseAddr(\"%.100s\"): %s", text, why_not_v4(text));
	if (text[n] == ':' && inet_pton(AF_INET6, text, bytes) != 1)
		return error_set_class(err, ERROR_INVALID,
				       "ParseAddr(\"%.100s\"): each colon-separated field must have at least one digit", text);
	if (!text[n])
		return error_set_class(err, ERROR_INVALID, "ParseAddr(\"%.100s\"): unable to parse IP", text);
	*ret = ip_from_bytes(bytes);
	return 0;
}

void ip_format(struct ip a, char ret[IP_TEXT_MAX])
{
	uint8_t bytes[16];

	ret[0] = '\0';
	if (ip_is_none(a))
		return;
	ip_to_bytes(a, bytes);
	if (ip_is_v4(a))
		inet_ntop(AF_INET, bytes + 12, ret, IP_TEXT_MAX);
	else
		inet_ntop(AF_INET6, bytes, ret, IP_TEXT_MAX);
}

/* ---- prefixes ---- */

bool prefix_is_v4(struct prefix p)
{
	return ip_is_v4(p.ip);
}

unsigned prefix_width(struct prefix p)
{
	return (prefix_is_v4(p) ? 32u : 128u) - p.bits;
}

static unsigned __int128 host_bits(struct prefix p)
{
	unsigned width = prefix_width(p);

	return width == 128 ? ~(unsigned __int128)0 : ((unsigned __int128)1 << width) - 1;
}

/* A prefix of no bits has an address too: 0.0.0.0/0 is mapped, ::/0 is 0 and reads as none. */
int prefix_parse(const char *text, struct prefix *ret, struct error *err)
{
	const char *slash = strrchr(text, '/'), *bits = slash ? slash + 1 : "";
	char ip[IP_TEXT_MAX];
	int r;

	*ret = (struct prefix){ 0 };
	if (!*text)
		return 0;
	if (!slash)
		return error_set_class(err, ERROR_INVALID, "netip.ParsePrefix(\"%.100s\"): no '/'", text);
	if (slash == text || slash - text >= (int)sizeof(ip))
		return error_set_class(err, ERROR_INVALID,
				       "netip.ParsePrefix(\"%.100s\"): ParseAddr(\"%.60s\"): unable to parse IP", text,
				       slash == text ? "" : text);
	memcpy(ip, text, (size_t)(slash - text));
	ip[slash - text] = '\0';
	r = ip_parse(ip, &ret->ip, err);
	if (r < 0) {
		error_prefix(err, "netip.ParsePrefix(\"%.100s\")", text);
		return r;
	}
	if (!isdigit((unsigned char)*bits) || bits[strspn(bits, "0123456789")] || strlen(bits) > 3 ||
	    (*bits == '0' && bits[1]))
		return error_set_class(err, ERROR_INVALID,
				       "netip.ParsePrefix(\"%.100s\"): bad bits after slash: \"%.20s\"", text, bits);
	if (atoi(bits) > (ip_is_v4(ret->ip) ? 32 : 128))
		return error_set_class(err, ERROR_INVALID, "netip.ParsePrefix(\"%.100s\"): prefix length out of range", text);
	ret->bits = (uint8_t)atoi(bits);
	return 0;
}

void prefix_format(struct prefix p, char ret[PREFIX_TEXT_MAX])
{
	char ip[IP_TEXT_MAX];

	ret[0] = '\0';
	if (prefix_is_none(p))
		return;
	ip_format(p.ip, ip);
	snprintf(ret, PREFIX_TEXT_MAX, "%s/%u", *ip ? ip : "::", p.bits);
}

struct ip prefix_first(struct prefix p)
{
	return (struct ip){ p.ip.n & ~host_bits(p) };
}

struct ip prefix_last(struct prefix p)
{
	return (struct ip){ p.ip.n | host_bits(p) };
}

struct prefix prefix_masked(struct prefix p)
{
	p.ip.n = p.ip.n & ~host_bits(p);
	if (p.bits == 0 && p.ip.n >> 32 == 0xffff)
		p.ip.n = MAPPED;
	return p;
}

bool prefix_contains(struct prefix p, struct ip a)
{
	return prefix_is_v4(p) == ip_is_v4(a) && a.n >= prefix_first(p).n && a.n <= prefix_last(p).n;
}

bool prefix_overlaps(struct prefix a, struct prefix b)
{
	return prefix_is_v4(a) == prefix_is_v4(b) && prefix_first(a).n <= prefix_last(b).n &&
	       prefix_first(b).n <= prefix_last(a).n;
}

/* ---- hardware addresses ---- */

static int bad_mac(const char *text, struct error *err)
{
	return error_set_class(err, ERROR_INVALID, "address %.60s: invalid MAC address", text);
}

int mac_parse(const char *text, uint8_t ret[6], struct error *err)
{
	bool is_dotted = strchr(text, '.') != NULL;
	char separator = is_dotted ? '.' : text[0] && text[1] ? text[2] : ':';
	size_t group = is_dotted ? 4 : 2, digits = 0;

	if (separator != ':' && separator != '-' && separator != '.')
		return bad_mac(text, err);
	for (const char *p = text; *p; p++) {
		if (digits > 0 && digits % group == 0 && (p - text) % (long)(group + 1) == (long)group) {
			if (*p != separator)
				return bad_mac(text, err);
			continue;
		}
		if (!isxdigit((unsigned char)*p) || digits == 12)
			return bad_mac(text, err);
		ret[digits / 2] =
			(uint8_t)(ret[digits / 2] << 4 | (isdigit((unsigned char)*p) ? *p - '0' : (*p | 0x20) - 'a' + 10));
		digits++;
	}
	return digits == 12 && isxdigit((unsigned char)text[strlen(text) - 1]) ? 0 : bad_mac(text, err);
}

void mac_format(const uint8_t mac[6], char ret[18])
{
	snprintf(ret, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}
