#!/bin/sh
# The whole database as one file: dump.sh howdah.dump
# Connects to DATABASE_URL (the owner's). Wants pg_dump of the server's major version or a newer one.
# Roles are not in it: `npm run migrate` makes them on the new server (restore.sh).
set -eu
: "${DATABASE_URL:?the connection of the owner}"
pg_dump --format custom --no-owner --file "$1.partial" "$DATABASE_URL"
# Can it be read?
pg_restore --list "$1.partial" >/dev/null
mv "$1.partial" "$1"
