// An agent as it is written for Node.js: JSON lines over a Unix socket, which is its standard input. A request
// `{ id, text, count }` is answered by `count` events, each written when it is made.
'use strict';
const { once } = require('node:events');
const { Socket } = require('node:net');

const socket = new Socket({ fd: 0 });
socket.setEncoding('utf8');

async function answer({ id, text, count }) {
  for (let number = 0; number < count; number++) {
    const event = { type: 'said', id: id + number, text };
    if (!socket.write(JSON.stringify(event) + '\n')) await once(socket, 'drain');
  }
}

(async () => {
  let partial = '';
  for await (const chunk of socket) {
    const lines = (partial + chunk).split('\n');
    partial = lines.pop();
    for (const line of lines) await answer(JSON.parse(line));
  }
})();
