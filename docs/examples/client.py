#!/usr/bin/env python3
"""Asks for a replacement card and follows the task's event stream to its end. Needs nothing beyond Python 3.8.

Usage: client.py URL USERNAME PASSWORD
"""

import json
import sys
import time
import urllib.error
import urllib.request
import uuid

FINAL = {"succeeded", "declined", "dead", "cancelled"}


class Refused(Exception):
    """The platform answered with a problem document (RFC 9457)."""

    def __init__(self, status, problem, retry_after):
        super().__init__(f"{status} {problem.get('code')}: {problem.get('detail')}")
        self.status = status
        self.code = problem.get("code")
        self.retry_after = retry_after


class Client:
    def __init__(self, url):
        self.url = url.rstrip("/") + "/api/v1"
        self.token = None

    def open(self, method, path, body=None, headers=None, timeout=30):
        headers = {"content-type": "application/json", **(headers or {})}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            return urllib.request.urlopen(request, timeout=timeout)
        except urllib.error.HTTPError as error:
            try:
                problem = json.loads(error.read())
            except ValueError:
                problem = {"code": f"http-{error.code}", "detail": "no answer of the platform itself"}
            raise Refused(error.code, problem, error.headers.get("retry-after")) from None

    def call(self, method, path, body=None, headers=None):
        with self.open(method, path, body, headers) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def sign_in(self, username, password):
        try:
            self.call("POST", "/users", {"username": username, "password": password})
        except Refused as refused:
            if refused.code != "username-taken":
                raise
        session = self.call("POST", "/sessions", {"username": username, "password": password})
        self.token = session["access_token"]

    def replace(self, reason, attempts=5):
        """Sends one request. The key makes it safe to send it again when no answer came."""
        key = str(uuid.uuid4())
        for attempt in range(1, attempts + 1):
            try:
                return self.call("POST", "/replacements", {"reason": reason}, {"idempotency-key": key})
            except Refused as refused:
                if refused.status not in (408, 429, 503) or attempt == attempts:
                    raise
                time.sleep(float(refused.retry_after or attempt))
            except OSError:
                if attempt == attempts:
                    raise
                time.sleep(attempt)

    def follow(self, task):
        """Yields each state of a task until the final one. A stream that breaks is opened again where it was."""
        last = None
        while True:
            headers = {"last-event-id": last} if last else {}
            try:
                # A keep-alive comes every 15 s: longer silence is a broken connection.
                with self.open("GET", f"/tasks/{task}/events", headers=headers, timeout=30) as stream:
                    number, kind, data = None, None, None
                    for line in stream:
                        name, _, value = line.decode().rstrip("\n").partition(": ")
                        if name == "id":
                            number = value
                        elif name == "event":
                            kind = value
                        elif name == "data":
                            data = value
                        elif not name:
                            if kind == "state":
                                state = json.loads(data)
                                yield state
                                last = number or last
                                if state["status"] in FINAL:
                                    return
                            number, kind, data = None, None, None
            except OSError:
                time.sleep(1)
            # The stream may have ended after the final state was told: look before opening it again.
            state = self.call("GET", f"/tasks/{task}")
            if state["status"] in FINAL:
                yield state
                return


def main():
    url, username, password = sys.argv[1:4]
    client = Client(url)
    client.sign_in(username, password)
    task = client.replace("lost")
    for state in client.follow(task["id"]):
        print(state["id"], state["status"])
    for card in client.call("GET", "/cards")["items"]:
        print(f"card ending in {card['last4']}, {card['status']}")


if __name__ == "__main__":
    main()
