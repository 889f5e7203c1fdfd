// BullMQ's side of the comparison: one job that does nothing, its worker and a producer for it.
//
// `version`, `work CONCURRENCY`, `fill COUNT` or `feed AT_MOST`, started in the folder that has node_modules. The port
// of Redis is in PEER_REDIS_PORT.

import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";

const require = createRequire(`${process.cwd()}/`);
const { Queue, Worker } = require("bullmq");
const connection = { host: "127.0.0.1", port: Number(process.env.PEER_REDIS_PORT) };
// Adding one by one, so many at a time, is faster than addBulk and closer to what web servers do.
const PARALLEL = 100;

const enqueue = (queue, count) => Promise.all(Array.from({ length: count }, () => queue.add("noop", {})));

async function fill(count) {
  const queue = new Queue("noop", { connection });
  await queue.waitUntilReady();
  const begun = performance.now();
  for (let left = count; left > 0; left -= PARALLEL) {
    await enqueue(queue, Math.min(PARALLEL, left));
  }
  console.log(JSON.stringify({ enqueued: count, seconds: (performance.now() - begun) / 1000 }));
  await queue.close();
}

async function feed(atMost) {
  const queue = new Queue("noop", { connection });
  for (;;) {
    if ((await queue.getWaitingCount()) < atMost) {
      await enqueue(queue, PARALLEL);
    } else {
      await sleep(5);
    }
  }
}

const release = (name) => require(`./node_modules/${name}/package.json`).version;

const [mode, size] = process.argv.slice(2);
if (mode === "version") {
  require("ioredis");
  console.log(`${release("bullmq")} (ioredis ${release("ioredis")}, Node ${process.versions.node})`);
} else if (mode === "work") {
  new Worker("noop", async () => {}, { connection, concurrency: Number(size) });
} else if (mode === "fill") {
  await fill(Number(size));
} else if (mode === "feed") {
  await feed(Number(size));
} else {
  console.error("version | work CONCURRENCY | fill COUNT | feed AT_MOST");
  process.exit(2);
}
