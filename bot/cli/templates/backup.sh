#!/bin/sh
# A backup of Ramz's database that has been restored once, and its audit proven: ramz-backup FOLDER
# /usr/local/sbin/ramz-backup, as flask deploy backup prints it. Settings come from the environment, as the service's.
# Status 0 and the file's name; or another status, and no file.
set -eu
umask 077
folder=${1:-[[ backups ]]}
export FLASK_APP=[[ (root ~ "/wsgi.py") | quoted ]] PYTHONPATH=[[ root | quoted ]]
python=[[ python | quoted ]] flask=[[ flask | quoted ]]
# Of DATABASE_URL, which may be in a file: a part of it, or the whole with another database.
url() {
    "$python" -c 'import os, sys
from sqlalchemy.engine import URL, make_url
from bot.settings import read_for_command
url = make_url(read_for_command(os.environ).database_url)
if sys.argv[1] == "shown":
    sys.exit(print(url.render_as_string(hide_password=True)))
[% if is_past_pooler %]
own = {**url.query, "host": os.environ["PGHOST"], "port": os.environ["PGPORT"]}
own.pop("pooler", None)
url = URL.create(url.drivername, url.username, url.password, database=url.database, query=own)
[% endif %]
print(url.password or "" if sys.argv[1] == "password" else url.set(database=sys.argv[2]).render_as_string(False))' "$@"
}
# Else the database that was moved away from would be backed up, night after night.
if [ "$(url shown)" != [[ address | quoted ]] ]; then
    echo "ramz-backup: DATABASE_URL is another since this was printed; flask deploy backup prints it anew" >&2
    exit 2
fi
mkdir -p "$folder"
file=$folder/ramz-$(date -u +%Y%m%dT%H%M%SZ).[[ "dump" if is_postgresql else "db" ]]
part=$file.part
[% if is_postgresql %]
[% if server %]
export PGHOST=[[ server | quoted ]] PGPORT=[[ server_port | quoted ]] PGTARGETSESSIONATTRS=read-write
[% endif %]
[% if role %]
export PGUSER=[[ role | quoted ]]
[% endif %]
PGPASSWORD=$(url password)
export PGPASSWORD
check=[[ check | quoted ]]
emptied() { psql --quiet --no-psqlrc --dbname="$check" --command='DROP OWNED BY CURRENT_USER'; }
trap 'rm -f "$part"; emptied' EXIT

pg_dump --format=custom --no-owner --file="$part" [[ database | quoted ]]
emptied
pg_restore --exit-on-error --no-owner --dbname="$check" "$part"
DATABASE_URL=$(url whole "$check")
export DATABASE_URL
unset DATABASE_URL_FILE
[% else %]
copy=$folder/.restored.db
trap 'rm -f "$part" "$copy" "$copy"-*' EXIT

copied() {
    "$python" -c 'import sqlite3, sys
source, target = (sqlite3.connect(f"file:{it}", uri=True) for it in (sys.argv[1] + "?mode=ro", sys.argv[2]))
source.backup(target)
assert target.execute("PRAGMA integrity_check").fetchone() == ("ok",)
target.execute("PRAGMA journal_mode = DELETE")' "$@"
}
rm -f "$copy"
copied [[ database | quoted ]] "$part"
copied "$part" "$copy"
export DATABASE_URL="sqlite:///$copy"
unset DATABASE_URL_FILE
[% endif %]
"$flask" audit verify
mv "$part" "$file"
find "$folder" -maxdepth 1 -name 'ramz-*' -mtime +[[ days ]] -delete
echo "$file"
