"""A LangSmith and a Slack on loopback that cost next to nothing, in a process of their own.

`python -m benchmarks.server` prints its address. `/_bench/…` sets what the queues hold and tells what was asked for.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from benchmarks import pages

if TYPE_CHECKING:
    from collections.abc import Mapping

QUEUES = "/api/v1/annotation-queues"
PLATFORM = "/api/v1/platform/annotation-queues"
QUERY = "/api/v2/runs/query"
NAMED = re.compile(r"\brun-(\d+)-(\d+)\b")
JSON = b"content-type: application/json\r\n"


@dataclass(slots=True)
class World:
    """What there is. Each queue holds the runs from `first` to `last`, and those of `more` at its end.

    With another `edition` pages are other bytes, though they say the same.
    """

    queues: int = 1
    row: int = 3000
    first: int = 0
    last: int = 0
    edition: int = 0
    more: Counter[int] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    added: dict[tuple[int, int], float] = field(default_factory=dict)
    waited: list[float] = field(default_factory=list)
    posts: int = 0
    connections: int = 0
    by_second: Counter[int] = field(default_factory=Counter)
    listed_at: float = 0.0

    def runs(self, queue: int) -> range:
        """The runs of a queue, oldest first."""
        return range(self.first, self.last + self.more[queue])

    def add(self, queue: int) -> None:
        """A run arrives."""
        self.added[queue, self.last + self.more[queue]] = time.perf_counter()
        self.more[queue] += 1

    def posted(self, text: str) -> None:
        """A message came: for each run that it is the first to name, how long that took."""
        self.posts += 1
        for queue, run in NAMED.findall(text):
            arrived = self.added.pop((int(queue), int(run)), None)
            if arrived is not None:
                self.waited.append(time.perf_counter() - arrived)


small_page = lru_cache(maxsize=4000)(pages.page)
items_page = lru_cache(maxsize=4000)(pages.items)


def answer(world: World, method: str, target: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """The whole HTTP answer to one request."""
    url = urlsplit(target)
    query = dict(parse_qsl(url.query))
    if url.path.startswith("/_bench/"):
        return _plain(_control(world, url.path.removeprefix("/_bench/"), query))
    if url.path == QUERY:
        return _plain({"items": [{"id": run_id, "name": f"run {run_id[:8]}"} for run_id in json.loads(body)["ids"]]})
    if method == "POST":
        world.posted(body.decode())
        return _plain({"ok": True, "channel": "C0BENCH0000", "ts": f"{world.posts}.000100"})
    if url.path == "/api/v1/info":
        return _plain({})
    world.asked[headers.get("x-api-key", "")] += 1
    if url.path.startswith(PLATFORM) and url.path.endswith("/items"):
        return _items(world, pages.queue_number(url.path.removeprefix(PLATFORM)[1:37]), query)
    return _langsmith(world, url.path.removeprefix(QUEUES), query)


def _langsmith(world: World, path: str, query: Mapping[str, str]) -> bytes:
    if path.endswith("/runs"):
        if query["status"] != "needs_my_review":
            return _plain([])
        return _listing(world, pages.queue_number(path[1:37]), int(query["offset"]), int(query["limit"]))
    if path == "":
        offset = int(query.get("offset", "0"))
        return _plain([_queue(number) for number in range(world.queues)[offset : offset + 100]])
    if len(path) == len("/") + 36:
        return _plain(_queue(pages.queue_number(path[1:])))
    return _response(b"404 Not Found", JSON, b'{"detail": "Not Found"}')


def _queue(number: int) -> dict[str, object]:
    named = {"id": str(pages.queue_id(number)), "name": f"Queue {number}"}
    return named | {"tenant_id": pages.TENANT, "num_reviewers_per_item": 1}


def _listing(world: World, queue: int, offset: int, limit: int) -> bytes:
    world.by_second[int(time.perf_counter())] += 1
    world.listed_at = world.listed_at or time.perf_counter()
    runs = world.runs(queue)[offset : offset + limit]
    render = small_page if world.row < pages.LARGE else pages.page
    return _response(b"200 OK", JSON + b"content-encoding: gzip\r\n", render(queue, runs, world.row, world.edition))


def _items(world: World, queue: int, query: Mapping[str, str]) -> bytes:
    """A page by cursor. A cursor says how many rows come before, so each row that goes makes other pages."""
    world.by_second[int(time.perf_counter())] += 1
    begin, size = int(query.get("cursor", "at-0").removeprefix("at-")), int(query["page_size"])
    runs = world.runs(queue)
    cursor = f"at-{begin + size}" if begin + size < len(runs) else ""
    body = items_page(queue, runs[begin : begin + size], cursor)
    return _response(b"200 OK", JSON + b"content-encoding: gzip\r\n", body)


def _control(world: World, what: str, query: Mapping[str, str]) -> object:
    given = {name: int(value) for name, value in query.items()}
    match what:
        case "reset":
            world.__init__(**given)  # type: ignore[misc]
        case "set":
            for name, value in given.items():
                setattr(world, name, value)
        case "add":
            world.add(given["queue"])
        case "fill":
            world.more[given["queue"]] += given["runs"]
    return {
        "last": world.last,
        "asked": world.asked,
        "listed_at": world.listed_at,
        "connections": world.connections,
        "by_second": world.by_second,
        "waited": world.waited,
        "posts": world.posts,
        "missing": len(world.added),
    }


def _plain(value: object) -> bytes:
    return _response(b"200 OK", JSON, json.dumps(value).encode())


def _response(status: bytes, headers: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %b\r\n%bcontent-length: %d\r\n\r\n%b" % (status, headers, len(body), body)


class Connection(asyncio.Protocol):
    """One connection that is kept open; requests come one after the other."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what is written to."""
        self._world.connections += 1
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Answer what has arrived whole."""
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return
        self._received = rest[length:]
        method, target, _ = first.split(" ")
        self._transport.write(answer(self._world, method, target, headers, rest[:length]))


async def serve() -> None:
    """Serve until stdin is closed."""
    loop = asyncio.get_running_loop()
    world = World()
    server = await loop.create_server(lambda: Connection(world), "127.0.0.1", 0)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve())
