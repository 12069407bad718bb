// The other side: npm `oidc-provider`, an independent certified authorization server, on a loopback port. PKCE is
// required, refresh tokens rotate, and it remembers every token that it gave out, so that a test can ask after them.

import { createServer } from 'node:http';
import { once } from 'node:events';
import Provider from 'oidc-provider';

export const CALLBACK = 'http://localhost:3999/oauth/callback?tenant=7';

// One client for each way of authenticating. The confidential ones have a secret that only survives if id and secret
// are encoded as RFC 6749 §2.3.1 says.
const AWKWARD_SECRET = 'k:e+y%2F&of=a client';
export const CLIENTS = {
  basic: { client_id: 'op-basic', client_secret: AWKWARD_SECRET, token_endpoint_auth_method: 'client_secret_basic' },
  post: { client_id: 'op-post', client_secret: AWKWARD_SECRET, token_endpoint_auth_method: 'client_secret_post' },
  none: { client_id: 'op-none', token_endpoint_auth_method: 'none' },
};

/// Starts the server, with what `change` makes of its configuration. What comes back knows its `issuer`, the `issued` token answers (and how the client authenticated
/// for each: this server takes header and body alike), the `tokenRequests` it had, and can say whether a token `isActive`.
export async function startProvider(change = (configuration) => configuration) {
  const http = createServer();
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const issuer = `http://127.0.0.1:${http.address().port}`;
  const provider = new Provider(issuer, change(configuration()));
  const seen = { issued: [], refused: [], tokenRequests: 0, serverErrors: [] };
  provider.on('grant.success', (ctx) => seen.issued.push({ ...ctx.body, authenticatedBy: authenticatedBy(ctx) }));
  provider.on('grant.error', (_ctx, error) => seen.refused.push(error.error));
  provider.on('server_error', (_ctx, error) => seen.serverErrors.push(error));
  const answer = provider.callback();
  http.on('request', (request, response) => {
    if (request.url === '/token') seen.tokenRequests += 1;
    answer(request, response);
  });
  return {
    issuer,
    issued: seen.issued,
    refused: seen.refused,
    serverErrors: seen.serverErrors,
    tokenRequests: () => seen.tokenRequests,
    isActive: (client, token) => isActive(issuer, client, token),
    stop: () => new Promise((done) => { http.close(done); http.closeAllConnections(); }),
  };
}

function authenticatedBy(ctx) {
  if (ctx.oidc.body.client_assertion) return 'assertion';
  if (ctx.headers.authorization) return 'client_secret_basic';
  return ctx.oidc.body.client_secret ? 'client_secret_post' : 'none';
}

/// The client as the server wants it described.
export function registered(client) {
  return {
    ...client,
    application_type: 'web',
    redirect_uris: [CALLBACK],
    response_types: ['code'],
    grant_types: ['authorization_code', 'refresh_token'],
  };
}

function configuration() {
  return {
    clients: Object.values(CLIENTS).map(registered),
    scopes: ['openid', 'profile', 'email', 'offline_access'],
    claims: { openid: ['sub'], profile: ['preferred_username', 'name'], email: ['email'] },
    findAccount: (_ctx, id) => ({
      accountId: id,
      claims: () => ({ sub: id, preferred_username: id, name: `${id} of Interop`, email: `${id}@interop.example` }),
    }),
    pkce: { required: () => true },
    rotateRefreshToken: true,
    ttl: { AccessToken: 3600, AuthorizationCode: 60, RefreshToken: 86400, Interaction: 600, Session: 3600, Grant: 86400, IdToken: 3600 },
    features: {
      devInteractions: { enabled: true },
      introspection: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
      revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
    },
  };
}

/// A form posted by this client, which authenticates in its own way.
export function postAs(client, url, form) {
  const body = new URLSearchParams(form);
  const headers = {};
  if (client.token_endpoint_auth_method === 'client_secret_basic') {
    const part = (text) => new URLSearchParams({ '': text }).toString().slice(1);
    const both = `${part(client.client_id)}:${part(client.client_secret)}`;
    headers.authorization = `Basic ${Buffer.from(both).toString('base64')}`;
  } else {
    body.set('client_id', client.client_id);
    if (client.client_secret) body.set('client_secret', client.client_secret);
  }
  return fetch(url, { method: 'POST', body, headers });
}

async function isActive(issuer, client, token) {
  const response = await postAs(client, `${issuer}/token/introspection`, { token });
  if (response.status !== 200) throw new Error(`introspection answered ${response.status}: ${await response.text()}`);
  return (await response.json()).active;
}

/// Its entry in the vocabulary of a strongroom.toml, once for each client: `[providers.op-basic]` and so on.
export function entriesToml(issuer) {
  const tokenAuth = { client_secret_basic: 'basic', client_secret_post: 'post', none: 'none' };
  return Object.values(CLIENTS).map((client) => `
[providers.${client.client_id}]
display_name = "Interop (${client.token_endpoint_auth_method})"
client_id = "${client.client_id}"
${client.client_secret ? `client_secret = ${JSON.stringify(client.client_secret)}` : ''}

[providers.${client.client_id}.oauth]
authorize_url = "${issuer}/auth"
token_url = "${issuer}/token"
issuer = "${issuer}"
announces_iss = true
token_auth = "${tokenAuth[client.token_endpoint_auth_method]}"
default_scopes = ["openid", "profile", "email", "offline_access"]
authorize_params = { prompt = "consent" }

[providers.${client.client_id}.oauth.identity]
url = "${issuer}/me"
username = "/preferred_username"
title = "/name"
account = "/sub"

[providers.${client.client_id}.oauth.revoke]
url = "${issuer}/token/revocation"

[providers.${client.client_id}.oauth.refresh]
rotates = true
`).join('');
}
