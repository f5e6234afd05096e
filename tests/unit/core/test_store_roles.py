"""The roles of the store: small, and asked for by name."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import worker
from tests.support.builders import NOON, queue
from worker.core import store_roles
from worker.core.store_roles import never_stale

MOST = 8
LOOPS = sorted((Path(worker.__file__).parent / "loops").glob("*.py"))
ROLES = {
    name: role
    for name, role in vars(store_roles).items()
    if isinstance(role, type) and role.__module__ == store_roles.__name__
}


@pytest.mark.parametrize("role", ROLES.values(), ids=ROLES.keys())
def test_a_role_has_few_methods(role: type) -> None:
    own = [name for name, value in vars(role).items() if callable(value) and not name.startswith("_")]
    assert len(own) <= MOST


def test_no_method_has_two_roles() -> None:
    own = [name for role in ROLES.values() for name in vars(role) if not name.startswith("_")]
    assert len(own) == len(set(own))


@pytest.mark.parametrize("loop", LOOPS, ids=lambda path: path.stem)
def test_a_loop_asks_for_roles_not_for_the_whole_store(loop: Path) -> None:
    found = [node for node in ast.walk(ast.parse(loop.read_text())) if isinstance(node, ast.ImportFrom)]
    assert "Store" not in {alias.name for node in found for alias in node.names}


def test_where_nothing_says_otherwise_no_run_is_stale() -> None:
    assert never_stale(queue(), NOON) is None
