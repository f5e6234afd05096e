#!/bin/sh
# slack-sdk posts a message twice where the answer to the first request is lost.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check slack_sdk==3.48.0
cat <<'END'
Version:  slack-sdk 3.48.0, WebClient as it comes, without a retry handler of the caller's.
Expected: chat.postMessage is not idempotent. A server that has read the request and closes the connection without an
          answer may have posted: the call raises, and the caller decides.
Seen:     the call raises, but only after it has sent the same message again. In Slack it stands twice.
END
"$place/venv/bin/python" - <<'END'
import sys
from http.client import RemoteDisconnected
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from slack_sdk import WebClient

posted = []


class LosesAnswers(BaseHTTPRequestHandler):
    """Takes every message, and closes the connection before it has answered."""

    def do_POST(self):
        posted.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.close_connection = True

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), LosesAnswers)
Thread(target=server.serve_forever, daemon=True).start()
client = WebClient("xoxb-made-up", base_url=f"http://127.0.0.1:{server.server_port}/api/")
try:
    client.chat_postMessage(channel="C0SUPPORT00", text="3 runs are waiting")
    raised = "nothing"
except RemoteDisconnected as error:
    raised = type(error).__name__
print(f"calls: 1, raised: {raised}, messages that the server took: {len(posted)}")
for message in posted:
    print(f"  {message}")
sys.exit(0 if raised == "RemoteDisconnected" and len(posted) == 2 and posted[0] == posted[1] else 1)
END
