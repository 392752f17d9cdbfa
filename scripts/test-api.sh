#!/usr/bin/env bash
# Walks through the REST API of a running Spec Service with curl, and checks each answer.
#
# Usage: scripts/test-api.sh [ADDRESS]      (default: http://127.0.0.1:3000)
set -euo pipefail
base=${1:-http://127.0.0.1:3000}
name="walk-$(date +%s)-$$"
answer=$(mktemp -d)
trap 'rm -r "$answer"' EXIT

# Sends a request, prints it with its status, and fails unless the status is the expected one.
# Usage: request STATUS METHOD PATH [ARGUMENT OF CURL]...
request() {
    local expected=$1 method=$2 path=$3 status
    shift 3
    status=$(curl --silent --show-error --max-time 30 --request "$method" --header 'X-Actor: ada' \
        --dump-header "$answer/head" --output "$answer/body" --write-out '%{http_code}' "$@" "$base$path")
    printf '%-6s %-60s %s\n' "$method" "$path" "$status"
    if [ "$status" != "$expected" ]; then
        echo "expected $expected: $(cat "$answer/body")" >&2
        exit 1
    fi
}

# Fails unless the last answer contains a text.
contains() {
    grep --quiet --fixed-strings -- "$1" "$answer/body" || { echo "expected $1 in: $(cat "$answer/body")" >&2; exit 1; }
}

# Prints a text member of the last answer.
member() {
    sed --quiet "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" "$answer/body"
}

# Prints a header of the last answer.
header() {
    sed --quiet "s/^$1: \(.*\)\r$/\1/Ip" "$answer/head"
}

json=(--header 'Content-Type: application/json' --data)
yaml=(--header 'Content-Type: application/yaml' --data-binary)

request 200 GET /readyz
request 200 GET /openapi.json
contains '"openapi":"3.1.0"'

request 201 POST /v1/specs "${json[@]}" "{\"name\": \"$name\", \"content\": \"limit: 250\\n\", \"reason\": \"first draft\"}"
id=$(member id)
position=$(header X-Position)
request 200 GET /v1/specs --header "X-Position: $position"
request 409 POST /v1/specs "${json[@]}" "{\"name\": \"$name\", \"content\": \"limit: 1\\n\"}"
contains '"code":"name_taken"'
request 422 POST /v1/specs "${json[@]}" "{\"name\": \"$name-2\", \"content\": \"a: 1\\na: 2\\n\"}"
contains '"code":"yaml_duplicate_key"'
contains '"line":2'

request 200 GET "/v1/specs/$id"
tag=$(header ETag)
request 200 PUT "/v1/specs/$id?reason=too%20low" --header "If-Match: $tag" "${yaml[@]}" $'limit: 300\n'
contains '"version":2'
request 412 PUT "/v1/specs/$id" --header "If-Match: $tag" "${yaml[@]}" $'limit: 400\n'
contains '"code":"revision_mismatch"'

key="Idempotency-Key: $name"
request 200 POST "/v1/specs/$id/publish" --header "$key" "${json[@]}" '{"reason": "agreed"}'
request 200 POST "/v1/specs/$id/publish" --header "$key" "${json[@]}" '{"reason": "agreed"}'
contains '"published_version":2'
request 200 GET "/v1/specs/$id" --header 'Accept: application/yaml'
contains 'limit: 300'
request 200 GET "/v1/specs/$id/versions/1"
contains 'limit: 250'
request 200 POST "/v1/specs/$id/publish" "${json[@]}" '{"version": 1, "reason": "back to version 1"}'
request 422 POST "/v1/specs/$id/deprecate" "${json[@]}" '{}'
request 200 POST "/v1/specs/$id/deprecate" "${json[@]}" '{"reason": "replaced"}'
request 409 POST "/v1/specs/$id/publish" "${json[@]}" '{}'
contains '"code":"illegal_transition"'
request 204 DELETE "/v1/specs/$id?reason=done"
request 410 GET "/v1/specs/$id"
request 200 GET "/v1/specs/$id/history"
contains '"event_type":"spec.deleted"'
contains '"reason":"back to version 1"'
request 404 GET /v1/specs/00000000-0000-0000-0000-000000000000
request 404 GET /v1/nothing
echo "all answers are as expected"
