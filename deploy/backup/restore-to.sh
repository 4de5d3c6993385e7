#!/bin/sh
# Makes a copy of a base backup come up as the database was at a moment:
#   restore-to.sh /backup/base/2026-11-25T020000Z /backup/wal /var/lib/postgresql/data '2026-11-25 13:37:00+00'
# Then start PostgreSQL on it: it replays the archive up to that moment, and opens. What came later is not there.
# The folder must not exist; run it as the account of PostgreSQL.
set -eu
base=$1 archive=$2 data=$3 moment=$4
if [ -e "$data" ]; then
  echo "$data is there already: restore into a new folder." >&2
  exit 1
fi
cp -R "$base" "$data"
chmod 700 "$data"
rm -f "$data/postmaster.pid" "$data/standby.signal"
cat >>"$data/postgresql.auto.conf" <<SETTINGS
restore_command = 'cp "$archive/%f" "%p"'
recovery_target_time = '$moment'
recovery_target_action = 'promote'
SETTINGS
touch "$data/recovery.signal"
echo "Start PostgreSQL on $data."
