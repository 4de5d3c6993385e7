#!/bin/sh
# PostgreSQL's archive_command: archive_command = '/path/archive-wal.sh %p %f /backup/wal'
# Keeps a segment under its name, whole or not at all, and never overwrites another one: then it fails, PostgreSQL keeps
# the segment, and says so in its log.
set -eu
from=$1 name=$2 to=$3
if [ -e "$to/$name" ]; then
  # A second try after a crash is no mistake; another content is.
  cmp -s "$from" "$to/$name"
  exit
fi
cp "$from" "$to/.$name.partial"
sync "$to/.$name.partial"
mv "$to/.$name.partial" "$to/$name"
sync "$to"
