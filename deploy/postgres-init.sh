#!/bin/sh
# Run once by the postgres image, on an empty volume: the owner of the database is no superuser.
set -eu
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --set password="$HOWDAH_OWNER_PASSWORD" <<'SQL'
set password_encryption = 'scram-sha-256';
create role howdah_owner login createrole password :'password';
create database howdah owner howdah_owner;
revoke all on database howdah from public;
alter database howdah set timezone = 'UTC';
SQL
