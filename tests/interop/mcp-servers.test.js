// MCP servers as people build them: on the official Python SDK, on FastMCP and on the official TypeScript SDK.
// Strongroom knows their URL only. Each is connected, used with the token that Strongroom hands out, refreshed and
// deleted.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { Browser, Callback } from './browser.js';
import { CALLBACK, startProvider } from './provider.js';
import { startPython } from './python.js';
import { startSdkServer } from './sdk-server.js';
import { freePort, startDev } from './strongroom.js';

let strongroom;
before(async () => { strongroom = await startDev(); });
after(() => strongroom?.stop());

/// What a person does on the pages between `loginUrl` and the callback: approve, log in and consent.
async function approve(loginUrl) {
  let page = await new Browser().open(loginUrl, CALLBACK);
  for (let pages = 0; !(page instanceof Callback); pages += 1) {
    assert.ok(pages < 5 && page.status === 200, `a page that leads no further, ${page.status}: ${page.text}`);
    const [label] = page.buttons.filter((button) => ['Approve', 'Allow Access', 'Sign-in', 'Continue'].includes(button));
    page = await page.submit(label, label === 'Sign-in' ? { login: 'alice', password: 'any' } : {});
  }
  return page.parameters;
}

async function initiate(server) {
  const begun = await strongroom.ask('POST', '/mcp/oauth/initiate', { callback_url: CALLBACK, inputs: { server_url: server.url } });
  assert.equal(begun.status, 200, begun.text);
  return begun.body;
}

async function connect(server) {
  const { login_url: loginUrl, state_token: state } = await initiate(server);
  const { code, state: _state, tenant: _tenant, ...others } = await approve(loginUrl);
  const completed = await strongroom.ask('POST', '/mcp/oauth/complete', { code, state_token: state, callback_params: others });
  assert.equal(completed.status, 200, completed.text);
  return completed.body;
}

async function tokenOf({ credentials_id: id }) {
  const live = await strongroom.ask('GET', `/mcp/credentials/${id}/token`);
  assert.equal(live.status, 200, live.text);
  return live.body.access_token;
}

/// Calls the tool of the server with this token.
async function add(server, token, a, b) {
  const transport = new StreamableHTTPClientTransport(new URL(server.url), {
    requestInit: { headers: { authorization: `Bearer ${token}` } },
  });
  const client = new Client({ name: 'interop', version: '1.0.0' });
  try {
    await client.connect(transport);
    const { content } = await client.callTool({ name: 'add', arguments: { a, b } });
    return Number(content[0].text);
  } finally {
    await client.close();
  }
}

/// An authorization server beside the MCP server, whose tokens are JWTs for that server alone.
const startIssuer = (clients = []) => startProvider((configuration) => ({
  ...configuration,
  clients: [...configuration.clients, ...clients],
  scopes: [...configuration.scopes, 'files:read'],
  issueRefreshToken: () => true,
  features: {
    ...configuration.features,
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: (_ctx, resource) => ({ scope: 'files:read', audience: resource, accessTokenFormat: 'jwt' }),
    },
  },
}));

async function startRemote(environment, script) {
  const issuer = await startIssuer();
  const server = await startPython(environment, script, ['remote', issuer.issuer]);
  return { ...server, stop: () => Promise.all([server.stop(), issuer.stop()]) };
}

async function startProxy(environment) {
  const port = await freePort();
  const issuer = await startIssuer([{
    client_id: 'fastmcp-proxy',
    client_secret: 'a secret of the proxy',
    redirect_uris: [`http://127.0.0.1:${port}/auth/callback`],
    grant_types: ['authorization_code', 'refresh_token'],
  }]);
  const server = await startPython(environment, 'fastmcp_server.py', ['proxy', issuer.issuer], port);
  return { ...server, stop: () => Promise.all([server.stop(), issuer.stop()]) };
}

/// Each server: how it starts, and if a deleted credential's access token ends at once.
const SERVERS = {
  'mcp 1, own authorization server': [() => startPython('mcp1', 'sdk_server.py', ['own']), true],
  'mcp 2, own authorization server': [() => startPython('mcp2', 'sdk_server.py', ['own']), true],
  'mcp 1, other authorization server': [() => startRemote('mcp1', 'sdk_server.py'), false],
  'mcp 2, other authorization server': [() => startRemote('mcp2', 'sdk_server.py'), false],
  '@modelcontextprotocol/sdk': [startSdkServer, true],
  'FastMCP 2, own authorization server': [() => startPython('fastmcp2', 'fastmcp_server.py', ['own']), true],
  'FastMCP 3, own authorization server': [() => startPython('fastmcp3', 'fastmcp_server.py', ['own']), true],
  'FastMCP 4, own authorization server': [() => startPython('fastmcp4', 'fastmcp_server.py', ['own']), true],
  'FastMCP 2, RemoteAuthProvider': [() => startRemote('fastmcp2', 'fastmcp_server.py'), false],
  'FastMCP 3, RemoteAuthProvider': [() => startRemote('fastmcp3', 'fastmcp_server.py'), false],
  'FastMCP 4, RemoteAuthProvider': [() => startRemote('fastmcp4', 'fastmcp_server.py'), false],
  'FastMCP 2, OAuthProxy': [() => startProxy('fastmcp2'), false],
  'FastMCP 3, OAuthProxy': [() => startProxy('fastmcp3'), false],
  'FastMCP 4, OAuthProxy': [() => startProxy('fastmcp4'), false],
};

for (const [name, [start, endsAtOnce]] of Object.entries(SERVERS)) {
  describe(name, () => {
    let server;
    before(async () => { server = await start(); });
    after(() => server?.stop());

    test('login, tool call, refresh, delete', async () => {
      const credential = await connect(server);
      assert.deepEqual(credential.scopes, ['files:read']);
      const first = await tokenOf(credential);
      assert.equal(await add(server, first, 1, 2), 3);

      const path = `/mcp/credentials/${credential.credentials_id}`;
      const refreshed = await strongroom.ask('POST', `${path}/refresh`);
      assert.equal(refreshed.status, 200, refreshed.text);
      const second = await tokenOf(credential);
      assert.notEqual(second, first);
      assert.equal(await add(server, second, 20, 3), 23);

      const deleted = await strongroom.ask('DELETE', path);
      assert.equal(deleted.body?.revoked, true, deleted.text);
      if (endsAtOnce) await assert.rejects(add(server, second, 4, 5));
    });
  });
}

/// Servers that keep their clients in memory, and forget them when they start again.
const FORGETFUL = {
  'mcp 1': [() => startPython('mcp1', 'sdk_server.py', ['own'])],
  'mcp 2': [() => startPython('mcp2', 'sdk_server.py', ['own'])],
  '@modelcontextprotocol/sdk': [startSdkServer],
  'FastMCP 4': [() => startPython('fastmcp4', 'fastmcp_server.py', ['own'])],
};

for (const [name, [start]] of Object.entries(FORGETFUL)) {
  describe(`${name}, restarted`, () => {
    let server;
    before(async () => { server = await start(); });
    after(() => server?.stop());

    test('a refresh says that the user has to log in again, and the login works', async () => {
      const credential = await connect(server);
      await server.forget();
      const path = `/mcp/credentials/${credential.credentials_id}`;
      const refused = await strongroom.ask('POST', `${path}/refresh`);
      assert.deepEqual([refused.status, refused.body.type], [409, '/problems/needs-reauth'], refused.text);

      const again = await connect(server);
      assert.equal(await add(server, await tokenOf(again), 1, 2), 3);
    });
  });
}
