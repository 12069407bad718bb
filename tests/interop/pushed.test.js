// Pushed authorization requests at a server that takes no others (RFC 9126).

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Browser, Callback, Page } from './browser.js';
import { logIn } from './people.js';
import { CALLBACK, CLIENTS, startProvider } from './provider.js';
import { startStrongroom } from './strongroom.js';

let provider;
let strongroom;

before(async () => {
  provider = await startProvider((configuration) => ({
    ...configuration,
    features: { ...configuration.features, pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true } },
  }));
  strongroom = await startStrongroom(Object.entries(CLIENTS).map(([name, client]) => `
[providers.${name}]
display_name = "Interop"
client_id = "${client.client_id}"
${client.client_secret ? `client_secret = ${JSON.stringify(client.client_secret)}` : ''}
[providers.${name}.oauth]
issuer = "${provider.issuer}"
token_auth = "${{ basic: 'basic', post: 'post', none: 'none' }[name]}"
default_scopes = ["openid", "profile", "offline_access"]
authorize_params = { prompt = "consent" }
`).join(''));
});
after(() => Promise.all([strongroom?.stop(), provider?.stop()]));

test('the server takes no request that was not pushed', async () => {
  const url = new URL(`${provider.issuer}/auth`);
  for (const [name, value] of Object.entries({
    response_type: 'code', client_id: CLIENTS.none.client_id, redirect_uri: CALLBACK, scope: 'openid', state: 'x',
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256',
  })) url.searchParams.set(name, value);
  const answer = await new Browser().open(url, CALLBACK);
  const error = answer instanceof Callback ? answer.parameters.error : answer instanceof Page && answer.status >= 400;
  assert.ok(error);
});

for (const [name, client] of Object.entries(CLIENTS)) {
  test(`bar 33: a pushed request by a client with ${client.token_endpoint_auth_method}`, async () => {
    const begun = await strongroom.ask('POST', `/${name}/oauth/initiate`, { callback_url: CALLBACK });
    assert.equal(begun.status, 200, begun.text);
    const loginUrl = new URL(begun.body.login_url);
    assert.deepEqual([...loginUrl.searchParams.keys()].sort(), ['client_id', 'request_uri']);
    const left = begun.body.expires_at - Date.now() / 1000;
    assert.ok(left > 0 && left <= 61, `the server keeps it for a minute: ${left}`);
    const { parameters: { code, state, tenant: _, ...others } } = await logIn(loginUrl, 'alice');
    assert.equal(state, begun.body.state_token);
    const completed = await strongroom.ask('POST', `/${name}/oauth/complete`, { code, state_token: state, callback_params: others });
    assert.equal(completed.status, 200, completed.text);
    assert.equal(completed.body.username, 'alice');
  });
}
