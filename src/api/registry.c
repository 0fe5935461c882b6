/* What is asked of registries: a login, a name's descriptor, a search. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/filters.h"
#include "api/transfer.h"
#include "image/reference.h"
#include "registry/registry.h"
#include "util/alloc.h"
#include "util/decode.h"
#include "util/digest.h"
#include "util/json.h"

struct asking {
	struct request *req;
	struct registry_question *question;
	json_t *filters; /* of a search */
	void (*reply)(struct asking *a, json_t *result);
};

static void asking_free(struct asking *a)
{
	json_decref(a->filters);
	free(a);
}

static void on_answer(void *arg, json_t *result, const struct error *err, bool is_unreachable)
{
	struct asking *a = arg;

	(void)is_unreachable;
	if (err)
		reply_error(a->req, err);
	else
		a->reply(a, result);
	asking_free(a);
}

static void on_gone(void *arg)
{
	struct asking *a = arg;
	struct request *req = a->req;

	registry_question_cancel(a->question);
	asking_free(a);
	reply_empty(req, 200); /* to nobody */
}

/* Takes request, auth and filters. */
static void ask(struct request *req, json_t *take_request, json_t *take_auth, json_t *take_filters,
		void (*reply)(struct asking *a, json_t *result))
{
	struct asking *a = xnew(struct asking);
	struct error err = { 0 };

	a->req = req;
	a->filters = take_filters;
	a->reply = reply;
	a->question = registry_ask(api_engine(req)->registry, take_request, take_auth, on_answer, a, &err);
	json_decref(take_auth);
	if (a->question) {
		request_on_gone(req, on_gone, a);
		return;
	}
	asking_free(a);
	reply_error(req, &err);
}

/* ---- login ---- */

static void reply_login(struct asking *a, json_t *result)
{
	reply_json(a->req, 200,
		   json_pack("{s:s, s:s}", "IdentityToken", json_text(result, "identitytoken"), "Status", "Login Succeeded"));
}

static const struct decode_field auth_fields[] = {
	{ "username", &decode_string },
	{ "password", &decode_string },
	{ "auth", &decode_string },
	{ "serveraddress", &decode_string },
	{ "identitytoken", &decode_string },
	{ "registrytoken", &decode_string },
	{ NULL, NULL },
};
static const struct decode_type auth_type = { .kind = DECODE_STRUCT, .go = "AuthConfig", .fields = auth_fields };

void SystemAuth(struct request *req)
{
	json_t *body = request_json(req), *auth = NULL;
	struct error err = { 0 };

	if (body && decode_json(body, &auth_type, &auth, &err) < 0) {
		error_prefix(&err, "invalid X-Registry-Auth header: invalid JSON");
		reply_error(req, &err);
		return;
	}
	auth = auth ? auth : json_object();
	ask(req, json_pack("{s:s, s:s}", "op", "login", "server", json_text(auth, "serveraddress")), auth, NULL, reply_login);
}

/* ---- distribution inspect ---- */

static void reply_distribution(struct asking *a, json_t *result)
{
	json_t *platforms = json_object_get(result, "platforms");

	reply_json(a->req, 200,
		   json_pack("{s:O, s:o}", "Descriptor", json_object_get(result, "descriptor"), "Platforms",
			     json_array_size(platforms) ? json_incref(platforms) : json_null()));
}

void DistributionInspect(struct request *req)
{
	const char *name = request_param(req, "name");
	struct error err = { 0 };
	struct reference ref;

	if (digest_is_valid(name) || digest_is_hex(name))
		error_set(&err, -EINVAL, "no manifest found for full image ID");
	else
		reference_parse(name, &ref, &err);
	if (err.code) {
		reply_error(req, &err);
		return;
	}
	ask(req,
	    json_pack("{s:s, s:s, s:s, s:s}", "op", "inspect", "name", ref.name, "tag",
		      *ref.digest ? "" :
		      *ref.tag    ? ref.tag :
				    "latest",
		      "digest", ref.digest),
	    api_registry_auth(req), NULL, reply_distribution);
}

/* ---- search ---- */

/* -1: it has no say. */
static int flag_of(json_t *filters, const char *key, struct error *err)
{
	bool value = false;

	if (!filters_has(filters, key) || !filters_bool(filters, key, false, &value, err))
		return -1;
	return value;
}

static json_int_t stars_of(json_t *filters, struct error *err)
{
	json_int_t most = 0, n;
	json_t *v;
	size_t i;
	char *end;

	json_array_foreach(json_object_get(filters, "stars"), i, v) {
		n = strtoll(json_string_value(v), &end, 10);
		if (*end || end == json_string_value(v))
			error_set_class(err, ERROR_INVALID,
					"invalid filter 'stars=%.100s': strconv.Atoi: parsing \"%.100s\": invalid syntax",
					json_string_value(v), json_string_value(v));
		most = n > most ? n : most;
	}
	return most;
}

static void reply_search(struct asking *a, json_t *result)
{
	int official = flag_of(a->filters, "is-official", NULL);
	json_int_t stars = stars_of(a->filters, NULL);
	json_t *list = json_array(), *v;
	size_t i;

	if (flag_of(a->filters, "is-automated", NULL) != 1)
		json_array_foreach(json_object_get(result, "results"), i, v)
			if ((official < 0 || json_flag(v, "is_official") == official) && json_number(v, "star_count") >= stars)
				json_array_append_new(list, json_pack("{s:i, s:b, s:s, s:b, s:s}", "star_count",
								      (int)json_number(v, "star_count"), "is_official",
								      json_flag(v, "is_official"), "name",
								      json_text(v, "name"), "is_automated", 0,
								      "description", json_text(v, "description")));
	reply_json(a->req, 200, list);
}

void ImageSearch(struct request *req)
{
	static const char *const known[] = { "is-automated", "is-official", "stars", NULL };
	const char *term = request_query(req, "term"), *limit_text = request_query(req, "limit");
	struct error err = { 0 };
	json_t *filters = filters_parse(req, known, &err);
	int64_t limit = 0;

	if (!err.code && limit_text && *limit_text && (request_query_int(req, "limit", 0, &limit, &err) < 0 || limit < 0))
		error_set_class(&err, ERROR_INVALID,
				err.code ? "invalid limit specified: %s" : "invalid limit specified", err.message);
	if (!err.code)
		flag_of(filters, "is-automated", &err);
	if (!err.code)
		flag_of(filters, "is-official", &err);
	if (!err.code)
		stars_of(filters, &err);
	if (err.code) {
		json_decref(filters);
		reply_error(req, &err);
		return;
	}
	ask(req, json_pack("{s:s, s:s, s:I}", "op", "search", "term", term ? term : "", "limit", (json_int_t)limit),
	    api_registry_auth(req), filters, reply_search);
}
