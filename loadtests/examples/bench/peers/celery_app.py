"""Celery's side of the comparison: one task that does nothing, and a producer for it.

The worker is Celery's own command (`celery -A celery_app worker`); as a program this file queues tasks:
`version`, `fill COUNT` or `feed AT_MOST`. The port of Redis is in PEER_REDIS_PORT.
"""

import json
import os
import platform
import sys
import time
from importlib.metadata import version

import redis
from celery import Celery

PORT = int(os.environ["PEER_REDIS_PORT"])
BROKER = f"redis://127.0.0.1:{PORT}/0"
RESULTS = f"redis://127.0.0.1:{PORT}/1"
BATCH = 100

app = Celery("peers", broker=BROKER, backend=RESULTS)


@app.task(name="noop")
def noop():
    pass


def enqueue(count):
    for _ in range(count):
        producer.send_task("noop")


def fill(count):
    begun = time.monotonic()
    enqueue(count)
    print(json.dumps({"enqueued": count, "seconds": time.monotonic() - begun}))


def feed(at_most):
    queue = redis.Redis(port=PORT)
    while True:
        if queue.llen("celery") < at_most:
            enqueue(BATCH)
        else:
            time.sleep(0.005)


if __name__ == "__main__":
    # No result backend here: this producer never asks for results, and subscribing to each would slow it down.
    producer = Celery("producer", broker=BROKER)
    match sys.argv[1:]:
        case ["version"]:
            print(f"{version('celery')} (redis-py {version('redis')}, Python {platform.python_version()})")
        case ["fill", count]:
            fill(int(count))
        case ["feed", at_most]:
            feed(int(at_most))
        case _:
            sys.exit("version | fill COUNT | feed AT_MOST")
