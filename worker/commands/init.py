"""The `init` command: asks for what is needed, writes the settings in one step, checks them, offers a test message."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from worker import logs
from worker.clock import SystemClock
from worker.commands import check, init_proof, tables, trial
from worker.commands.asking import Keyboard, UnansweredError
from worker.commands.files import found_files
from worker.commands.init_dialog import NEEDED, Dialog, UnprovenError
from worker.commands.writing import PLAIN, SECRET, UnwrittenError, write
from worker.core.ports import ConfigError
from worker.core.text import plain
from worker.settings.loading import surroundings
from worker.settings.names import FILE_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from worker.commands.asking import Asker


class MissingError(Exception):
    """There is no one to ask, and answers are missing; `str()` says which."""


class UnfinishedError(Exception):
    """Nothing was written; `str()` says why."""


class Wishes(Struct, frozen=True):
    """The command line: answers by the names of their settings (empty: not given), and the folder to write into.

    `test` says whether a test message is posted at the end; None where that is asked.
    """

    answers: Mapping[str, str]
    folder: Path
    is_toml: bool = False
    is_unattended: bool = False
    is_forced: bool = False
    test: bool | None = None


def init(wishes: Wishes) -> bool:
    """Set up; whether everything is proven. Raises MissingError, UnfinishedError, ConfigError."""
    asker = Keyboard() if sys.stdin.isatty() and not wishes.is_unattended else None
    given = init_proof.from_environment() | {
        name: text.strip() for name, text in wishes.answers.items() if text.strip()
    }
    # Of each try only its result counts; what it logs of a failure would stand between question and answer.
    logs.configure_logging(level="critical", form="auto", secrets=())
    answers, lines = set_up(wishes, given, asker)
    tables.say(*lines, *_overridden(answers, wishes.folder), "")
    with contextlib.chdir(wishes.folder):
        well = check.check(as_json=False, live=False)
        if _is_tested(wishes, asker, well=well):
            tables.say("")
            well = trial.test((), as_json=False) and well
    tables.say("", *_next_steps(wishes.folder, well=well))
    return well


def set_up(wishes: Wishes, given: Mapping[str, str], asker: Asker | None) -> tuple[Mapping[str, str], list[str]]:
    """Get all answers, beginning with those `given`, and write them; the answers, and a line on each file.

    Raises MissingError, UnfinishedError.
    """
    try:
        filed = init_proof.Filed.of(given)
    except ConfigError as error:
        raise UnfinishedError(str(error)) from None
    dialog = Dialog({name: text for name, text in given.items() if name in init_proof.ASKED} | dict(filed.texts), asker)
    missing = [f"{option} (or {name})" for name, option in NEEDED.items() if name not in dialog.answers]
    if missing and asker is None:
        raise MissingError(f"nothing can be asked without a terminal; give {', '.join(missing)}")
    try:
        _refuse_early(wishes, asker)
        dialog.hold()
    except UnprovenError as error:
        raise UnfinishedError(str(error)) from None
    except (UnansweredError, KeyboardInterrupt):
        sys.stderr.write("\n")
        raise UnfinishedError("ended before the last answer") from None
    answers = filed.written(dialog.answers)
    return answers, _write_all(wishes, answers, dialog.queues)


def _files(wishes: Wishes) -> list[Path]:
    return [wishes.folder / name for name in ([".env", "worker.toml"] if wishes.is_toml else [".env"])]


def _refuse_early(wishes: Wishes, asker: Asker | None) -> None:
    """Find out before the first question that nothing could be written at the end. Raises UnfinishedError."""
    folder = wishes.folder.absolute()
    existing = next(each for each in (folder, *folder.parents) if os.path.lexists(each))
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        raise UnfinishedError(f"{existing} cannot be written to; name another folder by --to DIR")
    taken = " and ".join(str(file) for file in _files(wishes) if os.path.lexists(file))
    if not taken or wishes.is_forced:
        return
    if asker is None:
        raise UnfinishedError(f"{taken} is there already; with --force it is put aside, and another is written")
    if not asker.confirm(f"{taken} is there already. Put it aside under another name?", default=False):
        raise UnfinishedError(f"{taken} stays as it is")


def _write_all(wishes: Wishes, answers: Mapping[str, str], queues: Mapping[str, str]) -> list[str]:
    """Write every file or none; a line on each. Raises UnfinishedError."""
    lines: list[str] = []
    with contextlib.ExitStack() as undone:
        try:
            for file, (text, mode) in _texts(wishes, answers, queues).items():
                if os.path.lexists(file):
                    lines.append(f"{file} is kept as {_put_aside(file)}")
                else:
                    undone.callback(file.unlink, missing_ok=True)
                write(file, text, mode, over=True)
                lines.append(f"Wrote {file}{', which only you can read' if mode == SECRET else ''}")
        except (UnwrittenError, OSError) as error:
            raise UnfinishedError(str(error)) from None
        undone.pop_all()
    return lines


def _texts(wishes: Wishes, answers: Mapping[str, str], queues: Mapping[str, str]) -> dict[Path, tuple[str, int]]:
    env, *toml = _files(wishes)
    if not toml:
        return {
            env: (env_text(answers, [f"{queue_id} is {name}" for queue_id, name in queues.items() if name]), SECRET)
        }
    text, rest = toml_text(answers, queues)
    return {toml[0]: (text, PLAIN), env: (env_text(rest), SECRET)}


def _put_aside(file: Path) -> Path:
    """Give a file a second name that is free, so that its first can be taken in one step."""
    stamp = f"{file.name}.before-{SystemClock().now():%Y%m%d-%H%M%S}"
    for aside in (file.with_name(stamp + more) for more in ("", *(f"-{number}" for number in range(2, 100)))):
        with contextlib.suppress(FileExistsError):
            os.link(file, aside, follow_symlinks=False)
            return aside
    raise UnwrittenError(f"{file} cannot be put aside: move it away")


def _overridden(answers: Mapping[str, str], folder: Path) -> list[str]:
    """A line on each answer that has no effect, because the environment says something else."""
    there = {name: text.strip() for name, text in surroundings().items() if text.strip()}
    # The worker looks for a file of a secret from the folder that it is started in.
    there |= {name: init_proof.absolute(folder / text) for name, text in there.items() if name.endswith(FILE_SUFFIX)}
    names = [name for name, text in answers.items() if there.get(name, text) != text]
    return [f"{name} in the environment says something else, and wins over .env: unset it" for name in names]


def _is_tested(wishes: Wishes, asker: Asker | None, *, well: bool) -> bool:
    if wishes.test is not None or asker is None:
        return bool(wishes.test)
    tables.say("")
    with contextlib.suppress(UnansweredError):
        return asker.confirm("Post a test message to the channel now? It is deleted at once", default=well)
    return False


def _next_steps(folder: Path, *, well: bool) -> list[str]:
    if not well:
        return ["Fix the findings, then run: review-notifier check"]
    here = f"cd {shlex.quote(str(folder))} && " if folder.absolute() != Path.cwd() else ""
    return [
        "Everything is set up. Next:",
        f"  {here}review-notifier poll --dry-run",
        "    shows what would be posted now",
        f"  {here}review-notifier run",
        "    starts the worker here; `review-notifier files` lists the files for systemd and containers",
    ]


_HEAD_LINE = (
    "# Settings of review-notifier, as `review-notifier init` wrote them; read from the folder that it is started in.\n"
)
_HEAD = re.compile(r"\A#.*\n")
_BARE = re.compile(r"[\w.,:;/@%+=-]+(?: [\w.,:;/@%+=-]+)*", re.ASCII)
"""A text that stands in `.env` as it is."""

KEYS = {"WORKER_ZONE": "zone", "WORKER_HOURS": "hours", "WORKER_HOLIDAYS": "holidays"}
"""The answers that stand at the top of `worker.toml`, by their keys there."""


def env_text(answers: Mapping[str, str], notes: Sequence[str] = ()) -> str:
    """`.env`: every setting with its meaning, and the answers in their places; `notes` say which queues are meant."""
    text = _HEAD.sub(_HEAD_LINE, found_files("env")[0][0].text(), count=1)
    for name, answer in answers.items():
        before = "".join(f"# {plain(note)}\n" for note in notes) if name == "WORKER_QUEUES" else ""
        line = f"{before}{name}={_quoted(answer)}"
        # The file of a secret takes the line of the secret.
        place = name.removesuffix(FILE_SUFFIX)
        text = re.sub(rf"(?m)^#?{place}=.*$", lambda _, line=line: line, text, count=1)  # type: ignore[misc]
    return text


def _quoted(answer: str) -> str:
    if _BARE.fullmatch(answer):
        return answer
    escaped = answer.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def toml_text(answers: Mapping[str, str], queues: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """`worker.toml` and the answers that it does not hold; `queues` are names by ids, empty where all are meant."""
    held = {*KEYS, "WORKER_CHANNEL", *(["WORKER_QUEUES"] if queues else [])}
    lines = ["# Settings of review-notifier, as `review-notifier init` wrote them; the secrets are in .env.", ""]
    lines += [f"{key} = {json.dumps(answers[name])}" for name, key in KEYS.items() if name in answers]
    lines += ["", "[defaults]", f"channel = {json.dumps(answers['WORKER_CHANNEL'])}"]
    for queue_id, name in queues.items():
        note = f"  # {plain(name)}" if name else ""
        lines += ["", "[[queues]]", f"queue = {json.dumps(queue_id)}{note}"]
    return "\n".join(lines) + "\n", {name: answer for name, answer in answers.items() if name not in held}
