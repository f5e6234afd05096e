#!/bin/sh
# A WebClient whose api_call is overridden sends the first page of a list through it, and the other pages past it.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check slack_sdk==3.48.0
cat <<'END'
Version:  slack-sdk 3.48.0.
Expected: every method of WebClient is one call of its public api_call. A subclass that overrides that, to count what it sends,
          to hold back under a limit or to go another way, has all of it in hand, also while a program iterates over the pages
          of an answer.
Seen:     only the first page goes through api_call. The iterator sends for the others by a private method of the client, which
          api_call does not come into. Slack is asked three times, and the subclass has counted one.
END
"$place/venv/bin/python" - <<'END'
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

from slack_sdk import WebClient

FOLLOWING = {"": "b", "b": "c", "c": ""}
asked, counted = [], []


class Channels(BaseHTTPRequestHandler):
    """A list of channels on three pages."""

    def do_POST(self):
        form = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
        fields = parse_qs(form) | parse_qs(urlsplit(self.path).query)
        cursor = fields.get("cursor", [""])[0]
        asked.append(cursor)
        page = {"ok": True, "channels": [], "response_metadata": {"next_cursor": FOLLOWING[cursor]}}
        body = json.dumps(page).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST

    def log_message(self, *_):
        pass


class Counting(WebClient):
    """Counts what it sends."""

    def api_call(self, api_method, **options):
        counted.append(api_method)
        return super().api_call(api_method, **options)


server = ThreadingHTTPServer(("127.0.0.1", 0), Channels)
Thread(target=server.serve_forever, daemon=True).start()
client = Counting("xoxb-made-up", base_url=f"http://127.0.0.1:{server.server_port}/api/")
pages = sum(1 for _ in client.conversations_list(limit=1))
print(f"pages: {pages}, requests that the server saw: {len(asked)}, calls of api_call: {len(counted)}")
sys.exit(0 if (pages, asked, counted) == (3, ["", "b", "c"], ["conversations.list"]) else 1)
END
