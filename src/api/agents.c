/* What is ours beside the Engine API: agents. Their own connections do not come by here (agent/registry.h). */
#include "api/api.h"

void AgentPrepare(struct request *req)
{
	struct container *c = api_container(req);
	const char *token;

	if (!c)
		return;
	token = agent_driver_prepare(api_engine(req)->agents, c->id);
	reply_json(req, 200,
		   json_pack("{s:s, s:s, s:o}", "Id", c->id, "Token", token, "Path",
			     json_sprintf("/internal/v1/agent/connect?id=%s&token=%s", c->id, token)));
}
