"""LangSmith and Slack as the settings describe them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.settings_place import COMPLETE, KEY, TOKEN, Place
from worker.commands.setup import hiding

if TYPE_CHECKING:
    from pathlib import Path


def test_what_slack_may_repeat_is_hidden_and_a_password_that_is_a_number_spoils_no_timestamp(tmp_path: Path) -> None:
    database = {"WORKER_DATABASE_URL": "postgresql://user:1772@host/name"}
    hide = hiding(Place(tmp_path, tmp_path / "mount").load_all(COMPLETE | database))
    assert hide(f"no {TOKEN} and {KEY}") == "no [redacted] and [redacted]"
    assert hide("1772452800.000100") == "1772452800.000100"
