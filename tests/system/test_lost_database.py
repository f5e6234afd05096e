"""The database is removed or replaced under a running worker: it stops at once, and everybody can see why."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from tests.system.process import wait_for
from tests.system.watched import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.stage import Stage

LOST = "while this process works on it. Nothing is polled or posted"


def readiness(port: int) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def remove(database: Path) -> None:
    for path in database.parent.glob("worker.db*"):
        if not path.name.endswith(".lock"):
            path.unlink()


def replace(database: Path) -> None:
    content = database.read_bytes()
    remove(database)
    database.write_bytes(content)


@pytest.mark.parametrize("harm", [remove, replace], ids=lambda harm: harm.__name__)
def test_a_lost_database_is_noticed_by_all(stage: Stage, harm: object) -> None:
    place, port = stage.add("one"), free_port()
    database = stage.bench.directory / "worker.db"
    with stage.service(WORKER_HTTP_ADDRESS=f"127.0.0.1:{port}") as service:
        stage.run(place, "before")
        stage.wait_for_texts(place, "before")
        stage.store.maintain()
        stage.store.close()
        harm(database)  # type: ignore[operator]
        stage.run(place, "after")
        wait_for(lambda: any(LOST in line["error"] for line in service.logged("store_failing")), "the log says so")
        wait_for(lambda: readiness(port)[0] == 503 and LOST in readiness(port)[1], "it is not ready, and says why")
        seen = stage.bench.run("status")
        assert seen.returncode == 1
        assert "was removed or replaced while process" in seen.stderr
        assert database.exists() == (harm is replace)
        assert service.stop() == 0
    assert len(stage.shown(place)) == 1
