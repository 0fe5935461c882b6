/* The little HTTP/1.1 that agents speak: heads of requests and responses, WebSocket handshakes, tokens. Pure but
 * for the random keys. */
#ifndef SOCKERLESS_AGENT_HANDSHAKE_H
#define SOCKERLESS_AGENT_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>

#define AGENT_PROTOCOL "sockerless.agent.v1" /* the subprotocol: docs/agents.md */
#define AGENT_PATH "/internal/v1/agent/connect"

enum { HANDSHAKE_HEAD_MAX = 8192, HANDSHAKE_KEY_LEN = 24, HANDSHAKE_ACCEPT_LEN = 28, TOKEN_LEN = 64 };

/* Length of a head with its empty line; 0: it is not complete; -EMSGSIZE. */
int handshake_head_length(const char *text, size_t len);

/* "GET /path HTTP/1.1" of a head: malloc'd target, or NULL for another method or no HTTP/1.1. */
char *handshake_target(const char *head, size_t len);
/* The status of a response's head, -1 when it is none. */
int handshake_status(const char *head, size_t len);
/* The first header of this name, without blanks around; malloc'd, NULL when there is none. */
char *handshake_header(const char *head, size_t len, const char *name);
/* One of the words of a list with commas, in any case. list may be NULL. */
bool handshake_list_has(const char *list, const char *word);
/* The value of a key in the query of a target, percent-decoded; malloc'd, NULL when absent or malformed. */
char *handshake_query(const char *target, const char *key);

void handshake_make_key(char out[HANDSHAKE_KEY_LEN + 1]);
void handshake_accept_key(const char *key, char out[HANDSHAKE_ACCEPT_LEN + 1]);

/* A request that asks for a WebSocket. token NULL: without. malloc'd. */
char *handshake_request(const char *host, const char *target, const char *key, const char *token);
/* What a request lacks to be a handshake, NULL when it is one; *ret_key is malloc'd then. */
const char *handshake_fault(const char *head, size_t len, char **ret_key);
/* 101 to it. malloc'd. */
char *handshake_response(const char *key, bool has_protocol);
/* Any other answer, after which the connection ends. malloc'd. */
char *handshake_refusal(int status, const char *content_type, const char *body);

/* 64 hex digits of random. */
void token_make(char out[TOKEN_LEN + 1]);
/* Takes as long for any two of the same length. NULL equals nothing. */
bool token_equal(const char *a, const char *b);

#endif
