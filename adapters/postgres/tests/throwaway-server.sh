#!/bin/sh
# Starts a temporary PostgreSQL server that listens on a socket in a temporary directory, and prints the directory once
# the server accepts connections. The arguments are options of the server. Each line of standard input is a command, which
# is printed after it was carried out: stop, crash, start, or standby (before the next start). Stops the server and
# removes the directory when standard input ends, so also when the caller is killed.
set -eu

for bin in "$(command -v initdb >/dev/null && dirname "$(command -v initdb)")" /usr/lib/postgresql/*/bin; do
    [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ] && break
done
[ -x "$bin/initdb" ] || { echo "initdb and postgres not found: install PostgreSQL, or add them to PATH" >&2; exit 3; }

dir=$(mktemp -d "${TMPDIR:-/tmp}/factum-postgres.XXXXXX")
trap 'rm -rf "$dir"' EXIT
# PostgreSQL does not run as root.
as() { "$@"; }
if [ "$(id -u)" = 0 ]; then
    chown postgres "$dir"
    as() { runuser -u postgres -- "$@"; }
fi
cd "$dir"
as "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C --no-sync > "$dir/initdb.log"
start() {
    : > "$dir/server.log"
    as "$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c max_connections=200 "$@" >> "$dir/server.log" 2>&1 &
    server=$!
    until grep -qs "ready to accept" "$dir/server.log"; do
        kill -0 $server || { cat "$dir/server.log" >&2; exit 1; }
        sleep 0.1
    done
}
stop() {
    # The file with the process id does not exist while the server starts, and after it has ended.
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        kill -"$1" "$(head -n 1 "$dir/data/postmaster.pid")" 2> /dev/null && break
        kill -0 $server 2> /dev/null || break
        sleep 0.5
    done
    wait $server || true
}
trap 'stop INT; rm -rf "$dir"' EXIT
start "$@"
echo "$dir"
while read -r command; do
    case $command in
        stop) stop INT ;;
        crash) stop QUIT ;;
        standby) as touch "$dir/data/standby.signal" ;;
        start) start "$@" ;;
    esac
    echo "$command"
done
