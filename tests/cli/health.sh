# Health checks with the real CLI.
is_health() { [ "$(d inspect -f '{{.State.Health.Status}}' "$1")" = "$2" ]; }

since=$(date +%s)
d run -d --name checked --health-cmd 'echo looked; test -e /well' --health-interval 100ms --health-retries 2 busybox sleep 1000 >/dev/null
check "it begins as starting" 0 "" sh -c '"$docker" ps --filter name=checked --format "{{.Status}}" | grep -qE "\((health: starting|unhealthy)\)$"'
check "and is found unhealthy" 0 "" soon is_health checked unhealthy
check "ps tells it" 0 "" sh -c '"$docker" ps --filter name=checked --format "{{.Status}}" | grep -qE "^Up .* \(unhealthy\)$"'
check "its log" 0 "1 looked" d inspect -f '{{with index .State.Health.Log 0}}{{.ExitCode}} {{.Output}}{{end}}' checked
d exec checked touch /well
check "later it is well" 0 "" soon is_health checked healthy
check "ps --filter health=healthy" 0 "checked" d ps --filter health=healthy --format '{{.Names}}'
check "ps --filter health=unhealthy" 0 "" d ps --filter health=unhealthy --format '{{.Names}}'
check "the condition that runners ask by" 0 "healthy" d inspect -f '{{if .Config.Healthcheck}}{{print .State.Health.Status}}{{end}}' checked
check "what is configured shows" 0 "[CMD-SHELL echo looked; test -e /well] 100ms 2" d inspect -f '{{.Config.Healthcheck.Test}} {{.Config.Healthcheck.Interval}} {{.Config.Healthcheck.Retries}}' checked
check "both changes were told" 0 "health_status: unhealthy|health_status: healthy|" sh -c '"$docker" events --since '"$since"' --until "$(date +%s.%N)" --filter container=checked --filter event=health_status --format "{{.Action}}" | tr "\n" "|"'
d rm -f checked >/dev/null
check "--no-healthcheck" 0 "[NONE]" sh -c '"$docker" create --name checked --no-healthcheck busybox true >/dev/null; "$docker" inspect -f "{{.Config.Healthcheck.Test}}" checked; "$docker" rm checked >/dev/null'
check_has "an interval that is too short" 125 "Interval in Healthcheck cannot be less than 1ms" d run --rm --health-cmd true --health-interval 1us busybox true
