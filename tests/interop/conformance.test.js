// The client scenarios of the conformance suite of MCP's authors that need no more of a client than a login: discovery,
// registration, scopes and client authentication.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startDev } from './strongroom.js';

const SCENARIOS = [
  'metadata-default',
  'metadata-var1',
  'metadata-var2',
  'metadata-var3',
  'scope-from-www-authenticate',
  'scope-from-scopes-supported',
  'scope-omitted-when-undefined',
  'token-endpoint-auth-basic',
  'token-endpoint-auth-post',
  'token-endpoint-auth-none',
  'resource-mismatch',
];

let strongroom;
before(async () => { strongroom = await startDev(); });
after(() => strongroom?.stop());

for (const scenario of SCENARIOS) {
  test(`auth/${scenario}`, async () => {
    const client = `${process.execPath} ${join(import.meta.dirname, 'conformance-client.js')}`;
    const program = join(import.meta.dirname, 'node_modules/@modelcontextprotocol/conformance/dist/index.js');
    const loader = ['--import', join(import.meta.dirname, 'conformance-loader.js')];
    const child = spawn(process.execPath, [...loader, program, 'client', '--command', client, '--scenario', `auth/${scenario}`], {
      env: { ...process.env, STRONGROOM_URL: strongroom.url, STRONGROOM_API_KEY: strongroom.apiKey },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let printed = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => { printed += text; });
    const [code] = await once(child, 'close');
    assert.equal(code, 0, printed);
  });
}
