// Pages of docs/how-to as written: the files of MCP clients, and the CI job.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { delimiter, dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { readPage } from './page.js';
import { BINARY, startStrongroom } from './strongroom.js';
import { json } from './tls-origin.js';

const SECRET = 'ghp_live0Zq8Wm3Xc5Vb7Nn1Kj9HgPq2Ws4Ed6Rf';
const PATH = [dirname(BINARY), process.env.PATH].join(delimiter);
const clients = await readPage('mcp-clients.md');
let origin;
let strongroom;
let key;

before(async () => {
  origin = createServer((request, response) => {
    if (request.headers.authorization !== `Bearer ${SECRET}`) return response.writeHead(401).end();
    return json(response, { login: 'octocat' });
  }).listen(0, '127.0.0.1');
  await once(origin, 'listening');
  const base = `http://127.0.0.1:${origin.address().port}`;
  strongroom = await startStrongroom(`
[providers.github]
oauth.api_base_url = "${base}"
api_key.base_url = "${base}"
`);
  const stored = await strongroom.ask('POST', '/github/credentials', { type: 'api_key', api_key: SECRET, title: 't' });
  assert.equal(stored.status, 201, stored.text);
  key = await strongroom.key('PROXY_INTEGRATIONS');
  await symlink(join(import.meta.dirname, 'node_modules'), join(strongroom.directory, 'node_modules'));
});

after(async () => {
  assert.equal(await strongroom?.stop(), 0);
  origin?.closeAllConnections();
  origin?.close();
});

/// Calls `list_credentials` with the settings of a server as a client reads them.
async function connect({ url, headers, command, args, env }) {
  const transport = url
    ? new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } })
    : new StdioClientTransport({ command, args, env: { PATH, HOME: strongroom.directory, ...env }, cwd: strongroom.directory });
  const client = new Client({ name: 'interop', version: '1.0.0' });
  await client.connect(transport);
  try {
    const { content: [{ text }] } = await client.callTool({ name: 'list_credentials', arguments: {} });
    assert.equal(JSON.parse(text).credentials[0].provider, 'github');
  } finally {
    await client.close();
  }
}

/// The file with this server and this key in it, and with the variables that the client replaces.
const filled = (file) => file.replaceAll('http://127.0.0.1:8484', strongroom.url).replaceAll('srk_...', key)
  .replaceAll(/\$\{(?:env:|input:)?(?:STRONGROOM_API_KEY|strongroom)\}/g, key);

const FILES = clients.files.flatMap(([name, content]) => content.startsWith('{') ? [[name, content]] : []);
test('mcp-clients.md shows five files in JSON', () => assert.equal(FILES.length, 5));

for (const [at, [name, content]] of FILES.entries()) {
  test(`mcp-clients.md: ${name} (${at + 1})`, async () => {
    const { mcpServers, servers = mcpServers } = JSON.parse(filled(content));
    await connect(servers.strongroom);
  });
}

test('ci-job.md: the job gets the credential and not the key', async () => {
  const { files, commands } = await readPage('ci-job.md');
  const [, script] = files.find(([name]) => name === 'release.sh');
  const release = join(strongroom.directory, 'release.sh');
  await writeFile(release, `${script}echo\nenv\n`);
  await chmod(release, 0o755);
  const [job] = commands.filter((block) => block.startsWith('strongroom run'));
  const child = spawn('sh', ['-ec', job.replace('https://vault.example', strongroom.url)], {
    cwd: strongroom.directory, env: { PATH, STRONGROOM_API_KEY: key }, stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => { output += text; });
  const [code] = await once(child, 'close');
  assert.equal(code, 0, output);
  assert.match(output, /\{"login":"octocat"\}/);
  assert.match(output, /^GITHUB_TOKEN=ghp_/m);
  for (const secret of [SECRET, key]) assert.ok(!output.includes(secret), output);
});
