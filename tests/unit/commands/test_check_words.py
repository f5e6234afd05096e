"""What `check` and `queues` say where the queues cannot be listed: what is wrong once, and the fix apart."""

from __future__ import annotations

import pytest

from worker.commands import check
from worker.core.ports import SourceError, Trouble
from worker.settings.names import ADVICE


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            "listing the queues: LangSmith answered 403; check a; if it is right, b",
            ("LangSmith answered 403", "check a; if it is right, b"),
        ),
        ("no whole answer within 30 s", ("no whole answer within 30 s", ADVICE.troubles[Trouble.UNREACHABLE])),
    ],
)
def test_what_is_wrong_is_said_once_and_the_fix_apart(error: str, said: tuple[str, str]) -> None:
    what, fix = check._unlisted(SourceError(error, Trouble.UNREACHABLE))  # noqa: SLF001 - the two commands share it
    assert (what, fix) == (f"the queues cannot be listed: {said[0]}", said[1])
