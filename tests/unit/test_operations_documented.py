"""`docs/codes.md` lists what the code has and nothing else: events, metrics, exit statuses, reasons, error codes."""

from __future__ import annotations

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.support.metered import samples
from tests.support.overviews import overview
from worker.commands.exits import Exit
from worker.core.owed import State
from worker.core.ports import Trouble
from worker.core.status.reasons import KINDS, readiness
from worker.notifiers.slack import check, errors
from worker.settings.model import EVERY
from worker.stores.sqlite import NETWORK

ROOT = Path(__file__).parents[2]
CODES, DEPLOYMENT, OPERATIONS = (
    (ROOT / "docs" / f"{page}.md").read_text() for page in ("codes", "deployment", "operations")
)
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
LOGGERS = {"log", "line"}
SETTLING = {f"delivery_{state}" for state in State if state is not State.SENDING} | {
    "delivery_lease_lost",
    "delivery_waits",
}
"""What deliver.py logs under a name that it puts together."""

SAID = {"listing_ends"}
"""What choice.py logs at a level that it works out."""

MISSING = {"log_lines_dropped"}
"""What logs.py makes itself: an event that is written past the queue that it is about."""


def section(title: str, page: str = CODES) -> str:
    """The text under a heading, up to the next of its rank or above."""
    rank = re.search(rf"(?m)^(#+) {title}$", page)
    assert rank, title
    rest = page[rank.end() :]
    following = re.search(rf"(?m)^#{{1,{len(rank[1])}}} ", rest)
    return rest[: following.start()] if following else rest


def first_cells(text: str) -> list[str]:
    """The code words in the first cell of each row."""
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("|")]
    return [word for cell in rows for word in re.findall(r"`([^`]+)`", cell)]


def events_of(file: Path) -> set[str]:
    """What a module logs, as far as the name of the event stands in the call."""
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call) and node.args]
    return {event for call in calls if _is_logging(call.func) for event in _texts(call.args[0])}


def _is_logging(function: ast.expr) -> bool:
    named = isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)
    return named and function.attr in LEVELS and function.value.id in LOGGERS


def _texts(argument: ast.expr) -> set[str]:
    return {node.value for node in ast.walk(argument) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


@cache
def logged() -> frozenset[str]:
    files = [file for file in (ROOT / "worker").rglob("*.py") if "demo" not in file.parts]
    return frozenset({event for file in files for event in events_of(file)} | SETTLING | SAID | MISSING)


def test_every_event_of_the_log_is_documented_once_and_no_other() -> None:
    assert sorted(first_cells(section("Log events"))) == sorted(logged())


def test_events_that_are_put_together_are_those_that_the_test_knows() -> None:
    assert 'f"delivery_{after.state.value}"' in (ROOT / "worker/loops/deliver.py").read_text()
    assert all(f'"{event}"' in (ROOT / "worker/sources/langsmith/choice.py").read_text() for event in SAID)
    assert all(f'"{event}"' in (ROOT / "worker/logs.py").read_text() for event in MISSING)


ANNOUNCING = ("Reason", "incidents.begin")
PASSED_ON = {"kind", "advice.unanswered", "f'delivery_{state}'"}
"""First arguments of them that are no kind themselves: `KINDS` and `Advice.unanswered` have those."""


def announced(file: Path) -> set[str]:
    """The kinds of reasons that a module makes or announces; one that cannot be read fails the test."""
    tree = ast.parse(file.read_text())
    called = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    given = {ast.unparse(call.args[0]) for call in called if ast.unparse(call.func).endswith(ANNOUNCING)}
    assigned = [node for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)]
    constants = {ast.unparse(node.targets[0]): ast.unparse(node.value) for node in assigned}
    return {ast.literal_eval(constants.get(kind, kind)) for kind in given - PASSED_ON}


def test_every_kind_of_reason_has_its_row_and_no_other() -> None:
    found = {kind for file in (ROOT / "worker").rglob("*.py") for kind in announced(file)}
    assert {"queue_blind", "posts_late", "database_refuses", "rows_unusable"} <= found
    assert sorted(first_cells(section("Reasons for not being well"))) == sorted(found | {*KINDS, "slack_unanswered"})


def test_every_metric_is_documented_with_its_labels_and_no_other() -> None:
    rows = [line.split("|") for line in section("Metrics").splitlines() if line.startswith("| `")]
    documented = {row[1].strip(" `"): set(re.findall(r"`(\w+)`", row[2])) for row in rows}
    ours = {name: labels for name, labels in samples().items() if name.startswith("review_notifier")}
    histograms = {name.removesuffix("_bucket") for name in ours if name.endswith("_bucket")}
    # A histogram is documented once, by its name and without the edges of its buckets.
    parts = {f"{name}_{part}" for name in histograms for part in ("bucket", "count", "sum")}
    there = {name: labels for name, labels in ours.items() if not name.endswith("_created") and name not in parts}
    assert documented == there | {name: ours[f"{name}_count"] for name in histograms}


def test_every_exit_status_is_documented() -> None:
    rows = re.findall(r"(?m)^\| (\d+) \|", section("Exit statuses"))
    assert {int(status) for status in rows} == set(Exit) | {2}


def test_every_trouble_of_polling_has_its_row() -> None:
    rows = first_cells(section("Polls that fail"))
    assert set(Trouble) <= set(rows)
    assert "store" in rows


def test_every_condition_of_being_ready_is_documented() -> None:
    names = {check.name for check in readiness(overview())} | {"loops"}
    (row,) = [line for line in section("Watch it", OPERATIONS).splitlines() if line.startswith("| `/readyz`")]
    assert all(f"`{name}`" in row for name in names)


SLACK_CODES = sorted(errors._OUTCOMES)  # noqa: SLF001 - the table is what is documented


@pytest.mark.parametrize("code", SLACK_CODES)
def test_every_code_of_slack_is_documented(code: str) -> None:
    assert f"`{code}`" in section("What Slack answers")


@pytest.mark.parametrize("family", [name for name, _ in errors._FAMILIES])  # noqa: SLF001
def test_every_family_of_codes_is_documented(family: str) -> None:
    assert f"`{family}…`" in section("What Slack answers")


@pytest.mark.parametrize("page", [CODES, DEPLOYMENT, OPERATIONS], ids=["codes", "deployment", "operations"])
def test_only_settings_that_exist_are_spoken_of(page: str) -> None:
    named = set(re.findall(r"\b(?:WORKER|LANGSMITH|SLACK)_[A-Z_]+\b", page)) - {"WORKER_KEEP_", "SLACK_API"}
    assert named <= {name.env for name in EVERY.values()}


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@cache
def anchors(page: Path) -> frozenset[str]:
    """What a link into a page may end with."""
    lines = re.sub(r"(?s)```.*?```", "", page.read_text()).splitlines()
    headings = [line.lstrip("# ").lower() for line in lines if line.startswith("#")]
    return frozenset(re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_links_to_exists(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)]*)\)", page.read_text()):
        if "://" in target:
            continue
        file = page.parent / target if target else page
        assert file.exists(), target
        assert not anchor or file.suffix != ".md" or anchor in anchors(file), f"{target}#{anchor}"


def test_every_symptom_is_found_from_the_top() -> None:
    index = OPERATIONS.partition("\n## ")[0]
    symptoms = re.findall(r"(?m)^### (.+)$", section("When something is wrong", OPERATIONS))
    assert len(symptoms) > 12
    there = set(re.findall(r"\]\(#([^)]+)\)", index))
    named = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in symptoms}
    assert named - there == {"the-database-cannot-be-used-status-78"}, (
        "its own symptom, a start that fails, leads there"
    )


SCOPES = {
    "auth_test": set(),
    "chat_postMessage": {"chat:write"},
    "chat_delete": {"chat:write"},
    "chat_update": {"chat:write"},
    "close": set(),
    "conversations_history": {"channels:history", "groups:history"},
    "conversations_info": {"channels:read", "groups:read"},
    "conversations_list": {"channels:read"},
    "conversations_replies": {"channels:history", "groups:history"},
}
"""What Slack asks for each method, of public and private channels."""

SCOPES_OF_PEOPLE = {
    "conversations.history": {"im:history"},
    "conversations.open": {"im:write"},
    "usergroups.list": {"usergroups:read"},
    "users.info": {"users:read"},
    "users.lookupByEmail": {"users:read.email"},
}
"""What it asks for more where people are meant, of direct messages too."""

SCOPES_OF_ACTING = {
    "users.info": {"users:read"},
    "chat.postEphemeral": {"chat:write"},
    "chat.postMessage": {"chat:write"},
    "views.publish": set(),  # the home tab, which is no scope
}
"""What it asks for the methods by which people are answered; for a command it asks `commands`."""

SLACK = ROOT / "worker" / "notifiers" / "slack"
MANIFESTS = ROOT / "deploy" / "slack"


def bot_scopes(manifest: str) -> list[str]:
    """The scopes that a manifest asks for, in its order."""
    return list(yaml.safe_load((MANIFESTS / manifest).read_text())["oauth_config"]["scopes"]["bot"])


def test_the_slack_app_asks_for_exactly_the_scopes_that_are_used() -> None:
    code = "".join(file.read_text() for file in SLACK.glob("*.py"))
    called = set(re.findall(r"\b_client(?:\.asking\(in_time\))?\.(\w+)", code)) - {"api_call", "conversations_open"}
    assert set(bot_scopes("manifest.yaml")) == set().union(*(SCOPES[method] for method in called))


def test_the_slack_app_for_people_asks_for_exactly_what_people_need_more() -> None:
    asked = set(re.findall(r'_look_up\("([\w.]+)"|\.ask\("([\w.]+)"', (SLACK / "people.py").read_text()))
    called = {one or other for one, other in asked}
    assert called == SCOPES_OF_PEOPLE.keys() - {"conversations.history", "conversations.open"}
    more = set().union(*SCOPES_OF_PEOPLE.values())
    assert sorted(bot_scopes("manifest-people.yaml")) == sorted({*bot_scopes("manifest.yaml"), *more})


def test_the_slack_app_for_acting_asks_for_exactly_what_acting_needs_more() -> None:
    called = set(re.findall(r'\.ask\(\s*"([\w.]+)"', (SLACK / "private_answers.py").read_text()))
    assert called == SCOPES_OF_ACTING.keys() - {"users.info"}
    more = set().union(*SCOPES_OF_ACTING.values(), {"commands"})
    assert set(bot_scopes("manifest-actions.yaml")) == {*bot_scopes("manifest-people.yaml"), *more}
    assert check.ACTING.keys() == more - set(bot_scopes("manifest.yaml"))


def test_the_slack_app_for_acting_is_sent_what_is_heard() -> None:
    manifest = yaml.safe_load((MANIFESTS / "manifest-actions.yaml").read_text())
    settings, features = manifest["settings"], manifest["features"]
    assert settings["event_subscriptions"] == {"bot_events": ["app_home_opened"]}
    assert (settings["interactivity"], settings["socket_mode_enabled"]) == ({"is_enabled": True}, True)
    assert [each["command"] for each in features["slash_commands"]] == ["/reviews"]
    assert features["app_home"]["home_tab_enabled"] is True


@pytest.mark.parametrize("manifest", ["manifest.yaml", "manifest-people.yaml", "manifest-actions.yaml"])
def test_each_scope_has_its_reason(manifest: str) -> None:
    text = (MANIFESTS / manifest).read_text()
    assert re.findall(r"- ([\w:.]+) +# \S", text) == bot_scopes(manifest)
    assert yaml.safe_load(text)["settings"]["token_rotation_enabled"] is False


def test_only_the_slack_apps_for_people_have_a_place_for_direct_messages() -> None:
    homes = {
        file.stem: yaml.safe_load(file.read_text())["features"]["app_home"]["messages_tab_enabled"]
        for file in MANIFESTS.glob("*.yaml")
    }
    assert homes == {"manifest": False, "manifest-people": True, "manifest-actions": True}


def test_network_file_systems_are_warned_of() -> None:
    assert "nfs" in NETWORK
    assert "network file systems (NFS, CIFS, SSHFS and the like)" in DEPLOYMENT.replace("\n", " ")


def test_the_steps_that_restore_a_backup_put_it_in_its_place(tmp_path: Path) -> None:
    steps = re.search(r"(?s)```sh\n(sudo -i.*?)```", section("Backup and restore", DEPLOYMENT))
    assert steps
    for name in ("worker.db", "worker.db-wal", "worker.db-shm"):
        (tmp_path / name).write_text("broken")
    (tmp_path / "backup").write_text("good")
    script = "sudo() { :; }; systemctl() { :; }\n" + re.sub(r"/var/backups/\S+\.db", str(tmp_path / "backup"), steps[1])
    subprocess.run(["/bin/sh", "-ec", script.replace("/var/lib/review-notifier", str(tmp_path))], check=True)
    left = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert left == {"worker.db": "good", "worker.db.broken": "broken", "backup": "good"}
    assert (tmp_path / "worker.db").stat().st_mode & 0o777 == 0o600
