#include "fetch/http_errors.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *http_verb(const char *method)
{
	static const char *const verbs[][2] = { { "GET", "Get" }, { "HEAD", "Head" },   { "POST", "Post" },
						{ "PUT", "Put" }, { "PATCH", "Patch" }, { "DELETE", "Delete" } };

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(method, verbs[i][0]) == 0)
			return verbs[i][1];
	return method;
}

/* "host:port" of a URL, the scheme's port where none is written. */
static void address_of(const char *url, char host[256], char port[8])
{
	CURLU *u = curl_url();
	char *h = NULL, *p = NULL;

	if (curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK) {
		curl_url_get(u, CURLUPART_HOST, &h, 0);
		curl_url_get(u, CURLUPART_PORT, &p, CURLU_DEFAULT_PORT);
	}
	snprintf(host, 256, "%s", h ? h : "");
	snprintf(port, 8, "%.7s", p ? p : "");
	curl_free(h);
	curl_free(p);
	curl_url_cleanup(u);
}

static void dial_text(CURL *curl, CURLcode code, const char *url, char *text, size_t size)
{
	char host[256], port[8], *ip = NULL;
	long os = 0;

	address_of(url, host, port);
	curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &os);
	curl_easy_getinfo(curl, CURLINFO_PRIMARY_IP, &ip);
	if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY) {
		snprintf(text, size, "dial tcp: lookup %s: no such host", host);
		return;
	}
	if (!ip || !*ip)
		ip = host;
	snprintf(text, size, strchr(ip, ':') && ip[0] != '[' ? "dial tcp [%s]:%s: %s" : "dial tcp %s:%s: %s", ip, port,
		 code == CURLE_OPERATION_TIMEDOUT || os == ETIMEDOUT ? "i/o timeout" : "");
	if (text[strlen(text) - 1] == ' ')
		snprintf(text + strlen(text), size - strlen(text), "connect: %s", error_text(os ? (int)os : ECONNREFUSED));
}

static const char *trust_text(CURL *curl, CURLcode code)
{
	long verdict = 0;

	curl_easy_getinfo(curl, CURLINFO_SSL_VERIFYRESULT, &verdict);
	if (code == CURLE_SSL_CERTPROBLEM)
		return "remote error: tls: bad certificate";
	if (code == CURLE_SSL_CACERT_BADFILE)
		return "the certificate authorities of the registry cannot be read";
	return verdict ? "tls: failed to verify certificate: x509: certificate signed by unknown authority" :
			 "tls: failed to verify certificate";
}

enum http_failure http_curl_error(CURL *curl, CURLcode code, const char *method, const char *url, struct error *err)
{
	enum http_failure failure = HTTP_BROKEN;
	long is_connected = 0, os = 0;
	char text[512] = "";
	double connect = 0;

	curl_easy_getinfo(curl, CURLINFO_CONNECT_TIME, &connect);
	curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &os);
	curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &is_connected);
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
		failure = code == CURLE_COULDNT_RESOLVE_HOST ? HTTP_NAMELESS : HTTP_UNREACHABLE;
		dial_text(curl, code, url, text, sizeof(text));
		break;
	case CURLE_OPERATION_TIMEDOUT:
		if (is_connected && connect <= 0) {
			failure = HTTP_UNREACHABLE;
			dial_text(curl, code, url, text, sizeof(text));
		} else {
			snprintf(text, sizeof(text), "net/http: timeout awaiting response");
		}
		break;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
		failure = HTTP_UNREACHABLE;
		snprintf(text, sizeof(text), "%s", trust_text(curl, code));
		break;
	case CURLE_SSL_CONNECT_ERROR:
		failure = HTTP_UNREACHABLE;
		snprintf(text, sizeof(text), "http: server gave HTTP response to HTTPS client");
		break;
	case CURLE_GOT_NOTHING: snprintf(text, sizeof(text), "EOF"); break;
	case CURLE_PARTIAL_FILE: snprintf(text, sizeof(text), "unexpected EOF"); break;
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		snprintf(text, sizeof(text), "%s: %s", code == CURLE_RECV_ERROR ? "read" : "write",
			 os ? error_text((int)os) : "connection reset by peer");
		break;
	default: snprintf(text, sizeof(text), "%s", curl_easy_strerror(code));
	}
	error_set(err, -EIO, "%s \"%.*s\": %s", http_verb(method), (int)strcspn(url, "?"), url, text);
	return failure;
}
