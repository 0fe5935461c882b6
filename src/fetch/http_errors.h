/* libcurl's errors in the words of Go's net/http, which Docker's users know. */
#ifndef SOCKERLESS_FETCH_HTTP_ERRORS_H
#define SOCKERLESS_FETCH_HTTP_ERRORS_H

#include <curl/curl.h>

#include "fetch/http.h"

/* "GET" → "Get". Static. */
const char *http_verb(const char *method);
/* Sets *err to `Get "url": dial tcp …` and tells the kind. A query is not shown. */
enum http_failure http_curl_error(CURL *curl, CURLcode code, const char *method, const char *url, struct error *err);

#endif
