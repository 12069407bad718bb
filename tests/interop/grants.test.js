// Grants without a redirect, at a server that is not ours: the device flow (RFC 8628), and a client that asks for itself
// (RFC 6749 §4.4).

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { Browser } from './browser.js';
import { CALLBACK, startProvider } from './provider.js';
import { startStrongroom } from './strongroom.js';

const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';
const device = {
  client_id: 'op-device', token_endpoint_auth_method: 'none', redirect_uris: [], response_types: [],
  grant_types: [DEVICE, 'refresh_token'], application_type: 'native',
};
const robot = {
  client_id: 'op-robot', client_secret: 'k:e+y%2F&of=a client', token_endpoint_auth_method: 'client_secret_basic',
  redirect_uris: [], response_types: [], grant_types: ['client_credentials'],
};

let provider;
let strongroom;

before(async () => {
  provider = await startProvider((configuration) => ({
    ...configuration,
    clients: [device, robot],
    scopes: [...configuration.scopes, 'api:read'],
    features: { ...configuration.features, deviceFlow: { enabled: true }, clientCredentials: { enabled: true } },
  }));
  const entry = (name, client, more) => `
[providers.${name}]
display_name = "Interop (${name})"
client_id = "${client.client_id}"
${client.client_secret ? `client_secret = ${JSON.stringify(client.client_secret)}` : ''}
lend_client = true
lend_scopes = ["api:read"]
[providers.${name}.oauth]
authorize_url = "${provider.issuer}/auth"
token_url = "${provider.issuer}/token"
token_auth = "${client.client_secret ? 'basic' : 'none'}"
${more}
[providers.${name}.oauth.identity]
url = "${provider.issuer}/me"
username = "/preferred_username"
account = "/sub"
`;
  strongroom = await startStrongroom(
    entry('tv', device, `device_authorization_url = "${provider.issuer}/device/auth"\ndefault_scopes = ["openid", "profile", "offline_access"]`)
    + entry('robot', robot, 'grants = ["authorization_code", "client_credentials"]'),
    { oauth: 'device = true' },
  );
});
after(() => Promise.all([strongroom?.stop(), provider?.stop()]));

/// The person at another device: types the code, confirms it, logs in, consents.
async function decide(begun, user) {
  const browser = new Browser();
  const asks = await browser.open(begun.verification_uri, CALLBACK);
  const xsrf = (page) => page.html.match(/name="xsrf" value="([^"]+)"/)[1];
  const post = (page, fields) => browser.open(begun.verification_uri, CALLBACK, { method: 'POST', body: new URLSearchParams({ xsrf: xsrf(page), user_code: begun.user_code, ...fields }) });
  const confirms = await post(asks, {});
  const login = await post(confirms, { confirm: 'yes' });
  const consent = await login.submit('Sign-in', { login: user, password: 'any' });
  return consent.submit('Continue');
}

test('bar 31, 32: an account is connected from another device', async () => {
  const begun = await strongroom.ask('POST', '/tv/oauth/device/initiate', {});
  assert.equal(begun.status, 200, begun.text);
  const poll = () => strongroom.ask('POST', '/tv/oauth/device/poll', { device_token: begun.body.device_token });
  const wait = () => pause(begun.body.interval * 1000 + 50);
  await wait();
  assert.deepEqual((await poll()).body, { status: 'pending', interval: begun.body.interval });
  assert.deepEqual(provider.refused, ['authorization_pending'], 'the server was asked, once');
  await poll();
  assert.equal(provider.refused.length, 1, 'too early, so it was not asked');
  await decide(begun.body, 'alice');
  await wait();
  const connected = await poll();
  assert.equal(connected.status, 200, connected.text);
  assert.equal(connected.body.username, 'alice');
  assert.equal((await poll()).status, 400, 'once');
  const live = await strongroom.ask('POST', `/tv/credentials/${connected.body.credentials_id}/refresh`);
  assert.equal(live.status, 200, live.text);
});

test('a client asks for itself, and again', async () => {
  const made = await strongroom.ask('POST', '/robot/credentials', { type: 'client_credentials', title: 'robot', scopes: ['api:read'] });
  assert.equal(made.status, 201, made.text);
  const token = () => strongroom.ask('GET', `/robot/credentials/${made.body.id}/token`);
  const first = await token();
  assert.equal(first.status, 200, first.text);
  assert.deepEqual(first.body.scopes, ['api:read']);
  assert.ok(provider.issued.some((answer) => answer.access_token === first.body.access_token && answer.authenticatedBy === 'client_secret_basic'));
  assert.equal((await strongroom.ask('POST', `/robot/credentials/${made.body.id}/refresh`)).status, 200);
  assert.notEqual((await token()).body.access_token, first.body.access_token);
});
