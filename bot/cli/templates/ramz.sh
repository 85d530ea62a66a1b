#!/bin/sh
# A command of Ramz with the settings of the service, and as its user: ramz kpi, ramz staff list, ramz --help
# /usr/local/bin/ramz, as flask deploy systemd --wrapper prints it.
set -eu
settings=[[ environment | quoted ]]
if [ ! -r "$settings" ]; then
    echo "ramz: $settings: is not there, or not yours to read; run it as root" >&2
    exit 2
fi
number=0
while IFS= read -r line || [ -n "$line" ]; do
    number=$((number + 1)) value=${line#*=} reads_alike=yes
    case $line in
        '' | '#'* | ';'*) continue ;;
        [!A-Z]*) reads_alike=no ;;
        *=*) ;;
        *) reads_alike=no ;;
    esac
    # As it stands, or whole between single quotes: what systemd would read otherwise is not taken.
    case $value in
        \'*\') value=${value#?} value=${value%?}; case $value in *\'*) reads_alike=no ;; esac ;;
        *[\'\"\\]* | ' '* | *' ') reads_alike=no ;;
    esac
    if [ $reads_alike = no ]; then
        echo "ramz: $settings: line $number: must be NAME=VALUE or NAME='VALUE', without other quotes, backslashes, outer spaces and invisible marks" >&2
        exit 2
    fi
    export "${line%%=*}=$value"
done <"$settings"
export FLASK_APP=[[ (root ~ "/wsgi.py") | quoted ]]
# What deploy prints or writes is for root's places.
if [ "$(id -u)" = 0 ] && [ "${1:-}" != deploy ] && [ [[ user | quoted ]] != root ]; then
    # As the service has it: what reads files at home, PostgreSQL's TLS for one, may not read root's.
    HOME=$(getent passwd [[ user | quoted ]] | cut -d: -f6)
    export HOME
    exec setpriv --reuid=[[ user | quoted ]] --regid=[[ user | quoted ]] --init-groups -- [[ flask | quoted ]] "$@"
fi
exec [[ flask | quoted ]] "$@"
