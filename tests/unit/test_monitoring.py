"""Alert rules and dashboard speak of metrics that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.metered import samples

MONITORING = Path(__file__).resolve().parents[2] / "deploy" / "monitoring"
METRIC = re.compile(r"\b(?:review_notifier|process)_[a-z_]+\b(?:\{([^}]*)\})?")
LABEL = re.compile(r"(\w+)\s*[=!]")

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed: the rules cannot be run here"
)


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
    return found


EXPRESSIONS = [pytest.param(rule["expr"], id=rule["alert"]) for rule in rules()] + [
    pytest.param(target["expr"], id=panel["title"]) for panel in panels() for target in panel["targets"]
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_metric_and_label_that_is_asked_for_exists(expression: str) -> None:
    there = samples()
    found = list(METRIC.finditer(expression))
    assert found
    for match in found:
        name = match[0].partition("{")[0]
        assert name in there
        assert set(LABEL.findall(match[1] or "")) <= there[name]


def test_every_metric_of_ours_is_shown_or_watched() -> None:
    asked = " ".join(str(expression.values[0]) for expression in EXPRESSIONS)
    shared = {"review_notifier_langsmith_api_info", "review_notifier_build_info"}
    ours = {name for name in samples() if name.startswith("review_notifier") and not name.endswith("_created")}
    assert {name for name in ours - shared if name not in asked} == set()


def test_what_each_of_several_workers_reports_for_all_of_them_counts_once() -> None:
    of_all = [target["expr"] for panel in panels() for target in panel["targets"] if "_outbox" in target["expr"]]
    assert of_all
    assert all("max by (job" in each for each in of_all)


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule["alert"]) for rule in rules()])
def test_every_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule["alert"]) for rule in rules()])
def test_every_alert_names_a_place_in_the_operations_that_there_is(rule: dict[str, Any]) -> None:
    page, _, place = rule["annotations"]["runbook_url"].partition("#")
    written = (MONITORING.parents[1] / "docs" / page.rpartition("/docs/")[2]).read_text()
    titles = re.findall(r"^#+ (.+)$", written, re.MULTILINE)
    assert place in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_panel_about_queues_follows_the_choice_of_queues() -> None:
    about_queues = [
        match
        for panel in panels()
        for target in panel["targets"]
        for match in METRIC.finditer(target["expr"])
        if "queue" in samples().get(match[0].partition("{")[0], set())
    ]
    assert about_queues
    assert {match[1] for match in about_queues} == {'queue=~"$queue"'}


def test_panels_have_numbers_of_their_own_and_do_not_overlap() -> None:
    places = [(panel["gridPos"], panel["id"]) for panel in panels()]
    assert len({number for _, number in places}) == len(places)
    cells = [
        (x, y)
        for place, _ in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) == 23


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    tests = yaml.safe_load((MONITORING / "alerts.test.yaml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    names = {rule["alert"] for rule in rules()}
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == names
    spared = {case["alertname"] for case in cases if not case["exp_alerts"]}
    several = {test["alert_rule_test"][0]["alertname"] for test in tests if len(test["input_series"]) > 1}
    assert spared | several == names


@needs_promtool
def test_the_rules_do_what_they_say() -> None:
    done = subprocess.run(
        # It is over before collecting its garbage could pay.
        ["env", "GOGC=off", "promtool", "test", "rules", "alerts.test.yaml"],  # noqa: S607 - wherever it is installed
        cwd=MONITORING,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
