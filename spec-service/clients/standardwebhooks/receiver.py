"""A receiver of webhooks that verifies deliveries with the package `standardwebhooks`.

Prints its port, reads the secret from the standard input, and prints one line for each delivery.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

secret = None


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            event = Webhook(secret).verify(body, dict(self.headers))
            line = {
                "id": self.headers["webhook-id"],
                "spec": event["subject"],
                "position": event["data"]["position"],
            }
            status = 204
        except WebhookVerificationError as error:
            line, status = {"invalid": str(error)}, 401
        # One write, because deliveries arrive in several threads.
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
secret = sys.stdin.readline().strip()
server.serve_forever()
