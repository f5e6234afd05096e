#!/bin/sh
# A password in single quotes in .env reaches pydantic-settings without the part that looks like a variable.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check pydantic-settings==2.16.3 python-dotenv==1.2.4
cat <<'END'
Version:  python-dotenv 1.2.4, pydantic-settings 2.16.3.
Expected: single quotes keep a value as it is written, as in the shell that this kind of file comes from: PASSWORD='p${a}ss' is the
          seven characters between the quotes, and a shell that reads the same file agrees.
Seen:     the shell keeps them. python-dotenv puts variables into values of either kind of quotes, and nothing where there is no such
          variable; pydantic-settings reads by it, so its password is three characters long. Nothing is logged and nothing fails until
          the password is refused. A SecretStr shows neither. dotenv_values(interpolate=False) keeps the value.
END
printf "PASSWORD='p\${a}ss'\n" > "$place/.env"
cd "$place"
# shellcheck disable=SC2016  # what the inner shell makes of the file
env -u a -u PASSWORD sh -c '. ./.env; printf "%s" "$PASSWORD"' > shell.txt
env -u a -u PASSWORD ./venv/bin/python - <<'END'
import sys
from pathlib import Path

from dotenv import dotenv_values
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_file=".env")
    password: str


seen = {
    "the shell": Path("shell.txt").read_text(),
    "python-dotenv": dotenv_values(".env")["PASSWORD"],
    "python-dotenv, told to put nothing in": dotenv_values(".env", interpolate=False)["PASSWORD"],
    "pydantic-settings": Settings().password,
}
for who, value in seen.items():
    print(f"{who}: {value} ({len(value)} characters)")
sys.exit(0 if list(seen.values()) == ["p${a}ss", "pss", "p${a}ss", "pss"] else 1)
END
