#!/bin/sh
# LangSmith's SDK ends a listing at a page without items, although that page names the next one.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check langsmith==0.15.1
cat <<'END'
Version:  langsmith 0.15.1 (November 2026), the items of an annotation queue as it lists them.
Expected: the listing is paged by an opaque cursor, and has ended where an answer has no next_cursor. A page may be empty before
          that, as where a filter leaves nothing of it: the item on the page after it is listed.
Seen:     the pager looks at the items first and at the cursor second. It never asks for the third page, and ends as after a
          complete list: no error, no warning, and one item of two. The cursor that it held leads to the other.
END
"$place/venv/bin/python" - <<'END'
import asyncio
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

from langsmith import Client

QUEUE = "6f1ed4a6-7d1c-4c36-9d3c-0d8a8f0f7a11"
PAGES = {
    "": {"items": [{"id": "first"}], "next_cursor": "b"},
    "b": {"items": [], "next_cursor": "c"},
    "c": {"items": [{"id": "second"}], "next_cursor": None},
}
asked = []


class Listing(BaseHTTPRequestHandler):
    """Answers with the page that a cursor names."""

    def do_GET(self):
        address = urlsplit(self.path)
        assert address.path.endswith(f"/annotation-queues/{QUEUE}/items")
        cursor = parse_qs(address.query).get("cursor", [""])[0]
        asked.append(cursor)
        body = json.dumps(PAGES[cursor]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Listing)
Thread(target=server.serve_forever, daemon=True).start()
client = Client(
    api_url=f"http://127.0.0.1:{server.server_port}",
    api_key="made-up",
    info={"version": "0.16.20"},  # of a LangSmith that has this listing
    auto_batch_tracing=False,
)
items = client.annotation_queues.items


async def look():
    listed = [item.id async for item in items.list(QUEUE, status="needs_my_review")]
    by_hand = await items.list(QUEUE, status="needs_my_review", cursor="c")
    return listed, [item.id for item in by_hand.items]


listed, by_hand = asyncio.run(look())
print(f"cursors followed: {asked[:-1]} of {list(PAGES)}; listed: {listed}; on the page of the cursor 'c': {by_hand}")
sys.exit(0 if asked == ["", "b", "c"] and listed == ["first"] and by_hand == ["second"] else 1)
END
