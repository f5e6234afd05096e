"""`report` and `simulate` beside the real service."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from tests.system.process import Bench, wait_for

if TYPE_CHECKING:
    from uuid import UUID

    from worker.demo.langsmith.server import SimulatedLangSmith
    from worker.demo.slack.server import SimulatedSlack


def test_a_report_is_posted_once_and_a_simulation_touches_nothing(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    langsmith.add_run(queue, name="waiting")
    with bench.service():
        wait_for(lambda: len(slack.posts) == 1, "the baseline")
        assert bench.run("report", "--post").returncode == 0
        again = bench.run("report", "--post")
        wait_for(lambda: len(slack.posts) == 2, "the report")
    assert "already" in again.stdout, again.stdout
    kinds = [post.arguments["metadata"]["event_payload"]["kind"] for post in slack.posts]
    assert kinds == ["baseline", "report"]
    assert "waits now" in slack.posts[1].arguments["text"]

    def files() -> dict[str, str]:
        found = bench.directory.glob("worker.db*")
        return {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in found}

    # The service was ended hard: what it wrote last is in the log beside the file.
    before = files()
    assert "worker.db-wal" in before
    played = bench.run("simulate", "--json")
    assert files() == before
    (policy,) = json.loads(played.stdout)["policies"]
    assert (policy["config"], policy["queues"][0]["posts"]) == (None, 1)
    (bench.directory / "calm.toml").write_text('[defaults]\nannounce_every = "4h"\n')
    both = json.loads(bench.run("simulate", "--json", "--config", "calm.toml").stdout)["policies"]
    assert [each["config"] for each in both] == [None, "calm.toml"]
    assert [each["queues"][0]["came"] for each in both] == [0, 0]
    (bench.directory / "wrong.toml").write_text('[defaults]\nstale_after = "soon"\n')
    wrong = bench.run("simulate", "--config", "wrong.toml")
    assert (wrong.returncode, wrong.stdout) == (78, "")
    assert "'soon' is not a duration" in wrong.stderr
