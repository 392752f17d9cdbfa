#!/bin/sh
# Runs a temporary PostgreSQL server that can be killed. Reads the commands `kill` and `start`, one per line, and
# prints the command when it is done. First prints the directory of the socket, when the server is ready. Stops the
# server and removes all files when the standard input is closed.
set -eu

for bin in "$(command -v initdb > /dev/null && dirname "$(command -v initdb)")" /usr/lib/postgresql/*/bin; do
    [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ] && break
done
[ -x "$bin/initdb" ] || { echo "initdb and postgres not found: install PostgreSQL, or add its bin directory to PATH" >&2; exit 3; }

dir=$(mktemp -d "${TMPDIR:-/tmp}/factum-killable.XXXXXX")
trap 'rm -rf "$dir"' EXIT
# The server does not run as root.
as() { "$@"; }
if [ "$(id -u)" = 0 ]; then
    chown postgres "$dir"
    # Unlike `runuser`, `setpriv` starts no intermediate process, which would be stopped with the server.
    as() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
fi
cd "$dir"

start() {
    # Removes the output of the previous server.
    : > "$dir/server.log"
    # The operating system keeps running, so it keeps data that was written but not synced. Without fsync=off, the
    # recovery would sync the whole data directory, which takes longer than the rest of the test.
    as "$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c max_connections=200 -c fsync=off \
        > "$dir/server.log" 2>&1 &
    server=$!
    tries=0
    until grep -q "ready to accept connections" "$dir/server.log"; do
        tries=$((tries + 1))
        { kill -0 $server && [ $tries -lt 3000 ]; } || { cat "$dir/server.log" >&2; exit 1; }
        sleep 0.02
    done
}

# Returns whether a process has ended. A zombie has ended, too.
ended() { case "$(ps -o stat= -p "$1")" in '' | Z*) true ;; *) false ;; esac; }

# Stops the postmaster first, so that it starts no more children.
kill_all() {
    pid=$(head -n 1 "$dir/data/postmaster.pid")
    kill -STOP "$pid"
    all="$pid $(pgrep -P "$pid")"
    # One of the children may have ended already.
    kill -KILL $all 2> /dev/null || true
    # The data directory can be used again when the last process has ended.
    for one in $all; do
        until ended "$one"; do sleep 0.01; done
    done
    wait $server || true
    server=
}

stop() {
    trap '' HUP INT TERM
    # No server runs between `kill` and `start`.
    if [ -n "${server:-}" ] && kill -0 "$server" 2> /dev/null; then
        kill_all
    fi
    rm -rf "$dir"
}
trap stop EXIT

as "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C --no-sync > "$dir/initdb.log"
start
echo "$dir"
while read -r command; do
    case $command in
        kill) kill_all ;;
        start) start ;;
        *) echo "unknown command: $command" >&2; exit 2 ;;
    esac
    echo "$command"
done
