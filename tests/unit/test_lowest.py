"""The lowest versions that pyproject.toml allows."""

from __future__ import annotations

import pytest

from tests.lowest import pins


def test_a_requirement_is_held_to_its_lower_bound() -> None:
    requirements = ["alembic>=1.16", "apscheduler>=3.11,<4", "psycopg[binary]>=3.2.3", "isal>=1.9; os_name == 'posix'"]
    assert pins(requirements) == ["alembic==1.16", "apscheduler==3.11", "psycopg==3.2.3", "isal==1.9"]


def test_a_requirement_without_a_lower_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="no lower bound: mypy, ruff<1"):
        pins(["mypy", "ruff<1", "rich>=14"])
