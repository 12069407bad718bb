// The client that @modelcontextprotocol/conformance tests: it knows the URL of an MCP server, connects an account there
// through a running Strongroom, and uses the server with the token that Strongroom hands out.
//
// Usage: conformance-client.js SERVER_URL, with STRONGROOM_URL and STRONGROOM_API_KEY.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { Browser } from './browser.js';

const CALLBACK = 'http://localhost:3999/callback';
const server = process.argv.at(-1);

async function ask(method, path, body) {
  const response = await fetch(`${process.env.STRONGROOM_URL}/v1/integrations${path}`, {
    method,
    headers: { 'x-api-key': process.env.STRONGROOM_API_KEY, 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

const begun = await ask('POST', '/mcp/oauth/initiate', { callback_url: CALLBACK, inputs: { server_url: server } });
const { parameters: { code, state, ...others } } = await new Browser().open(begun.login_url, CALLBACK);
const { credentials_id: id } = await ask('POST', '/mcp/oauth/complete', { code, state_token: state, callback_params: others });
const { access_token: token } = await ask('GET', `/mcp/credentials/${id}/token`);

const client = new Client({ name: 'strongroom-conformance', version: '1.0.0' });
await client.connect(new StreamableHTTPClientTransport(new URL(server), {
  requestInit: { headers: { authorization: `Bearer ${token}` } },
}));
const { tools } = await client.listTools();
for (const { name } of tools) await client.callTool({ name, arguments: {} });
await client.close();
