"""No secret gets out, whatever goes wrong: marked secrets are planted, faults happen, and everything is searched."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.system.conftest import CHANNEL
from tests.system.process import Bench, wait_for
from tests.system.watched import dead_mans_switch, free_port
from worker.demo.langsmith.faults import How
from worker.demo.slack.faults import Mode

if TYPE_CHECKING:
    from uuid import UUID

    from tests.system.process import Process
    from worker.demo.langsmith.server import SimulatedLangSmith
    from worker.demo.slack.server import SimulatedSlack

MARK = "MARKEDSECRET"
KEY = f"lsv2_sk_{MARK}1key"
TOKEN = f"xoxb-{MARK}2token"
BEAT = f"{MARK}3beat"


def hide(bench: Bench, heartbeat: str) -> dict[str, str]:
    """Take the secrets out of the environment into files; what stands in their place."""
    bench.environment.pop("LANGSMITH_API_KEY")
    bench.environment.pop("SLACK_BOT_TOKEN")
    for name, secret in (("key", KEY), ("token", TOKEN), ("beat", f"{heartbeat}/{BEAT}")):
        (bench.directory / name).write_text(f"{secret}\n")
    return {
        "LANGSMITH_API_KEY_FILE": "key",
        "SLACK_BOT_TOKEN_FILE": "token",
        "WORKER_HEARTBEAT_URL_FILE": "beat",
        "WORKER_LOG_LEVEL": "debug",
    }


def langsmith_echoes(langsmith: SimulatedLangSmith, service: Process) -> None:
    """Errors that quote the key back at us, and answers that are none; each lasts until a poll has met it."""
    quoted = f'{{"detail": "the key {KEY} may not"}}'.encode()
    page = f"<html>X-API-Key: {KEY}</html>".encode()
    for nth, (status, body) in enumerate(((500, page), (200, quoted)), start=1):
        langsmith.fail(How.BODY, status=status, body=body)
        wait_for(lambda nth=nth: len(service.logged("queue_failing")) >= nth, "a poll meets it")
        langsmith.heal()
        wait_for(lambda nth=nth: len(service.logged("queue_recovered")) >= nth, "it is over")
    langsmith.fail(How.BODY, status=403, body=quoted)
    wait_for(lambda: len(service.logged("queue_failing")) >= 3, "the key is refused")


def slack_echoes(slack: SimulatedSlack, elsewhere: str) -> None:
    """Refusals that quote the token, and a redirect that would carry it away."""
    slack.fail("chat.postMessage", error=f"no_{TOKEN}", times=1)
    slack.fail("chat.postMessage", mode=Mode.REDIRECT, location=f"{elsewhere}/{TOKEN}", times=1)


@pytest.mark.long(14)
def test_nothing_that_gets_out_holds_a_secret(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    langsmith.add_key(KEY)
    slack.token = TOKEN
    beats: list[str] = []
    elsewhere: list[str] = []
    port = free_port()
    with dead_mans_switch(beats) as heartbeat, dead_mans_switch(elsewhere) as other:
        more = hide(bench, heartbeat) | {"WORKER_HTTP_ADDRESS": f"127.0.0.1:{port}"}
        slack_echoes(slack, other)
        with bench.service(cold=True, **more) as service:
            wait_for(lambda: service.logged("started"), "it starts")
            langsmith.add_run(queue, name="run")
            wait_for(lambda: slack.messages(CHANNEL), "a message in spite of all", patience=400)
            wait_for(lambda: beats, "a report to the dead man's switch")
            langsmith_echoes(langsmith, service)
            told = bench.run("check", **more)
            outside = {page: httpx.get(f"http://127.0.0.1:{port}{page}").text for page in ("/readyz", "/metrics")}
            outside |= of_process(service)
            assert service.stop() == 0
        outside["check"] = told.stdout + told.stderr
    outside["log"] = "\n".join(service.lines)
    outside["messages"] = repr(slack.messages(CHANNEL))
    outside |= {file.name: file.read_bytes().decode(errors="replace") for file in bench.directory.glob("worker.db*")}
    assert elsewhere == []
    assert set(beats) == {f"/{BEAT}"}
    assert "queue_failing" in outside["log"]
    assert "403" in outside["check"]
    assert {name: found for name, text in outside.items() if (found := leaks(text))} == {}


def test_an_answer_that_repeats_a_secret_is_not_kept(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    langsmith.add_key(KEY)
    slack.token = TOKEN
    slack.fail("chat.postMessage", error=TOKEN)
    run = langsmith.add_run(queue, name="run")
    more = {"LANGSMITH_API_KEY": KEY, "SLACK_BOT_TOKEN": TOKEN}
    with bench.service(**more) as service:
        wait_for(lambda: service.logged("delivery_unknown"), "an answer is refused")
        assert service.stop() == 0
    commands = (["deliveries", "--json"], ["deliveries"], ["why", str(run)])
    shown = [bench.run(*command, **more).stdout for command in commands]
    assert all("Slack answered" in text for text in shown)
    kept = [file.read_bytes().decode(errors="replace") for file in bench.directory.glob("worker.db*")]
    assert [leaks(text) for text in (*shown, *kept)] == [[]] * (len(shown) + len(kept))


def of_process(service: Process) -> dict[str, str]:
    """What other users and tools see of the process; its environment only holds what was given by it."""
    of = Path(f"/proc/{service.popen.pid}")
    return {name: (of / name).read_text() for name in ("cmdline", "environ")}


def leaks(text: str) -> list[str]:
    return re.findall(rf".{{0,80}}{MARK}.{{0,20}}", text)


def test_a_mistyped_secret_is_not_repeated_in_the_error(bench: Bench) -> None:
    wrong = {
        "SLACK_BOT_TOKEN": f"xoxp-{MARK}",
        "LANGSMITH_API_KEY": f"lsv2 {MARK}",
        "WORKER_HEARTBEAT_URL": f"ftp://{MARK}",
        "WORKER_DATABASE_URL": f"postgresql://user:{MARK}@[bad/x",
    }
    done = bench.run("run", **wrong)
    assert done.returncode == 78
    assert {name for name in wrong if name in done.stderr} == set(wrong)
    assert MARK not in done.stderr + done.stdout
