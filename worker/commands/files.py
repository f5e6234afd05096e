"""The `files` command: writes what the package carries beside the program, so that no checkout is needed."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

import worker
from worker.commands import tables
from worker.commands.writing import PLAIN, PROGRAM, UnwrittenError, write
from worker.settings.names import did_you_mean
from worker.version import release

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Carried(Struct, frozen=True):
    """A file: its name here, `GROUP/FILE`, what it is for, and where it stands in a checkout."""

    name: str
    purpose: str
    source: str

    @property
    def group(self) -> str:
        """The folder that it is written to with its whole group."""
        return self.name.partition("/")[0]

    @property
    def file(self) -> str:
        """The name that it is written by."""
        return self.name.partition("/")[2]

    def text(self) -> str:
        """Its content, which speaks of this release in place of a checkout."""
        text = (_root() / self.source).read_text(encoding="utf-8")
        for there, here in _ADAPTED.items():
            text = text.replace(there, here.replace("RELEASE", release()))
        return text


def _root() -> Path:
    """The place of the files: inside an installed package, or the checkout."""
    package = Path(worker.__file__).parent
    installed = package / "_files"
    return installed if installed.is_dir() else package.parent


_ADAPTED = {
    "      context: ../..\n      dockerfile: deploy/container/Dockerfile\n": "      context: .\n",
    '      args: {COMMIT: "${COMMIT:-unknown}"}\n': '      args: {ORIGIN: index, VERSION: "RELEASE"}\n',
    "    image: review-notifier\n": "    image: review-notifier:RELEASE\n",
    "cp ../../worker.toml.example worker.toml ": "review-notifier files toml && mv worker.toml.example worker.toml ",
    "COMMIT=$(git rev-parse HEAD) docker": "docker",
    "image: review-notifier:latest ": "image: review-notifier:RELEASE ",
    "\nrelease=\n": "\nrelease=RELEASE\n",
}
"""What is true in a checkout alone, with what is written in its place."""


def _deployed(name: str, purpose: str) -> Carried:
    return Carried(name, purpose, f"deploy/{name}")


_VERSIONS = "the versions of all libraries that the tests ran with"

CARRIED = (
    _deployed("slack/manifest.yaml", "the Slack app: messages in channels"),
    _deployed("slack/manifest-people.yaml", "the Slack app that also mentions people and writes to them"),
    _deployed("slack/manifest-actions.yaml", "the same with menus in messages, /reviews and a Home tab"),
    Carried("settings/.env.example", "every setting with its meaning, to become .env", ".env.example"),
    Carried("settings/worker.toml.example", "settings of each queue, to become worker.toml", "worker.toml.example"),
    _deployed("systemd/install.sh", "installs the service, upgrades it, rolls it back"),
    _deployed("systemd/review-notifier.service", "the systemd unit"),
    _deployed("systemd/environment", "settings of the service that are no secrets"),
    _deployed("systemd/review-notifier", "runs a command as the service would"),
    _deployed("systemd/backoff.conf", "longer and longer pauses between restarts, for systemd 254 and newer"),
    _deployed("systemd/postgresql.conf", "the unit with PostgreSQL"),
    Carried("systemd/worker.toml.example", "what the installer begins a worker.toml with", "worker.toml.example"),
    Carried("systemd/constraints.txt", _VERSIONS, "constraints.txt"),
    _deployed("container/Dockerfile", "the image"),
    _deployed("container/compose.yaml", "one container with SQLite on a volume"),
    _deployed("container/compose.postgresql.yaml", "the same with PostgreSQL"),
    Carried("container/constraints.txt", _VERSIONS, "constraints.txt"),
    Carried("container/.dockerignore", "keeps secrets out of what the image is built of", ".dockerignore"),
    _deployed("kubernetes/review-notifier.yaml", "one replica, with health checks and a network policy"),
    _deployed("monitoring/alerts.yaml", "alert rules for Prometheus"),
    _deployed("monitoring/dashboard.json", "a dashboard for Grafana"),
)

_SHORT: Mapping[str, str] = {
    "unit": "systemd/review-notifier.service",
    "env": "settings/.env.example",
    "toml": "settings/worker.toml.example",
}
"""Other names of some files."""

STDOUT = Path("-")
"""The folder that means standard output."""


class UnknownFileError(ValueError):
    """No file has the name; `str()` says which there are."""


def print_list(*, as_json: bool) -> None:
    """Print what can be written."""
    if as_json:
        tables.print_json({"files": [{"name": each.name, "about": each.purpose} for each in CARRIED]})
        return
    tables.print_table(("Name", "What it is"), [(each.name, each.purpose) for each in CARRIED], empty="")
    tables.say(
        "",
        "`review-notifier files NAME` writes it into this folder, or into that of --to; `--to -` prints it.",
        "NAME may leave out folder and ending; a folder means all that is in it, `all` means everything.",
    )


def found_files(name: str) -> tuple[Sequence[Carried], bool]:
    """The files that a name means, and whether it is that of a group. Raises UnknownFileError."""
    wanted = _SHORT.get(name, name).rstrip("/")
    group = [each for each in CARRIED if wanted in {each.group, "all"}]
    if group:
        return group, True
    for names in (_whole, _last, _stem):
        meant = [each for each in CARRIED if names(each) == wanted]
        if len({each.source for each in meant}) == 1:
            return meant[:1], False
    known = dict.fromkeys(part for each in CARRIED for part in (each.group, each.file, _stem(each)))
    raise UnknownFileError(f"no file is called {name!r}{did_you_mean(name, known)}; `review-notifier files` lists them")


def _whole(each: Carried) -> str:
    return each.name


def _last(each: Carried) -> str:
    return each.file


def _stem(each: Carried) -> str:
    return each.file.rpartition(".")[0] or each.file


def write_files(name: str, folder: Path, *, force: bool) -> None:
    """Write the files of a name into a folder, those of a group into one of its own. Raises UnwrittenError."""
    chosen, is_group = found_files(name)
    if folder == STDOUT:
        sys.stdout.write("".join(each.text() for each in chosen))
        return
    texts = {folder / (each.name if is_group else each.file): each.text() for each in chosen}
    taken = [] if force else [file for file, text in texts.items() if _differs(file, text)]
    if taken:
        names = ", ".join(str(file) for file in taken)
        raise UnwrittenError(f"there already, with other content: {names}; nothing was written. --force overwrites it")
    for file, text in texts.items():
        is_same = not force and os.path.lexists(file)
        if not is_same:
            write(file, text, PROGRAM if text.startswith("#!") else PLAIN, over=force)
        tables.say(f"{file} is there already, the same" if is_same else f"Wrote {file}")


def _differs(file: Path, text: str) -> bool:
    """Whether something else has the name."""
    if not os.path.lexists(file):
        return False
    try:
        return file.read_text(encoding="utf-8") != text
    except (OSError, ValueError):
        return True
