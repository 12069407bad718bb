// Tokens bound to a key, at a server that takes no others and wants a nonce in every proof (RFC 9449).

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { logIn } from './people.js';
import { CALLBACK, CLIENTS, startProvider } from './provider.js';
import { startStrongroom } from './strongroom.js';

const robot = {
  client_id: 'op-robot', client_secret: 'k:e+y%2F&of=a client', token_endpoint_auth_method: 'client_secret_basic',
  redirect_uris: [], response_types: [], grant_types: ['client_credentials'],
};
let provider;
let strongroom;

before(async () => {
  provider = await startProvider((configuration) => ({
    ...configuration,
    clients: [...configuration.clients, robot].map((client) => ({ ...client, dpop_bound_access_tokens: true })),
    features: { ...configuration.features, clientCredentials: { enabled: true }, dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true } },
  }));
  strongroom = await startStrongroom(Object.entries(CLIENTS).map(([name, client]) => `
[providers.${name}]
display_name = "Interop"
client_id = "${client.client_id}"
${client.client_secret ? `client_secret = ${JSON.stringify(client.client_secret)}` : ''}
[providers.${name}.oauth]
issuer = "${provider.issuer}"
token_auth = "${{ basic: 'basic', post: 'post', none: 'none' }[name]}"
dpop = true
default_scopes = ["openid", "profile", "offline_access"]
authorize_params = { prompt = "consent" }
`).join('') + `
[providers.robot]
display_name = "Interop"
client_id = "${robot.client_id}"
client_secret = ${JSON.stringify(robot.client_secret)}
lend_client = true
lend_scopes = ["api:read"]
[providers.robot.oauth]
issuer = "${provider.issuer}"
token_auth = "basic"
dpop = true
grants = ["authorization_code", "client_credentials"]
`);
});
after(() => Promise.all([strongroom?.stop(), provider?.stop()]));

for (const [name, client] of Object.entries(CLIENTS)) {
  test(`bar 34 to 36: exchange, userinfo and refresh with proofs and nonces, by ${client.token_endpoint_auth_method}`, async () => {
    const begun = await strongroom.ask('POST', `/${name}/oauth/initiate`, { callback_url: CALLBACK });
    assert.equal(begun.status, 200, begun.text);
    const { parameters: { code, state, tenant: _, ...others } } = await logIn(begun.body.login_url, 'alice');
    const before = provider.tokenRequests();
    const completed = await strongroom.ask('POST', `/${name}/oauth/complete`, { code, state_token: state, callback_params: others });
    assert.equal(completed.status, 200, completed.text);
    assert.equal(completed.body.username, 'alice', 'userinfo takes no token without its proof');
    assert.ok(provider.tokenRequests() - before <= 2, 'once more with the nonce, and the code was not spent');
    const tokens = provider.issued.at(-1);
    assert.equal(tokens.token_type, 'DPoP');

    const path = `/${name}/credentials/${completed.body.credentials_id}`;
    const refreshed = await strongroom.ask('POST', `${path}/refresh`);
    assert.equal(refreshed.status, 200, refreshed.text);
    assert.notEqual(provider.issued.at(-1).access_token, tokens.access_token);
    assert.equal(provider.issued.at(-1).token_type, 'DPoP');

    const deleted = await strongroom.ask('DELETE', path);
    assert.equal(deleted.body.revoked, true, deleted.text);
  });
}

test('the nonce of an answer is used in the next proof, so that later flows ask once', async () => {
  const before = provider.tokenRequests();
  const begun = await strongroom.ask('POST', '/basic/oauth/initiate', { callback_url: CALLBACK });
  const { parameters: { code, state, tenant: _, ...others } } = await logIn(begun.body.login_url, 'alice');
  const completed = await strongroom.ask('POST', '/basic/oauth/complete', { code, state_token: state, callback_params: others });
  assert.equal(completed.status, 200, completed.text);
  assert.equal(provider.tokenRequests(), before + 1);
});

test('a client that asks for itself gets bound tokens, each with a proof that has the nonce', async () => {
  const made = await strongroom.ask('POST', '/robot/credentials', { type: 'client_credentials', title: 'robot', scopes: ['api:read'] });
  assert.equal(made.status, 201, made.text);
  const first = provider.issued.at(-1);
  assert.equal(first.token_type, 'DPoP');
  const path = `/robot/credentials/${made.body.id}`;
  assert.equal((await strongroom.ask('POST', `${path}/refresh`)).status, 200);
  assert.equal(provider.issued.at(-1).token_type, 'DPoP');
  assert.notEqual(provider.issued.at(-1).access_token, first.access_token);
  assert.equal((await strongroom.ask('GET', `${path}/token`)).body.type, '/problems/sender-constrained');
});
