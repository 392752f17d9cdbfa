#!/bin/sh
# A PostgreSQL server of its own that can be killed: takes the orders `kill` and `start`, one a line, and answers each
# with a line once it is done. First prints the directory that holds its socket, once the server answers. Stops and
# removes everything when its standard input ends, however the caller ended.
set -eu

for bin in "$(command -v initdb > /dev/null && dirname "$(command -v initdb)")" /usr/lib/postgresql/*/bin; do
    [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ] && break
done
[ -x "$bin/initdb" ] || { echo "no initdb and postgres on the path or below /usr/lib/postgresql" >&2; exit 3; }

dir=$(mktemp -d "${TMPDIR:-/tmp}/factum-killable.XXXXXX")
trap 'rm -rf "$dir"' EXIT
# The server refuses to run as root.
as() { "$@"; }
if [ "$(id -u)" = 0 ]; then
    chown postgres "$dir"
    # Unlike `runuser`, this leaves no process between, which would stop with the server.
    as() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
fi
cd "$dir"

start() {
    # What the last one said is not what this one says.
    : > "$dir/server.log"
    # The machine goes on, and with it what was written and not synced. To sync all of a data directory that never
    # was would take the start behind a kill longer than anything else here.
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

# Whether a process has ended; one that nobody has waited for has, too.
ended() { case "$(ps -o stat= -p "$1")" in '' | Z*) true ;; *) false ;; esac; }

# Stopped first, so that it makes no more children meanwhile.
kill_all() {
    pid=$(head -n 1 "$dir/data/postmaster.pid")
    kill -STOP "$pid"
    all="$pid $(pgrep -P "$pid")"
    # One of the children may just have ended.
    kill -KILL $all 2> /dev/null || true
    # The data directory can be used again once the last of them is gone.
    for one in $all; do
        until ended "$one"; do sleep 0.01; done
    done
    wait $server || true
    server=
}

stop() {
    trap '' HUP INT TERM
    # Nothing runs between a kill and the next start.
    if [ -n "${server:-}" ] && kill -0 "$server" 2> /dev/null; then
        kill_all
    fi
    rm -rf "$dir"
}
trap stop EXIT

as "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C --no-sync > "$dir/initdb.log"
start
echo "$dir"
while read -r order; do
    case $order in
        kill) kill_all ;;
        start) start ;;
        *) echo "no such order: $order" >&2; exit 2 ;;
    esac
    echo "$order"
done
