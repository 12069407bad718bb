// Strongroom's own MCP server, and `strongroom mcp`, with the clients of the official SDKs and the server scenarios of the
// conformance suite of MCP's authors.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { program } from './python.js';
import { BINARY, startAcme } from './strongroom.js';

const SECRET = 'sk-live-0123456789abcdef';
const TOOLS = ['approval_status', 'http_get', 'http_send', 'list_credentials'];
const UNKNOWN = '3f2b8c1e-0000-4000-8000-000000000000';

/// Text that a terminal would show in another way.
const HIDDEN = 'a\u200db\u2028c\u0085d';
let origin;
let received;
let strongroom;
let key;
let credential;

before(async () => {
  received = [];
  origin = createServer((asked, answer) => {
    received.push(asked.headers.authorization);
    answer.setHeader('content-type', 'text/plain');
    answer.end(`${HIDDEN} ${asked.headers.authorization}`);
  });
  origin.listen(0, '127.0.0.1');
  await once(origin, 'listening');
  strongroom = await startAcme(origin, SECRET);
  credential = strongroom.credential;
  key = await strongroom.key('PROXY_INTEGRATIONS');
});

after(async () => {
  assert.equal(await strongroom?.stop(), 0);
  origin?.closeAllConnections();
  origin?.close();
});

/// The secret went to the origin, and to no other place.
function wasInjected(text) {
  assert.equal(received.pop(), `Bearer ${SECRET}`);
  assert.ok(!text.includes(SECRET), text);
}

const TRANSPORTS = {
  'streamable HTTP': () => new StreamableHTTPClientTransport(new URL(`${strongroom.url}/mcp`), {
    requestInit: { headers: { authorization: `Bearer ${key}` } },
  }),
  stdio: () => new StdioClientTransport({
    command: BINARY, args: ['mcp', '--url', strongroom.url], env: { STRONGROOM_API_KEY: key }, cwd: strongroom.directory,
  }),
};

for (const [name, transport] of Object.entries(TRANSPORTS)) {
  test(`@modelcontextprotocol/sdk over ${name}: list, call, errors`, async () => {
    const client = new Client({ name: 'interop', version: '1.0.0' });
    await client.connect(transport());
    try {
      assert.equal(client.getServerVersion().name, 'strongroom');
      const { tools } = await client.listTools();
      assert.deepEqual(tools.map((tool) => tool.name).sort(), TOOLS);
      await client.ping();
      const called = await client.callTool({ name: 'http_get', arguments: { credential, path: '/x' } });
      const { text } = called.content[0];
      assert.ok(!called.isError && JSON.parse(text).body.startsWith(HIDDEN), text);
      wasInjected(text);
      const refused = await client.callTool({ name: 'http_get', arguments: { credential: UNKNOWN, path: '/x' } });
      assert.ok(refused.isError && refused.content[0].text.includes('credential-not-found'), refused.content[0].text);
      await assert.rejects(client.callTool({ name: 'get_token', arguments: {} }), { code: -32602 });
    } finally {
      await client.close();
    }
  });
}

for (const environment of ['mcp1', 'mcp2']) {
  test(`${environment} of PyPI: list, call, errors over HTTP and stdio`, async () => {
    const script = join(import.meta.dirname, 'python', 'sdk_client.py');
    const parameters = [script, `${strongroom.url}/mcp`, BINARY, strongroom.url, credential, UNKNOWN];
    const child = spawn(program(environment, 'python'), parameters, {
      cwd: strongroom.directory, env: { ...process.env, STRONGROOM_API_KEY: key }, stdio: ['ignore', 'pipe', 'pipe'],
    });
    const printed = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr']) child[name].setEncoding('utf8').on('data', (text) => { printed[name] += text; });
    const [code] = await once(child, 'close');
    assert.equal(code, 0, printed.stderr);
    const results = JSON.parse(printed.stdout);
    assert.equal(results.length, 2);
    for (const { tools, text, refused, unknown } of results) {
      assert.deepEqual(tools, TOOLS);
      assert.ok(JSON.parse(text).body.startsWith(HIDDEN), text);
      wasInjected(text);
      assert.ok(refused.includes('credential-not-found') && unknown, refused);
    }
  });
}

/// The scenarios of each revision that say something about a server with tools alone. All others call tools of a fixture
/// (`test_simple_text`, …), or are about what this server does not have: prompts, resources, completion, logging,
/// sampling, elicitation, tasks, `x-mcp-header`, and streams. `server-stateless` and `caching` have their own list.
const SCENARIOS = {
  '2025-11-25': ['server-initialize', 'ping', 'tools-list', 'dns-rebinding-protection'],
  '2026-07-28': [
    'tools-list', 'dns-rebinding-protection', 'http-header-validation', 'sep-2164-resource-not-found',
    'input-required-result-unsupported-methods', 'input-required-result-ignore-extra-params',
  ],
};

/// Checks of these scenarios that do not apply: they call a tool of the fixture, or list prompts and resources.
const NOT_APPLICABLE = {
  'server-stateless': [
    'sep-2575-server-rejects-undeclared-capability', 'sep-2575-missing-capability-http-400',
    'sep-2575-http-server-no-independent-requests-on-stream', 'sep-2575-server-no-log-without-loglevel',
  ],
  caching: [
    'sep-2549-prompts-list-caching-hints', 'sep-2549-resources-list-caching-hints',
    'sep-2549-resources-templates-list-caching-hints',
  ],
};

describe('conformance suite', () => {
  let relay;
  before(async () => {
    // The suite cannot send an API key.
    relay = createServer((asked, answer) => {
      const { method, url: path, headers } = asked;
      const { hostname: host, port } = new URL(strongroom.url);
      const passed = request({ host, port, method, path, headers: { ...headers, 'x-api-key': key } }, (got) => {
        answer.writeHead(got.statusCode, got.headers);
        got.pipe(answer);
      });
      asked.pipe(passed);
    });
    relay.listen(0, '127.0.0.1');
    await once(relay, 'listening');
  });
  after(() => relay?.close());

  /// Returns the checks of a scenario that did not succeed.
  async function failures(revision, scenario) {
    const suite = join(import.meta.dirname, 'node_modules/@modelcontextprotocol/conformance/dist/index.js');
    const words = ['server', '--url', `http://127.0.0.1:${relay.address().port}/mcp`, '--spec-version', revision,
      '--scenario', scenario, '--verbose'];
    const child = spawn(process.execPath, ['--import', join(import.meta.dirname, 'conformance-loader.js'), suite, ...words], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let printed = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => { printed += text; });
    await once(child, 'close');
    const list = printed.match(/^\[\n.*?^\]$/ms);
    assert.ok(list, printed);
    const checks = JSON.parse(list[0]);
    assert.ok(checks.some((check) => check.status === 'SUCCESS'), printed);
    return checks.filter((check) => check.status === 'FAILURE').map((check) => check.id);
  }

  for (const [revision, scenarios] of Object.entries(SCENARIOS)) {
    for (const scenario of scenarios) {
      test(`${revision} ${scenario}`, async () => assert.deepEqual(await failures(revision, scenario), []));
    }
  }

  for (const [scenario, checks] of Object.entries(NOT_APPLICABLE)) {
    test(`2026-07-28 ${scenario}`, async () => assert.deepEqual(await failures('2026-07-28', scenario), checks));
  }
});
