/* What an Accept header chooses of what there is (moby: contenttype.MatchAcceptStrict): only types that it names in
 * full count; the highest weight wins, and of equal ones what is offered first. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/api.h"

/* The weight behind `;q=` in one entry; 1 where none is said, 0 for one that is none. */
static double weight_of(const char *parameters, size_t n)
{
	for (size_t i = 0; i + 2 < n; i++) {
		size_t k = i + 1;

		if (parameters[i] != ';')
			continue;
		while (k < n && parameters[k] == ' ')
			k++;
		if (k + 1 < n && (parameters[k] == 'q' || parameters[k] == 'Q') && parameters[k + 1] == '=') {
			double q = strtod(parameters + k + 2, NULL);

			return q >= 0 && q <= 1 ? q : 0;
		}
	}
	return 1;
}

static double weight_of_offer(const char *accept, const char *offer)
{
	double best = 0;

	while (*accept) {
		size_t n = strcspn(accept, ","), name = 0;

		while (n > 0 && isspace((unsigned char)*accept))
			accept++, n--;
		while (name < n && accept[name] != ';' && !isspace((unsigned char)accept[name]))
			name++;
		if (name == strlen(offer) && strncasecmp(accept, offer, name) == 0) {
			double q = weight_of(accept + name, n - name);

			best = q > best ? q : best;
		}
		accept += n;
		accept += *accept == ',';
	}
	return best;
}

const char *api_negotiate(const struct request *req, const char *const *offers, const char *fallback)
{
	const char *accept = request_header(req, "Accept"), *best = fallback;
	double weight = 0;

	for (; accept && *offers; offers++) {
		double q = weight_of_offer(accept, *offers);

		if (q > weight) {
			weight = q;
			best = *offers;
		}
	}
	return best;
}

bool api_accepts(const struct request *req, const char *header, const char *what)
{
	const char *accept = request_header(req, header);

	return accept && weight_of_offer(accept, what) > 0;
}
