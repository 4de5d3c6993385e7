#!/bin/sh
# A base backup, with which a restore to any later moment begins: base.sh /backup/base
# Connects as libpq does (PGHOST, PGUSER, …), as a role with REPLICATION. Wants pg_basebackup of the server's major version.
set -eu
to=$1/$(date -u +%Y-%m-%dT%H%M%SZ)
pg_basebackup --pgdata "$to.partial" --format plain --wal-method stream --checkpoint fast --manifest-checksums SHA256
pg_verifybackup "$to.partial"
mv "$to.partial" "$to"
echo "$to"
