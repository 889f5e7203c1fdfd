#!/usr/bin/env node
// Runs the program in the package of this machine's platform, which npm installs beside this one.
'use strict';

const { spawn } = require('node:child_process');
const os = require('node:os');

const name = 'cardctl';
const platform = `${process.platform}-${process.arch}`;
let program;
try {
  program = require.resolve(`${name}-${platform}/${name}`);
} catch {
  console.error(`error: there is no ${name} for ${platform}, or npm left it out (--omit=optional)`);
  console.error(`fix: npm install ${name}-${platform}; on another platform build it from source`);
  process.exit(3);
}

const child = spawn(program, process.argv.slice(2), { stdio: 'inherit' });
child.on('error', (error) => {
  console.error(`error: ${program} can't be run: ${error.message}`);
  process.exit(3);
});
// It ends as the program does. A terminal's Ctrl-C reaches both, so there it is not passed on: a second one means more.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
  });
}
child.on('exit', (code, signal) => {
  process.exit(signal === null ? code : 128 + os.constants.signals[signal]);
});
