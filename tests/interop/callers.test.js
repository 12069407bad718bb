// Callers that present an access token in place of an API key: tokens (RFC 9068) that an independent provider signed.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import Provider from 'oidc-provider';
import { startStrongroom } from './strongroom.js';

const AUDIENCE = 'https://strongroom.example';
const SCOPES = 'READ_INTEGRATIONS vault:manage';
let http;
let issuer;
let strongroom;

before(async () => {
  http = createServer();
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  issuer = `http://127.0.0.1:${http.address().port}`;
  const client = { client_secret: 'secret', grant_types: ['client_credentials'], redirect_uris: [], response_types: [] };
  const provider = new Provider(issuer, {
    clients: [{ client_id: 'agent-7', ...client }, { client_id: 'agent-8', ...client }],
    features: {
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_ctx, resource) => ({ scope: SCOPES, audience: resource, accessTokenFormat: 'jwt' }),
      },
    },
  });
  http.on('request', provider.callback());
  strongroom = await startStrongroom(`
[trusted_issuers.corp]
issuer = "${issuer}"
audience = ["${AUDIENCE}"]
user_claim = "client_id"
user_prefix = "corp|"
claim_permissions = ["vault:manage=MANAGE_INTEGRATIONS"]
`);
});

after(async () => {
  assert.equal(await strongroom.stop(), 0);
  http.closeAllConnections();
  http.close();
});

async function tokenOf(client, resource, scope) {
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${client}:secret`).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', resource, scope }),
  });
  assert.equal(response.status, 200, await response.clone().text());
  return (await response.json()).access_token;
}

const ask = (token, method, path, body) => fetch(`${strongroom.url}/v1/integrations${path}`, {
  method,
  headers: { authorization: `Bearer ${token}`, ...(body ? { 'content-type': 'application/json' } : {}) },
  body: body && JSON.stringify(body),
});

test('an access token of oidc-provider stores and lists for its own client alone', async () => {
  const [seven, eight] = [await tokenOf('agent-7', AUDIENCE, SCOPES), await tokenOf('agent-8', AUDIENCE, SCOPES)];
  const created = await ask(seven, 'POST', '/openai/credentials', { type: 'api_key', api_key: 'k', title: 'of seven' });
  assert.equal(created.status, 201, await created.clone().text());
  assert.deepEqual((await (await ask(seven, 'GET', '/credentials')).json()).map((one) => one.title), ['of seven']);
  assert.deepEqual(await (await ask(eight, 'GET', '/credentials')).json(), []);
});

test('a token may do what its scopes stand for, and is no good for another audience', async () => {
  const reading = await tokenOf('agent-8', AUDIENCE, 'READ_INTEGRATIONS');
  assert.equal((await ask(reading, 'GET', '/credentials')).status, 200);
  assert.equal((await ask(reading, 'POST', '/openai/credentials', { type: 'api_key', api_key: 'k', title: '' })).status, 403);
  const elsewhere = await tokenOf('agent-8', 'https://other.example', SCOPES);
  assert.equal((await ask(elsewhere, 'GET', '/credentials')).status, 401);
  assert.ok(!strongroom.log.includes(elsewhere), 'no token is in the log');
});
