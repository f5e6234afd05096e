from __future__ import annotations

import re

from worker import version


def test_a_version_is_told_with_its_commit() -> None:
    assert re.fullmatch(r"review-notifier \d+\.\d+\.\d+\S* \(commit ([0-9a-f]{7,40}|unknown)\)", version.version_text())
