#!/usr/bin/env bash
# Walks through the gRPC API of a running Spec Service by its reflection with `buf curl`, and checks each answer.
#
# Usage: scripts/test-grpc.sh [ADDRESS]     (default: http://127.0.0.1:50051)
# `BUF` is the program, by default `npx --yes @bufbuild/buf@1.75.0`.
set -euo pipefail
base=${1:-http://127.0.0.1:50051}
read -ra buf <<< "${BUF:-npx --yes @bufbuild/buf@1.75.0}"
name="walk-$(date +%s)-$$"
# A package.json in a parent folder must not change what npx runs.
cd "$(mktemp -d)"
trap 'rm -r "$PWD"' EXIT

connection=(--protocol grpc --http2-prior-knowledge)

# Calls a method, prints it with its result, and fails unless the answer contains a text.
# Usage: call METHOD MESSAGE TEXT
call() {
    local answer
    answer=$("${buf[@]}" curl "${connection[@]}" --header 'X-Actor: ada' --data "$2" "$base/$1" 2>&1) || true
    printf '%-45s %s\n' "$1" "$2"
    last=$(tr --delete ' \n' <<< "$answer")
    if [[ $last != *"$3"* ]]; then
        echo "expected $3 in: $answer" >&2
        exit 1
    fi
}

# Prints a text field of the last answer.
field() {
    sed "s/.*\"$1\":\"\([^\"]*\)\".*/\1/" <<< "$last"
}

services=$("${buf[@]}" curl "${connection[@]}" --list-services "$base")
grep --quiet --line-regexp spec.v1.SpecService <<< "$services"
call grpc.health.v1.Health/Check '{"service": "spec.v1.SpecService"}' SERVING

call spec.v1.SpecService/CreateSpec "{\"name\": \"$name\", \"content\": \"limit: 250\\n\"}" '"version":"1"'
id=$(field id)
call spec.v1.SpecService/CreateSpec "{\"name\": \"$name\", \"content\": \"limit: 1\\n\"}" already_exists
call spec.v1.SpecService/CreateSpec "{\"name\": \"$name-2\", \"content\": \"a: 1\\na: 2\\n\"}" invalid_argument
call spec.v1.SpecService/UpdateSpec "{\"id\": \"$id\", \"content\": \"limit: 300\\n\", \"expected_revision\": 1}" '"version":"2"'
call spec.v1.SpecService/UpdateSpec "{\"id\": \"$id\", \"content\": \"limit: 400\\n\", \"expected_revision\": 1}" aborted
call spec.v1.SpecService/PublishSpec "{\"id\": \"$id\", \"reason\": \"agreed\"}" '"publishedVersion":"2"'
call spec.v1.SpecService/GetSpec "{\"id\": \"$id\", \"version\": 1}" 'limit:250'
call spec.v1.SpecService/ListSpecs '{"state": "SPEC_STATE_PUBLISHED"}' '"total"'
call spec.v1.SpecService/DeprecateSpec "{\"id\": \"$id\", \"reason\": \"replaced\"}" '"success":true'
call spec.v1.SpecService/PublishSpec "{\"id\": \"$id\"}" failed_precondition
call spec.v1.SpecService/DeleteSpec "{\"id\": \"$id\"}" '"success":true'
call spec.v1.SpecService/GetSpecHistory "{\"id\": \"$id\"}" spec.deleted
call spec.v1.SpecService/GetSpec '{"id": "00000000-0000-0000-0000-000000000000"}' not_found
echo "all answers are as expected"
