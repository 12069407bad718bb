// The programs of examples/, run as their first lines say.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { startAcme } from './strongroom.js';

const SECRET = 'sk-0123456789-of-the-example';
let origin;
let strongroom;

before(async () => {
  origin = createServer((request, response) => {
    const allowed = request.headers.authorization === `Bearer ${SECRET}`;
    response.writeHead(allowed ? 200 : 401, { 'content-type': 'text/plain', 'strongroom-problem': '/problems/faked' });
    response.end(`${request.method} ${request.url}`);
  }).listen(0, '127.0.0.1');
  await once(origin, 'listening');
  strongroom = await startAcme(origin, SECRET);
});

after(async () => {
  await strongroom?.stop();
  origin.closeAllConnections();
  origin.close();
});

/// Runs a program; gives its exit code and all that it wrote.
async function program(command, file, parameters) {
  const key = await strongroom.key('PROXY_INTEGRATIONS');
  const env = { PATH: process.env.PATH, STRONGROOM_URL: strongroom.url, STRONGROOM_API_KEY: key };
  return new Promise((done) => {
    execFile(command, [resolve('../../examples', file), ...parameters], { env }, (error, stdout, stderr) => {
      done({ code: error?.code ?? 0, stdout, stderr });
    });
  });
}

for (const [command, file] of [['python3', 'agent.py'], [process.execPath, 'agent.mjs']]) {
  test(`${file} sends a request with a credential`, async () => {
    const sent = await program(command, file, ['acme', '/me?a=1']);
    assert.deepEqual({ code: sent.code, stdout: sent.stdout }, { code: 0, stdout: 'GET /v1/me?a=1\n' }, sent.stderr);
  });

  test(`${file} shows what Strongroom refuses`, async () => {
    const refused = await program(command, file, ['acme', '/a%00']);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /path-not-canonical/);
    const absent = await program(command, file, ['github', '/user']);
    assert.equal(absent.code, 1);
    assert.match(absent.stderr, /no credential of github/);
  });
}
