// An origin behind TLS that answers only requests with the secret: HTTP/1.1 and HTTP/2, and what package managers ask for.

import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createSecureServer } from 'node:http2';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/// A certification authority of its own in `directory`, and one certificate for all of `names`.
export async function certificates(directory, names) {
  const at = (name) => join(directory, name);
  const openssl = (...words) => execute('openssl', words, { cwd: directory });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  await openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=Origin CA');
  await openssl('req', ...key, '-keyout', 'origin.key', '-out', 'origin.csr', '-subj', `/CN=${names[0]}`);
  await writeFile(at('origin.ext'), `subjectAltName = ${names.map((name) => `DNS:${name}`).join(',')}\n`);
  const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'origin.ext'];
  await openssl('x509', '-req', '-in', 'origin.csr', '-out', 'origin.pem', ...signed);
  return { ca: at('ca.pem'), certificate: at('origin.pem'), key: at('origin.key') };
}

/// Starts it, on a port that speaks HTTP/2 and HTTP/1.1, and on one that speaks HTTP/1.1 alone. `routes` are functions by the
/// beginning of the path; `authorizations` are the values of the header that are accepted, by host.
export async function startOrigin({ certificate, key }, authorizations, routes) {
  const received = [];
  const options = { cert: await readFile(certificate), key: await readFile(key) };
  const servers = [createSecureServer({ ...options, allowHTTP1: true }), createServer(options)];
  const judge = (request) => {
    const host = (request.headers[':authority'] ?? request.headers.host).split(':')[0];
    const { method, url, httpVersion: version, headers: { authorization } } = request;
    const isAccepted = authorization !== undefined && authorization === authorizations[host];
    received.push({ host, method, url, version, authorization, isAccepted });
    return isAccepted;
  };
  const answer = (request, response) => {
    if (!judge(request)) {
      request.resume();
      return response.writeHead(401, { 'www-authenticate': 'Basic realm="origin"' }).end('no secret\n');
    }
    const beginning = Object.keys(routes).find((path) => request.url.startsWith(path));
    if (beginning === undefined) return response.writeHead(404).end('not here\n');
    return Promise.resolve(routes[beginning](request, response, request.url.slice(beginning.length))).catch((error) => {
      response.writeHead(500).end(`${error.stack}\n`);
    });
  };
  const upgrade = (request, socket) => {
    if (!judge(request)) return socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n');
    return webSocketEcho(request, socket);
  };
  for (const server of servers) {
    server.on('request', answer).on('upgrade', upgrade).listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
  const [port, oldPort] = servers.map((server) => server.address().port);
  return {
    port,
    oldPort,
    received,
    stop: () => servers.forEach((server) => {
      server.close();
      server.closeAllConnections?.();
    }),
  };
}

/// Reads a request's body.
export async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts);
}

export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/// Answers with JSON.
export function json(response, value, status = 200) {
  const body = JSON.stringify(value);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }).end(body);
}

/// Answers from `git http-backend`, a CGI program (RFC 3875), over the repositories in `root`.
export async function gitBackend(root, request, response) {
  const { pathname, search } = new URL(request.url, 'https://git.test');
  const { 'content-type': type = '', 'content-encoding': encoding = '', 'git-protocol': protocol = '' } = request.headers;
  const body = await bodyOf(request);
  const child = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env.PATH, GIT_PROJECT_ROOT: root, GIT_HTTP_EXPORT_ALL: '1', REMOTE_USER: 'alice', PATH_INFO: pathname,
      QUERY_STRING: search.slice(1), REQUEST_METHOD: request.method, CONTENT_TYPE: type, CONTENT_LENGTH: String(body.length),
      HTTP_CONTENT_ENCODING: encoding, GIT_PROTOCOL: protocol,
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.end(body);
  const answer = await bodyOf(child.stdout);
  const end = answer.indexOf('\r\n\r\n');
  const headers = Object.fromEntries(answer.subarray(0, end).toString().split('\r\n').map((line) => line.split(': ')));
  const status = Number.parseInt(headers.Status ?? '200', 10);
  delete headers.Status;
  response.writeHead(status, headers).end(answer.subarray(end + 4));
}

/// Sends every text frame of a WebSocket (RFC 6455) back. Frames here are shorter than 126 bytes.
function webSocketEcho(request, socket) {
  const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${
    accept.digest('base64')}\r\n\r\n`);
  let held = Buffer.alloc(0);
  socket.on('error', () => {});
  socket.on('data', (bytes) => {
    held = Buffer.concat([held, bytes]);
    while (held.length >= 6 && held.length >= 6 + (held[1] & 0x7f)) {
      const [first, length, mask] = [held[0], held[1] & 0x7f, held.subarray(2, 6)];
      const content = Buffer.from(held.subarray(6, 6 + length).map((byte, at) => byte ^ mask[at % 4]));
      socket.write(Buffer.concat([Buffer.from([first, length]), content]));
      held = held.subarray(6 + length);
      if ((first & 0x0f) === 8) socket.end();
    }
  });
}
