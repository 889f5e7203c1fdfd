#!/usr/bin/env bash
# Asks for a replacement card with curl and jq, and follows the task to its end.
# Usage: client.sh URL USERNAME PASSWORD
set -euo pipefail
url=$1 username=$2 password=$3
json='content-type: application/json'

call() { curl --silent --show-error --fail-with-body --max-time 30 -H "$json" "$@"; }

credentials=$(jq -nc --arg username "$username" --arg password "$password" '{$username, $password}')
# 409 if the user is there already: then signing in is enough.
call "$url/api/v1/users" -d "$credentials" >/dev/null || true
token=$(call "$url/api/v1/sessions" -d "$credentials" | jq -r .access_token)
authorization="authorization: Bearer $token"

# One key for one intended request. Without an answer, send the same request with the same key again.
key=$(cat /proc/sys/kernel/random/uuid)
for attempt in 1 2 3 4 5; do
  if task=$(call "$url/api/v1/replacements" -H "$authorization" -H "idempotency-key: $key" -d '{"reason":"lost"}'); then
    break
  fi
  [ "$attempt" -lt 5 ] || exit 1
  sleep "$attempt"
done
id=$(jq -r .id <<<"$task")

# Long-poll: each call waits up to 20 s for the final status.
while :; do
  status=$(call "$url/api/v1/tasks/$id?wait=20s" -H "$authorization" | jq -r .status)
  case $status in succeeded | declined | dead | cancelled) break ;; esac
done
echo "$id $status"
call "$url/api/v1/cards" -H "$authorization" | jq -r '.items[0] | "card ending in \(.last4), \(.status)"'
