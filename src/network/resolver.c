/* The DNS server of a namespace at 127.0.0.11: names of neighbours, links and hosts; the rest is asked elsewhere. */
#include <stdlib.h>

#include "network/internal.h"

void netns_set_dns(struct netns *ns, const struct netns_dns *dns)
{
	net_free_strv(ns->dns.servers);
	net_free_strv(ns->dns.extra_hosts);
	ns->dns.servers = dns && dns->servers ? net_copy_strv(dns->servers) : NULL;
	ns->dns.extra_hosts = dns ? net_copy_strv(dns->extra_hosts) : NULL;
}
