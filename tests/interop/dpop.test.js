// Tokens bound to a key, at a server that takes no others and wants a nonce in every proof (RFC 9449).

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { logIn } from './people.js';
import { CALLBACK, CLIENTS, startProvider } from './provider.js';
import { startStrongroom } from './strongroom.js';

let provider;
let strongroom;

before(async () => {
  provider = await startProvider((configuration) => ({
    ...configuration,
    clients: configuration.clients.map((client) => ({ ...client, dpop_bound_access_tokens: true })),
    features: { ...configuration.features, dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true } },
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
`).join(''));
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
