"""Draws reports: as SVG by a few lines of our own, as PNG with Pillow where that is installed."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from msgspec import Struct

from worker.commands.report import NotDrawnError
from worker.core.queue_report import WEEKDAYS, report_title, sentences
from worker.core.text import flat

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date

    from worker.core.history import Hour
    from worker.core.queue_report import QueueReport

_NEEDS_PILLOW = "a .png needs Pillow, which is not installed: install langsmith-review-notifier[plot], or draw an .svg"

_WIDTH, _EDGE, _LINE = 760, 24, 18
_FLOW, _CELL_WIDTH, _CELL_HEIGHT, _LABEL = 90, 28, 14, 36
_INK, _FAINT, _CAME, _REVIEWED, _UNKNOWN = "#1f2328", "#59636e", "#0969da", "#1a7f37", "#d1d9e0"
_SHADES = ("#f6f8fa", "#c8e1ff", "#79b8ff", "#2188ff", "#044289")
_LONGEST = 100


class _Box(Struct, frozen=True):
    """A filled rectangle."""

    x: float
    y: float
    width: float
    height: float
    color: str


class _Label(Struct, frozen=True):
    """A line of text that begins at a point of its base line."""

    x: float
    y: float
    text: str
    size: int = 12
    color: str = _INK


def write_plot(reports: Sequence[QueueReport], file: Path) -> None:
    """Draw the reports below each other into a file, whose ending says how. Raises NotDrawnError and OSError."""
    shapes: list[_Box | _Label] = []
    height = float(_EDGE)
    for report in reports:
        block, height = _block(report, height)
        shapes += block
    drawn = _svg(shapes, height) if file.suffix.lower() == ".svg" else _png(shapes, height)
    _write(file, drawn)


def _write(file: Path, drawn: bytes) -> None:
    """Put it in the place of the file in one step, so that who looks at it never sees half of it."""
    try:
        number, name = tempfile.mkstemp(prefix=".review-notifier-", dir=file.parent)
    except OSError as error:
        # What cannot be written is known to the user by the name that was given.
        raise OSError(error.errno, error.strerror, str(file)) from error
    try:
        with os.fdopen(number, "wb") as written:
            written.write(drawn)
        Path(name).chmod(0o644)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _block(report: QueueReport, top: float) -> tuple[list[_Box | _Label], float]:
    """The shapes of one report, and where the next begins."""
    shapes: list[_Box | _Label] = [_Label(_EDGE, top + 16, report_title(report), 16)]
    y = top + 16
    for line in (line for each in sentences(report) for line in wrap(each, _LONGEST)):
        y += _LINE
        shapes.append(_Label(_EDGE, y, line, 12, _FAINT))
    y += 2 * _LINE
    shapes += _flow(report.days, y)
    y += _FLOW + 3 * _LINE
    shapes += _heat_map(report, y)
    return shapes, y + 7 * _CELL_HEIGHT + 2 * _EDGE


def _flow(days: Sequence[tuple[date, Hour]], top: float) -> Iterator[_Box | _Label]:
    """Two bars a day: what came, and what was reviewed."""
    yield _Label(_EDGE, top - 6, "A day: came", 12, _CAME)
    yield _Label(_EDGE + 90, top - 6, "reviewed", 12, _REVIEWED)
    yield _Label(_EDGE + 150, top - 6, "(grey: not known)", 12, _FAINT)
    most = max((max(hour.came, hour.reviewed) for _, hour in days), default=0) or 1
    width = (_WIDTH - 2 * _EDGE) / max(len(days), 1)
    bottom = top + _FLOW
    for number, (day, hour) in enumerate(days):
        x = _EDGE + number * width
        for part, (count, color) in enumerate(((hour.came, _CAME), (hour.reviewed, _REVIEWED))):
            tall = _FLOW * count / most
            yield _Box(x + part * width * 0.4, bottom - tall, width * 0.38, tall, color)
        if not hour.is_seen and not hour.came:
            yield _Box(x, bottom - 2, width * 0.78, 2, _UNKNOWN)
        # As many days are named as there is room for.
        if number % -(-len(days) // 16) == 0:
            yield _Label(x, bottom + 14, f"{day.day} {day:%b}", 10, _FAINT)
    yield _Label(_EDGE + 330, top - 6, f"at most {most:,}", 12, _FAINT)


def _heat_map(report: QueueReport, top: float) -> Iterator[_Box | _Label]:
    """The hours of the week in which runs came, the darker the more."""
    most = max(cell.came for row in report.week for cell in row) or 1
    yield _Label(_EDGE, top - 18, f"When runs came, by hour of the week; the darkest hour had {most:,}", 12, _FAINT)
    for hour in range(0, 24, 3):
        yield _Label(_EDGE + _LABEL + hour * _CELL_WIDTH, top - 4, f"{hour:02}:00", 10, _FAINT)
    for number, row in enumerate(report.week):
        y = top + number * _CELL_HEIGHT
        yield _Label(_EDGE, y + 11, WEEKDAYS[number], 10, _FAINT)
        for hour, cell in enumerate(row):
            shade = _SHADES[-(-cell.came * (len(_SHADES) - 1) // most)]
            color = shade if cell.came or cell.seen else _UNKNOWN
            yield _Box(_EDGE + _LABEL + hour * _CELL_WIDTH, y, _CELL_WIDTH - 1, _CELL_HEIGHT - 1, color)


def _svg(shapes: Iterable[_Box | _Label], height: float) -> bytes:
    drawn = "\n".join(_element(shape) for shape in shapes)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" width="{_WIDTH}"'
    style = 'font-family="system-ui, sans-serif"'
    return f'{head} {style}>\n<rect width="100%" height="100%" fill="#ffffff"/>\n{drawn}\n</svg>\n'.encode(
        errors="replace"
    )


def _element(shape: _Box | _Label) -> str:
    if isinstance(shape, _Label):
        where = f'x="{shape.x:.1f}" y="{shape.y:.1f}" font-size="{shape.size}" fill="{shape.color}"'
        return f"<text {where}>{escape(flat(shape.text, _LONGEST))}</text>"
    size = f'width="{shape.width:.1f}" height="{shape.height:.1f}"'
    return f'<rect x="{shape.x:.1f}" y="{shape.y:.1f}" {size} fill="{shape.color}"/>'


_SCALE = 2
"""Pixels of a PNG for each unit, so that it is sharp on today's screens."""


def _png(shapes: Iterable[_Box | _Label], height: float) -> bytes:
    try:
        from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415  optional
    except ImportError as error:
        raise NotDrawnError(_NEEDS_PILLOW) from error
    image = Image.new("RGB", (_WIDTH * _SCALE, round(height) * _SCALE), "#ffffff")
    draw = ImageDraw.Draw(image)
    for shape in shapes:
        at = shape.x * _SCALE, shape.y * _SCALE
        if isinstance(shape, _Label):
            font = ImageFont.load_default(shape.size * _SCALE)
            draw.text(at, flat(shape.text, _LONGEST), fill=shape.color, font=font, anchor="ls")
        elif shape.height > 0:
            end = (shape.x + shape.width) * _SCALE - 1, (shape.y + shape.height) * _SCALE - 1
            draw.rectangle((at, (max(at[0], end[0]), max(at[1], end[1]))), fill=shape.color)
    written = io.BytesIO()
    image.save(written, "PNG")
    return written.getvalue()
