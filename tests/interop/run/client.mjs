// One request by a client of Node.js: `client.mjs NAME URL` prints what the origin answers.

import { request } from 'node:https';

const [name, url] = process.argv.slice(2);
const clients = {
  async fetch() {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(`the status is ${answer.status}`);
    return answer.text();
  },
  https: () => new Promise((resolve, reject) => {
    request(url, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part) => { text += part; }).on('end', () => resolve(text));
    }).on('error', reject).end();
  }),
  socket: () => new Promise((resolve, reject) => {
    const socket = new WebSocket(url.replace('https:', 'wss:'));
    socket.addEventListener('open', () => socket.send('hello'));
    socket.addEventListener('error', ({ error }) => reject(error));
    socket.addEventListener('message', ({ data }) => {
      socket.close();
      resolve(data);
    });
  }),
};
console.log(await clients[name]());
