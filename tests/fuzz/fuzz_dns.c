/* DNS messages as a guest sends them. */
#include "fuzz/fuzz.h"
#include "network/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct dns_record records[] = { { .type = DNS_A }, { .type = DNS_AAAA }, { .type = DNS_PTR, .name = "a.b" } };
	uint8_t answer[DNS_EDNS_MAX], ip[16];
	struct dns_question q;
	char *text = fuzz_text(data, size);
	size_t n;
	int r = dns_parse_query(data, size, &q);

	FUZZ_CHECK(r <= 0);
	if (r != -22) { /* what can be answered */
		FUZZ_CHECK(q.end >= DNS_HEADER && (q.end == DNS_HEADER || q.end <= size));
		FUZZ_CHECK(strlen(q.name) < DNS_NAME_MAX && q.answer_bytes >= DNS_UDP_MAX && q.answer_bytes <= DNS_EDNS_MAX);
		n = dns_build_answer(data, &q, DNS_OK, records, r == 0 ? 3 : 0, answer, DNS_UDP_MAX);
		FUZZ_CHECK(n >= DNS_HEADER && n <= DNS_UDP_MAX);
		FUZZ_CHECK(r < 0 || dns_is_answer(answer, n, data, size, q.id));
		dns_parse_reverse(q.name, ip);
	}
	dns_is_answer(data, size, data, size, 0x1234);
	if (size > DNS_HEADER)
		dns_is_answer(data, size / 2, data + size / 2, size - size / 2, 0);
	dns_parse_reverse(text, ip);
	free(text);
	return 0;
}
