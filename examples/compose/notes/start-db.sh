#!/bin/sh
# Make the cluster on the first start, then become the server.
set -eu
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
data=/var/lib/postgresql/notes
if [ ! -s "$data/PG_VERSION" ]; then
    rm -rf "$data.new"
    "$bin/initdb" --pgdata="$data.new" --username=notes --pwfile=/run/secrets/db_password \
        --auth-host=scram-sha-256 --auth-local=trust --encoding=UTF8 --locale=C.UTF-8 >/dev/null
    echo "host all all all scram-sha-256" >>"$data.new/pg_hba.conf"
    echo "create database notes" | "$bin/postgres" --single -D "$data.new" postgres >/dev/null
    mv "$data.new" "$data"
fi
exec "$bin/postgres" -D "$data" -c listen_addresses='*' -c unix_socket_directories=/tmp
