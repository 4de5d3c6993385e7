#!/bin/sh
# A dump into an empty database of a server that has howdah_owner (deploy/postgres-init.sh): restore.sh howdah.dump
# Roles first (migrations/roles.sql is run by `npm run migrate`, which then has nothing more to do); all or nothing.
set -eu
: "${DATABASE_URL:?the connection of the owner}"
pg_restore --no-owner --exit-on-error --single-transaction --dbname "$DATABASE_URL" "$1"
