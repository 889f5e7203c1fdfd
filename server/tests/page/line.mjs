// The line between the browser and the server, which a test can cut.

import { createServer, request } from 'node:http';

/**
 * Passes everything on to `target`. `cut()` breaks all connections, `down()` does so until `up()`. Where
 * `losing((method, path) => …)` holds, the server does what it is asked, and nobody gets the answer; `losing()` ends it.
 */
export async function lineTo(target) {
  const { hostname, port } = new URL(target);
  const sockets = new Set();
  let isDown = false;
  let isLost = () => false;

  const server = createServer((asked, answer) => {
    const { method, url, headers } = asked;
    const loses = isLost(method, url);
    const onward = request({ hostname, port, method, path: url, headers }, (answered) => {
      if (loses) {
        answered.resume().on('end', () => asked.socket.destroy());
        return;
      }
      answer.writeHead(answered.statusCode, answered.rawHeaders);
      answer.flushHeaders();
      answered.pipe(answer);
      answered.on('error', () => answer.destroy());
      answer.on('close', () => answered.destroy());
    });
    onward.on('error', () => answer.destroy());
    asked.pipe(onward);
  });
  server.on('connection', (socket) => {
    if (isDown) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });

  const cut = () => sockets.forEach((socket) => socket.destroy());
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    cut,
    down() {
      isDown = true;
      cut();
    },
    up() { isDown = false; },
    losing(matches = () => false) { isLost = matches; },
    close() {
      server.close();
      cut();
    },
  };
}
