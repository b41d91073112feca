#!/bin/sh
# Makes the secrets of compose.yaml beside this file, in secrets/: passwords of 32 random characters, and the settings that
# hold them. What is there stays as it is, so it may be run again. The folder is closed to everybody else; the files in it
# are not, since each container reads them as a user of its own.
set -eu
umask 077
cd "$(dirname "$0")"
mkdir -p secrets/alertmanager
chmod 755 secrets/alertmanager # what a container sees of the folder around it is this one
cd secrets
umask 022

password() { # NAME
    [ -s "$1" ] || head -c 24 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n' >"$1"
    cat "$1"
}

settings() { # FILE LOGIN PASSWORD
    [ -s "$1" ] || printf 'dsn = "postgresql://%s:%s@store/gaugebook"\n' "$2" "$3" >"$1"
}

settings owner.toml gaugebook "$(password store_password)"
settings collector.toml collector "$(password collector_password)"
settings tick.toml tick "$(password tick_password)"
broker=$(password rabbitmq_password)
[ -s rabbitmq_user.conf ] || printf 'default_user = gaugebook\ndefault_pass = %s\n' "$broker" >rabbitmq_user.conf
password grafana_admin_password >/dev/null
password grafana_store_password >/dev/null

# Nobody can make these up: addresses and keys of your own accounts. Alertmanager starts without, and cannot tell anybody.
for name in slack_url smtp_password pagerduty_key program_token deadman_token; do
    [ -e "alertmanager/$name" ] || : >"alertmanager/$name"
    [ -s "alertmanager/$name" ] || echo "empty: $(pwd)/alertmanager/$name" >&2
done
