"""The answers of `init` as files: the examples of the settings, filled in. Pure but for reading the examples."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from worker.commands.files import found_files
from worker.core.text import plain
from worker.settings.names import FILE_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
