"""Each policy of the cookbook is a complete, valid `worker.toml`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from worker.settings import load
from worker.settings.loading import findings
from worker.settings.names import ALL

COOKBOOK = (Path(__file__).parents[3] / "docs" / "cookbook.md").read_text()
POLICIES = {name: text for text, name in re.findall(r"(?s)```toml\n(# ([\w-]+)\.toml\n.*?)```", COOKBOOK)}
SECRETS = {"LANGSMITH_API_KEY": "lsv2_sk_key", "SLACK_BOT_TOKEN": "xoxb-token"}


def test_there_are_the_five_that_the_table_lists() -> None:
    titles = re.findall(r"(?m)^\| \[([\w -]+)\]\(#([\w-]+)\) \|", COOKBOOK)
    assert [title.replace(" ", "-") for title, _ in titles] == [anchor for _, anchor in titles] == list(POLICIES)
    assert len(titles) == 5


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_can_be_used_as_it_is(name: str, tmp_path: Path) -> None:
    (tmp_path / "worker.toml").write_text(POLICIES[name])
    settings = load(ALL, environ=SECRETS, directory=tmp_path, run_secrets=tmp_path)
    assert not findings(settings)
    assert settings.defaults.channel
    assert settings.defaults.calendar
