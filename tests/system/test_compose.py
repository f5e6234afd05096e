"""The compose file hands on what the image is built from."""

from __future__ import annotations

from pathlib import Path

CONTAINER = Path(__file__).resolve().parents[2] / "deploy" / "container"


def test_the_image_learns_its_commit() -> None:
    assert "ARG COMMIT=unknown" in (CONTAINER / "Dockerfile").read_text()
    assert 'args: {COMMIT: "${COMMIT:-unknown}"}' in (CONTAINER / "compose.yaml").read_text()
