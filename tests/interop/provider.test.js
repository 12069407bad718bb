// The suite's own footing: the other server really demands what the tests against it are to prove.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { Browser, Callback } from './browser.js';
import { CALLBACK, CLIENTS, postAs, startProvider } from './provider.js';
import { logIn } from './people.js';

let provider;
before(async () => { provider = await startProvider(); });
after(() => provider.stop());

/// An authorization request of this client, with what `change` says (undefined leaves a parameter out).
function authorization(client, verifier, change = {}) {
  const url = new URL(`${provider.issuer}/auth`);
  const parameters = {
    response_type: 'code',
    client_id: client.client_id,
    redirect_uri: CALLBACK,
    scope: 'openid profile email offline_access',
    prompt: 'consent',
    state: 'xyz',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...change,
  };
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) url.searchParams.set(name, value);
  return url;
}

function exchange(client, code, verifier) {
  const form = { grant_type: 'authorization_code', code, redirect_uri: CALLBACK, code_verifier: verifier };
  return postAs(client, `${provider.issuer}/token`, form);
}

for (const [way, client] of Object.entries(CLIENTS)) {
  test(`the provider: PKCE, rotation, revocation and introspection for a client by ${way}`, async () => {
    const verifier = randomBytes(32).toString('base64url');
    const callback = await logIn(authorization(client, verifier), 'alice');
    assert.equal(callback.parameters.state, 'xyz');
    assert.equal(callback.parameters.iss, provider.issuer);
    assert.equal(callback.parameters.tenant, '7');

    const wrong = await exchange(client, callback.parameters.code, randomBytes(32).toString('base64url'));
    assert.equal((await wrong.json()).error, 'invalid_grant');
    const other = await logIn(authorization(client, verifier), 'alice');
    const first = await (await exchange(client, other.parameters.code, verifier)).json();
    assert.ok(await provider.isActive(client, first.access_token));
    assert.equal(provider.issued.at(-1).authenticatedBy, client.token_endpoint_auth_method);

    const refresh = (token) => postAs(client, `${provider.issuer}/token`, { grant_type: 'refresh_token', refresh_token: token });
    const second = await (await refresh(first.refresh_token)).json();
    assert.notEqual(second.refresh_token, first.refresh_token);
    await postAs(client, `${provider.issuer}/token/revocation`, { token: second.refresh_token });
    assert.equal(await provider.isActive(client, second.refresh_token), false);
    assert.equal(await provider.isActive(client, second.access_token), false);
  });
}

test('the provider refuses a request without PKCE', async () => {
  const change = { code_challenge: undefined, code_challenge_method: undefined };
  const answer = await new Browser().open(authorization(CLIENTS.basic, 'x'.repeat(43), change), CALLBACK);
  assert.ok(answer instanceof Callback);
  assert.equal(answer.parameters.error, 'invalid_request');
});

test('the provider refuses a secret that was not encoded before it went into the header', async () => {
  const { client_id: id, client_secret: secret } = CLIENTS.basic;
  const headers = { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` };
  const body = new URLSearchParams({ grant_type: 'authorization_code', code: 'any', redirect_uri: CALLBACK });
  const answer = await fetch(`${provider.issuer}/token`, { method: 'POST', body, headers });
  assert.equal(answer.status, 401);
  assert.equal((await answer.json()).error, 'invalid_client');
});

test('whoever cancels comes back with access_denied', async () => {
  const page = await new Browser().open(authorization(CLIENTS.none, 'x'.repeat(43)), CALLBACK);
  const back = await page.follow('Cancel');
  assert.equal(back.parameters.error, 'access_denied');
});
