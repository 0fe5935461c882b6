#include "util/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/x509.h>

#include "util/alloc.h"
#include "util/tls_internal.h"

static int context_new(bool is_server, struct tls_context **ret, struct error *err)
{
	struct tls_context *c = xnew(struct tls_context);
	int r = gnutls_global_init(); /* counted; the agent leaves it out at its start */

	c->refs = 1;
	c->is_server = is_server;
	list_init(&c->waiting);
	if (r == 0)
		r = gnutls_certificate_allocate_credentials(&c->credentials);
	if (r == 0)
		r = gnutls_priority_init(&c->priority, "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2", NULL);
	if (r < 0) {
		tls_unref(c);
		return error_set(err, -EIO, "TLS: %s", gnutls_strerror(r));
	}
	*ret = c;
	return 0;
}

int tls_server_new(const char *certificate, const char *key, struct tls_context **ret, struct error *err)
{
	struct tls_context *c;
	int r = context_new(true, &c, err);

	if (r < 0)
		return r;
	r = gnutls_certificate_set_x509_key_file(c->credentials, certificate, key, GNUTLS_X509_FMT_PEM);
	if (r < 0) {
		tls_unref(c);
		return error_set_class(err, ERROR_INVALID, "certificate %s with key %s: %s", certificate, key,
				       gnutls_strerror(r));
	}
	*ret = c;
	return 0;
}

int tls_client_new(const char *authorities, struct tls_context **ret, struct error *err)
{
	struct tls_context *c;
	int r = context_new(false, &c, err), n;

	if (r < 0)
		return r;
	n = authorities ? gnutls_certificate_set_x509_trust_file(c->credentials, authorities, GNUTLS_X509_FMT_PEM) :
			  gnutls_certificate_set_x509_system_trust(c->credentials);
	/* A system without any trusts nobody: each handshake will say so. */
	if (authorities && n <= 0) {
		tls_unref(c);
		return error_set_class(err, ERROR_INVALID, "certificate authorities %s: %s", authorities,
				       n < 0 ? gnutls_strerror(n) : "there is none in it");
	}
	*ret = c;
	return 0;
}

struct tls_context *tls_ref(struct tls_context *c)
{
	c->refs++;
	return c;
}

void tls_unref(struct tls_context *c)
{
	if (!c || --c->refs > 0)
		return;
	if (c->priority)
		gnutls_priority_deinit(c->priority);
	if (c->credentials)
		gnutls_certificate_free_credentials(c->credentials);
	gnutls_global_deinit();
	free(c);
}

static bool is_address(const char *host)
{
	struct in6_addr any;

	return inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1;
}

int tls_session_new(struct tls_context *c, int fd, const char *host, gnutls_session_t *ret)
{
	unsigned flags = (c->is_server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL;
	gnutls_session_t s;
	int r = gnutls_init(&s, flags);

	if (r < 0)
		return r;
	r = gnutls_priority_set(s, c->priority);
	if (r == 0)
		r = gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, c->credentials);
	if (r == 0 && host && !is_address(host)) /* RFC 6066, 3: no literal addresses */
		r = gnutls_server_name_set(s, GNUTLS_NAME_DNS, host, strlen(host));
	if (r < 0) {
		gnutls_deinit(s);
		return r;
	}
	if (host)
		gnutls_session_set_verify_cert(s, host, 0);
	gnutls_handshake_set_timeout(s, 0); /* the relay's timer sees to that */
	gnutls_transport_set_int(s, fd);
	*ret = s;
	return 0;
}

static void explain_certificate(gnutls_session_t session, char *text, size_t size)
{
	static const char known[] = "The certificate is NOT trusted. "; /* before each reason */
	gnutls_datum_t said;
	const char *why;
	unsigned status = gnutls_session_get_verify_cert_status(session);
	size_t n;

	if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &said, 0) < 0) {
		snprintf(text, size, "its certificate is not trusted");
		return;
	}
	why = (const char *)said.data;
	snprintf(text, size, "its certificate is refused: %s",
		 strncmp(why, known, strlen(known)) == 0 ? why + strlen(known) : why);
	for (n = strlen(text); n > 0 && text[n - 1] == ' ';)
		text[--n] = '\0';
	gnutls_free(said.data);
}

void tls_explain(gnutls_session_t session, int code, char *text, size_t size)
{
	if (code == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR)
		explain_certificate(session, text, size);
	else if (code == GNUTLS_E_FATAL_ALERT_RECEIVED)
		snprintf(text, size, "the other side ends the TLS handshake: %s",
			 gnutls_alert_get_name(gnutls_alert_get(session)));
	else if (code == GNUTLS_E_UNEXPECTED_PACKET_LENGTH || code == GNUTLS_E_UNSUPPORTED_VERSION_PACKET)
		snprintf(text, size, "the other side does not speak TLS");
	else
		snprintf(text, size, "TLS: %s", gnutls_strerror(code));
}
