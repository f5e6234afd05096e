#!/bin/sh
# Installs or upgrades the service, or rolls it back. Run it as root, from a checkout, an unpacked release, or the folder
# that `review-notifier files systemd` has written:
#
#   install.sh            install this version beside the others and switch to it
#   install.sh rollback   switch back to the version before, with the SQLite database as it was before the upgrade
#
# The first installation carries over the .env of the checkout, or of the folder above that of this file, and the
# worker.toml beside it; DOTENV names another .env. PYTHON names the interpreter to use (3.11 or newer). ROOT is put
# before every path, for trying it out.
set -eu
# The user of the service has to get to its program and settings, whatever root is used to.
umask 022

ROOT=${ROOT:-}
PYTHON=${PYTHON:-python3}
SYSTEMCTL=${SYSTEMCTL:-systemctl}

# What is installed from a package index where there is no checkout; `review-notifier files` writes its own release here.
release=

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
if [ -z "$release" ]; then
    source=$(CDPATH='' cd -- "$here/../.." && pwd)
    package=$source
    examples=$source
else
    source=$(dirname -- "$here")
    package=langsmith-review-notifier==$release
    examples=$here
fi
dotenv=${DOTENV:-$source/.env}
home=$ROOT/opt/review-notifier
settings=$ROOT/etc/review-notifier
state=$ROOT/var/lib/review-notifier
units=$ROOT/etc/systemd/system

say() { printf '%s\n' "$*"; }
fail() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }

check() {
    [ -n "$ROOT" ] || [ "$(id -u)" = 0 ] || fail "run it as root: sudo $0"
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$PYTHON is older than 3.11: set PYTHON to a newer one"
}

# Each version has a folder of its own, named after the time: a download that breaks off never becomes a version.
build() {
    mkdir -p "$home/versions"
    version=$(mktemp -d "$home/versions/$(date -u +%Y%m%d-%H%M%S)-XXXX")
    chmod 755 "$version"
    trap 'rm -rf "$version"' EXIT
    "$PYTHON" -m venv "$version"
    "$version/bin/python" -m pip install --quiet --disable-pip-version-check -c "$examples/constraints.txt" "$package"
    "$version/bin/review-notifier" --version
}

write_settings() {
    mkdir -p "$settings"
    chmod 755 "$settings"
    trial=$(dirname -- "$dotenv")/worker.toml
    if [ -z "$before" ] && [ ! -e "$settings/worker.toml" ] && [ -e "$trial" ]; then
        cp "$trial" "$settings/worker.toml"
        say "Carried over: $trial"
    fi
    # As comments alone: the queues and channels of an example belong to no one here.
    [ -e "$settings/worker.toml" ] ||
        sed 's/^[^#]/# &/' "$examples/worker.toml.example" >"$settings/worker.toml"
    [ -e "$settings/environment" ] || cp "$here/environment" "$settings/environment"
    for secret in langsmith_api_key slack_bot_token; do
        [ -e "$settings/$secret" ] || (umask 077 && : >"$settings/$secret")
        chmod 600 "$settings/$secret"
    done
}

# The secrets of the .env go to their files, the rest to `environment`; the program itself knows which are which.
carry_over() {
    [ -z "$before" ] && [ -e "$dotenv" ] && [ ! -s "$settings/langsmith_api_key" ] &&
        [ ! -s "$settings/slack_bot_token" ] || return 0
    "$version/bin/python" -I - "$dotenv" "$settings" "$here" "$units/review-notifier.service.d" <<'PROGRAM'
import os
import shutil
import sys
from pathlib import Path

from dotenv import dotenv_values
from worker.settings.model import EVERY

dotenv, settings, here, more = map(Path, sys.argv[1:])
secret = {name for one in EVERY.values() if one.secret for name in one.envs}
found = {name: text for name, text in dotenv_values(dotenv, interpolate=False).items() if text and text.strip()}
# Paths of the folder that it comes from, which the service does not see, and a database that it has not.
left = {name for name in found if name.endswith("_FILE") and name.removesuffix("_FILE") in secret} | {"WORKER_CONFIG"}
left |= {name for name, text in found.items() if name == "WORKER_DATABASE_URL" and text.startswith("sqlite")}
left |= {name for name, text in found.items() if name not in secret and "\n" in text}
carried = {name: text for name, text in found.items() if name not in left}

os.umask(0o077)
more.mkdir(mode=0o755, parents=True, exist_ok=True)
for name in sorted(secret & carried.keys()):
    (settings / name.lower()).write_text(carried[name].strip() + "\n", encoding="utf-8")
    (settings / name.lower()).chmod(0o600)
    if name not in {"LANGSMITH_API_KEY", "SLACK_BOT_TOKEN"}:
        part = more / f"60-{name.lower()}.conf"
        if name == "WORKER_DATABASE_URL":
            shutil.copy(here / "postgresql.conf", part)
        else:
            part.write_text(f"[Service]\nLoadCredential={name.lower()}:/etc/review-notifier/{name.lower()}\n")
        part.chmod(0o644)
with open(settings / "environment", "a", encoding="utf-8") as environment:
    environment.write(f"\n# From {dotenv}:\n")
    for name in sorted(carried.keys() - secret):
        text = carried[name].replace("\\", "\\\\").replace('"', '\\"')
        environment.write(f'{name}="{text}"\n')
print(f"Carried over from {dotenv}: {', '.join(sorted(carried)) or 'nothing'}")
if left & found.keys():
    print(f"Left where they are: {', '.join(sorted(left & found.keys()))}")
PROGRAM
}

# Before its first start, too, `check` finds where the database will be. systemd takes the folder over.
make_state() {
    if [ ! -e "$state" ] && [ ! -L "$state" ]; then
        mkdir -p "$state"
        chmod 700 "$state"
    fi
}

write_units() {
    mkdir -p "$units/review-notifier.service.d" "$ROOT/usr/local/bin"
    cp "$here/review-notifier.service" "$units/"
    if [ "$("$SYSTEMCTL" --version | awk 'NR == 1 {print int($2)}')" -ge 254 ]; then
        cp "$here/backoff.conf" "$units/review-notifier.service.d/50-backoff.conf"
    fi
    cp "$here/review-notifier" "$ROOT/usr/local/bin/review-notifier"
    chmod 755 "$ROOT/usr/local/bin/review-notifier"
    "$SYSTEMCTL" daemon-reload
}

# The link is replaced in one step: at no time is there no version.
switch_to() {
    ln -sfn "$1" "$home/.link"
    mv -T "$home/.link" "$home/current"
}

# What is done in the folder of the service, whose user may have put links there, is done with its owner's rights alone.
as_owner() {
    owner=$(stat -L -c %u "$state")
    if [ "$owner" = "$(id -u)" ]; then
        (cd "$state" && "$@")
    else
        (cd "$state" && setpriv --reuid "$owner" --regid "$(stat -L -c %g "$state")" --clear-groups "$@")
    fi
}

# The copy is made by the version that wrote the database, while it runs.
save_database() {
    [ -e "$state/worker.db" ] || return 0
    saved=$home/backups/$(basename "$1").db
    mkdir -p "$home/backups"
    chmod 700 "$home/backups"
    rm -f "$saved"
    "$1/bin/python" -I "$here/review-notifier" --root "$ROOT" --save "$1/bin/review-notifier" "$saved"
}

forget_older() {
    for each in "$home"/versions/*; do
        [ "$each" = "$(readlink "$home/current")" ] || [ "$each" = "$(readlink "$home/previous" || true)" ] ||
            rm -rf "$each"
    done
    for each in "$home"/backups/*.db; do
        name=$(basename "$each" .db)
        [ "$name" = replaced ] || [ -d "$home/versions/$name" ] || rm -f "$each"
    done
}

install() {
    check
    build
    before=$(readlink "$home/current" || true)
    [ -z "$before" ] || save_database "$before"
    trap - EXIT
    write_settings
    carry_over
    make_state
    write_units
    [ -z "$before" ] || ln -sfn "$before" "$home/previous"
    switch_to "$version"
    forget_older
    if [ -z "$before" ] && [ -s "$settings/langsmith_api_key" ] && [ -s "$settings/slack_bot_token" ]; then
        say "Now run:"
        say "  review-notifier check && systemctl enable --now review-notifier"
    elif [ ! -s "$settings/langsmith_api_key" ] || [ ! -s "$settings/slack_bot_token" ]; then
        say "Now write the secrets into $settings/langsmith_api_key and $settings/slack_bot_token,"
        say "queues and channels into $settings/worker.toml, and run:"
        say "  review-notifier check && systemctl enable --now review-notifier"
    elif "$SYSTEMCTL" is-enabled --quiet review-notifier; then
        "$SYSTEMCTL" restart review-notifier
        say "The service runs it. Back to the version before: $0 rollback"
    fi
}

rollback() {
    check
    before=$(readlink "$home/previous" || true)
    [ -n "$before" ] && [ -d "$before" ] || fail "there is no version before this one"
    # All that may fail is done before the stop.
    number=$("$before/bin/review-notifier" --version) || fail "the version before does not run: $before"
    saved=$home/backups/$(basename "$before").db
    restored=
    if [ -e "$saved" ]; then
        make_state
        restored=worker.db.restored
        as_owner rm -f "$restored"
        (umask 077 && as_owner dd of="$restored" conv=excl,fsync bs=1M status=none) <"$saved"
    fi
    "$SYSTEMCTL" stop review-notifier
    if [ -n "$restored" ]; then
        # A link is moved as such, and is no database.
        [ ! -e "$state/worker.db" ] || mv -T "$state/worker.db" "$home/backups/replaced.db"
        [ ! -L "$home/backups/replaced.db" ] || rm "$home/backups/replaced.db"
        as_owner rm -f worker.db-wal worker.db-shm
        as_owner mv -T "$restored" worker.db
    fi
    switch_to "$before"
    rm -f "$home/previous"
    "$SYSTEMCTL" start review-notifier
    if [ -n "$restored" ]; then
        say "Back at: $number, with the database as it was before the upgrade."
    else
        say "Back at: $number. The program alone went back, there was no copy of a database:"
        say "a PostgreSQL that the upgrade migrated has to be restored from its dump."
    fi
}

case ${1:-install} in
install) install ;;
rollback) rollback ;;
*) fail "use: install.sh [install | rollback]" ;;
esac
