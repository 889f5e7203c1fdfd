#!/usr/bin/env python3
"""A minimal card issuer: the same answer to the same key. It keeps what it issued in memory, which a real one must not.

Usage: issuer.py PORT
"""

import http.server
import json
import secrets
import sys

issued = {}


class Issuer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        length = int(self.headers.get("content-length", 0))
        try:
            request = json.loads(self.rfile.read(length))
            key = request["idempotency_key"]
        except (ValueError, KeyError):
            return self.answer(422, {"code": "validation-failed"})
        if key not in issued:
            last4 = f"{secrets.randbelow(10000):04}"
            issued[key] = {"card_ref": "iss_" + secrets.token_hex(8), "last4": last4, "network": "visa"}
        self.answer(200, issued[key])

    def do_GET(self):
        self.answer(404, {"code": "not-found"})

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Issuer).serve_forever()
