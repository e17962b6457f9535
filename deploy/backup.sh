#!/bin/sh
# insulae-backup FOLDER
#
# Copies every database of the server in DATABASE_DIRECT_URL (or DATABASE_URL, where there is no connection
# pooler), and the roles with their passwords' hashes, into a new folder below FOLDER; keeps the newest 14. Tenants' rows are behind forced Row-Level Security,
# and the roles of tenants' own databases have passwords of their own: it takes a superuser.
# How to bring one back: docs/runbooks/restore.md.
set -eu

server=${DATABASE_DIRECT_URL:-${DATABASE_URL:?}}
folder=${1:?the folder for the copies}
keep=14
stamp=$(date -u +%Y-%m-%dT%H%M%SZ)
draft=$folder/.unfinished-$stamp

url_of() { printf %s "$server" | sed -E "s#^([a-z]+://[^/]*)/[^?]*#\1/$1#"; }

umask 077
rm -rf "$folder"/.unfinished-*
mkdir -p "$draft"
pg_dumpall --dbname="$server" --roles-only --file="$draft/roles.sql"
psql "$server" --no-align --tuples-only --set=ON_ERROR_STOP=1 --command \
  "select datname from pg_database where datallowconn and not datistemplate order by datname" |
  while read -r name; do
    pg_dump --dbname="$(url_of "$name")" --format=custom --file="$draft/$name.dump"
    # What can't be read is no copy.
    pg_restore --list "$draft/$name.dump" >/dev/null
  done
sync
mv "$draft" "$folder/$stamp"
find "$folder" -mindepth 1 -maxdepth 1 -type d -name '20*' | sort -r | tail -n +$((keep + 1)) |
  while read -r old; do rm -r "$old"; done
echo "$folder/$stamp"
