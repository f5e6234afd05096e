"""Names and e-mails of reviewers get out nowhere but where they may: marked ones are planted, and all is searched."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.system.conftest import CHANNEL
from tests.system.process import Bench, wait_for
from tests.system.watched import free_port
from worker.demo.langsmith.faults import How

if TYPE_CHECKING:
    from uuid import UUID

    from worker.demo.langsmith.server import SimulatedLangSmith
    from worker.demo.slack.server import SimulatedSlack

pytestmark = pytest.mark.usefixtures("migrated")

MAIL, NAME = "markedmail", "Markedname"
USERS = {f"U0MARKED0{n}": f"{MAIL}{n}@example.com" for n in (1, 2, 3)}
REACHED, GUEST, LEFT = USERS.values()
UNKNOWN, STRANGER = f"{MAIL}4@example.com", f"{MAIL}5@example.com"
MEMBERS, LOOK_UP = "members/active", "users.lookupByEmail"


def plant(langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID) -> None:
    """Reviewers of every kind, by assignment to the queue and to a run, who have reserved and completed."""
    for number, (user, mail) in enumerate(USERS.items()):
        how = {"guest": "multi"} if mail == GUEST else {"is_deleted": True} if mail == LEFT else {}
        slack.add_user(user, mail, f"{NAME} {number}", **how)
    every = [langsmith.add_reviewer(mail, name=f"{NAME} {mail[10]}") for mail in (*USERS.values(), UNKNOWN)]
    langsmith.assign_queue(queue, *every, langsmith.add_service(f"{NAME} service"))
    run = langsmith.add_run(queue, name="reserved")
    langsmith.assign(run, langsmith.add_reviewer(STRANGER, name=f"{NAME} stranger"))
    langsmith.reserve(run, reviewer=REACHED)
    langsmith.complete(langsmith.add_run(queue, name="completed"), reviewer=GUEST)


def hinder(langsmith: SimulatedLangSmith, slack: SimulatedSlack) -> None:
    """Faults whose answers repeat what was asked."""
    quoted = f'{{"detail": "{NAME} {STRANGER} may not be listed"}}'.encode()
    langsmith.fail(How.BODY, path=MEMBERS, status=403, body=quoted, times=1)
    slack.fail(LOOK_UP, error=f"no such user: {REACHED}", times=1)


@pytest.mark.parametrize("tell", ["channel", "direct"])
def test_names_and_e_mails_stay_where_they_belong(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID, tell: str
) -> None:
    plant(langsmith, slack, queue)
    hinder(langsmith, slack)
    address = f"127.0.0.1:{free_port()}"
    more = {"WORKER_PEOPLE": "assigned", "WORKER_TELL": tell, "WORKER_OWNER": "U0MARKED01", "WORKER_STALE_AFTER": "2s"}
    more |= {"WORKER_LANGSMITH_API": "items", "WORKER_HTTP_ADDRESS": address, "WORKER_OPS_CHANNEL": CHANNEL}
    with bench.service(**more, WORKER_LOG_LEVEL="info") as service:
        wait_for(lambda: len(looked_up(slack)) == 2, "reviewers are looked up")
        langsmith.add_run(queue, name="second")
        wait_for(lambda: len(slack.posts) >= 1, "a message")
        pages = {page: httpx.get(f"http://{address}{page}").text for page in ("/livez", "/readyz", "/metrics")}
        assert service.stop() == 0
    outside = pages | {"log": "\n".join(service.lines), "status": bench.run("status", "--json", **more).stdout}
    outside["deliveries"] = bench.run("deliveries", "--json", **more).stdout
    posted = json.dumps([attempt.arguments for attempt in slack.posts])
    assert {name: found for name, text in outside.items() if (found := marks(text, f"{MAIL}|{NAME}"))} == {}
    assert marks(posted, MAIL) == []
    known = {each["email"] for each in json.loads(bench.run("people", "--json", **more).stdout)["people"]}
    assert known > {REACHED, UNKNOWN}


def looked_up(slack: SimulatedSlack) -> list[str]:
    return [attempt.outcome for attempt in slack.attempts if attempt.method == LOOK_UP and attempt.outcome == "ok"]


def marks(text: str, mark: str) -> list[str]:
    return re.findall(rf".{{0,80}}(?:{mark}).{{0,20}}", text)


def test_a_start_that_is_refused_names_the_person_to_the_one_who_starts_it_alone(bench: Bench) -> None:
    (bench.directory / "worker.toml").write_text(f"[people]\n'{REACHED}' = {{ calendar = 'nowhere' }}\n")
    refused = bench.run("run")
    assert refused.returncode == 78
    assert f"people.'{REACHED}'.calendar: 'nowhere' is not a calendar" in refused.stderr
