// An MCP server of which Strongroom knows nothing but the URL: its authorization server is oidc-provider, at which Strongroom
// registers itself (RFC 7591) and whose tokens are for that server alone (RFC 8707).

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { logIn } from './people.js';
import { CALLBACK, startProvider } from './provider.js';
import { startStrongroom } from './strongroom.js';

let provider;
let mcp;
let server;
let strongroom;

before(async () => {
  provider = await startProvider((configuration) => ({
    ...configuration,
    scopes: [...configuration.scopes, 'files:read'],
    issueRefreshToken: () => true,
    features: {
      ...configuration.features,
      registration: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => false,
        getResourceServerInfo: (_ctx, resource) => ({ scope: 'files:read', audience: resource, accessTokenFormat: 'jwt' }),
      },
    },
  }));
  mcp = createServer((request, response) => {
    const own = `http://${request.headers.host}`;
    if (request.url === '/where-to-log-in') {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ resource: server, authorization_servers: [provider.issuer] }));
    } else {
      const challenge = `Bearer error="invalid_token", resource_metadata="${own}/where-to-log-in", scope="files:read"`;
      response.writeHead(401, { 'www-authenticate': challenge }).end();
    }
  });
  mcp.listen(0, '127.0.0.1');
  await once(mcp, 'listening');
  server = `http://127.0.0.1:${mcp.address().port}/mcp`;
  strongroom = await startStrongroom('[providers.mcp]\nallow_private = ["127.0.0.0/8"]\n');
});
after(async () => {
  await strongroom?.stop();
  await provider?.stop();
  mcp?.closeAllConnections();
  mcp?.close();
});

const claimsOf = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));

async function connect() {
  const begun = await strongroom.ask('POST', '/mcp/oauth/initiate', { callback_url: CALLBACK, inputs: { server_url: server } });
  assert.equal(begun.status, 200, begun.text);
  const { parameters: { code, state, tenant: _, ...others } } = await logIn(begun.body.login_url, 'alice');
  const completed = await strongroom.ask('POST', '/mcp/oauth/complete', { code, state_token: state, callback_params: others });
  assert.equal(completed.status, 200, completed.text);
  return { client: new URL(begun.body.login_url).searchParams.get('client_id'), credential: completed.body };
}

test('bar 38 to 41: registered once, connected, refreshed for the same resource, revoked', async () => {
  const { client, credential } = await connect();
  assert.deepEqual(credential.scopes, ['files:read']);
  assert.equal(claimsOf(provider.issued.at(-1).access_token).aud, server);

  const path = `/mcp/credentials/${credential.credentials_id}`;
  const refreshed = await strongroom.ask('POST', `${path}/refresh`);
  assert.equal(refreshed.status, 200, refreshed.text);
  assert.equal(claimsOf(provider.issued.at(-1).access_token).aud, server, 'the refresh names the resource too');
  assert.equal(claimsOf(provider.issued.at(-1).access_token).client_id, client);

  const again = await connect();
  assert.equal(again.client, client, 'there is one registration for all logins');

  const gone = await strongroom.ask('DELETE', path);
  assert.equal(gone.body.revoked, true, gone.text);
  assert.deepEqual(provider.serverErrors, []);
});
