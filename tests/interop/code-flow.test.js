// The whole loop, with the real binary on one side and the independent authorization server on the other.

import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { logIn, logInAndCancel } from './people.js';
import { CALLBACK, CLIENTS, entriesToml, postAs, startProvider } from './provider.js';
import { startStrongroom } from './strongroom.js';

let provider;
let strongroom;

before(async () => {
  provider = await startProvider();
  strongroom = await startStrongroom(entriesToml(provider.issuer));
});
after(async () => {
  const code = await strongroom?.stop();
  await provider?.stop();
  if (strongroom) assert.equal(code, 0, 'SIGTERM ends the server in good order');
});
afterEach(async () => {
  assert.deepEqual(provider.serverErrors, [], 'the provider met no fault of its own');
  const { body } = await strongroom.ask('GET', '/credentials');
  for (const { id, provider: name } of body) await strongroom.ask('DELETE', `/${name}/credentials/${id}`);
});

async function initiate(name, scopes = []) {
  const begun = await strongroom.ask('POST', `/${name}/oauth/initiate`, {
    callback_url: CALLBACK, scopes, state_metadata: { came_from: 'interop' },
  });
  assert.equal(begun.status, 200, begun.text);
  return begun.body;
}

/// What an application sends on from its callback: the code, the state, and all the rest.
function completion({ parameters: { code, state, tenant, ...others } }) {
  return { code, state_token: state, callback_params: others };
}

const complete = (name, callback) => strongroom.ask('POST', `/${name}/oauth/complete`, completion(callback));

async function connect(name, user) {
  const { login_url: loginUrl } = await initiate(name);
  const completed = await complete(name, await logIn(loginUrl, user));
  assert.equal(completed.status, 200, completed.text);
  return completed.body;
}

for (const [way, client] of Object.entries(CLIENTS)) {
  test(`connect, list, delete: the token is dead at the provider (client authentication: ${way})`, async () => {
    const name = client.client_id;
    const begun = await initiate(name);
    const loginUrl = new URL(begun.login_url);
    assert.equal(loginUrl.searchParams.get('state'), begun.state_token);
    assert.equal(loginUrl.searchParams.get('redirect_uri'), CALLBACK);
    assert.equal(loginUrl.searchParams.get('code_challenge_method'), 'S256');
    assert.equal(loginUrl.searchParams.get('scope'), 'openid profile email offline_access');

    const completed = await complete(name, await logIn(loginUrl, 'alice'));
    assert.equal(completed.status, 200, completed.text);
    const { credentials_id: id, ...connected } = completed.body;
    assert.equal(connected.provider, name);
    assert.equal(connected.type, 'oauth2');
    assert.equal(connected.username, 'alice');
    assert.equal(connected.title, 'alice of Interop');
    assert.deepEqual(connected.state_metadata, { came_from: 'interop' });
    assert.deepEqual([...connected.scopes].sort(), ['email', 'offline_access', 'openid', 'profile']);

    const tokens = provider.issued.at(-1);
    assert.equal(tokens.authenticatedBy, client.token_endpoint_auth_method);
    assert.equal(await provider.isActive(client, tokens.access_token), true);
    const listed = await strongroom.ask('GET', `/${name}/credentials`);
    assert.deepEqual(listed.body.map((summary) => [summary.id, summary.username, summary.is_managed]), [[id, 'alice', false]]);

    const deleted = await strongroom.ask('DELETE', `/${name}/credentials/${id}`);
    assert.equal(deleted.status, 200, deleted.text);
    assert.deepEqual(deleted.body, { deleted: true, credentials_id: id, revoked: true });
    assert.equal(await provider.isActive(client, tokens.access_token), false);
    assert.equal(await provider.isActive(client, tokens.refresh_token), false);
    assert.deepEqual((await strongroom.ask('GET', `/${name}/credentials`)).body, []);
  });
}

test('no token, code or client secret is in an answer, in the log or on the disk', async () => {
  const { login_url: loginUrl } = await initiate('op-basic');
  const callback = await logIn(loginUrl, 'carol');
  const completed = await complete('op-basic', callback);
  assert.equal(completed.status, 200, completed.text);
  const listed = await strongroom.ask('GET', '/credentials');
  const { access_token: access, refresh_token: refresh, id_token: idToken } = provider.issued.at(-1);
  const places = { answers: completed.text + listed.text, log: strongroom.log, disk: await strongroom.disk() };
  assert.ok(places.log.length > 0 && places.disk.length > 4096, 'there is something to look through');
  assert.ok(places.disk.includes(completed.body.credentials_id), 'what is searched is the vault');
  const secrets = { access, refresh, idToken, code: callback.parameters.code, client: CLIENTS.basic.client_secret };
  for (const [what, secret] of Object.entries(secrets)) {
    for (const [where, text] of Object.entries(places)) {
      assert.ok(!text.includes(secret), `${what} is in the ${where}`);
      assert.ok(!text.includes(encodeURIComponent(secret)), `${what} is in the ${where}, encoded`);
    }
  }
});

test('who cancels at the consent page leaves no credential, and the state is spent', async () => {
  const before = provider.tokenRequests();
  const { login_url: loginUrl, state_token: state } = await initiate('op-basic');
  const { parameters } = await logInAndCancel(loginUrl, 'alice');
  assert.equal(parameters.error, 'access_denied');
  const { state: _, tenant: __, ...others } = parameters;
  const refused = await strongroom.ask('POST', '/op-basic/oauth/complete', { state_token: state, callback_params: others });
  assert.equal(refused.status, 400, refused.text);
  assert.equal(refused.body.type, '/problems/authorization-denied');
  assert.match(refused.body.detail, /^OAuth2 callback failed to exchange code for tokens: .*access_denied: End-User aborted interaction/);
  const again = await strongroom.ask('POST', '/op-basic/oauth/complete', { code: 'x', state_token: state });
  assert.deepEqual([again.status, again.body.detail], [400, 'Invalid or expired state token']);
  assert.equal(provider.tokenRequests(), before, 'nothing was sent to the provider');
  assert.deepEqual((await strongroom.ask('GET', '/credentials')).body, []);
});

test('a stolen code is worth nothing without the verifier, which never leaves Strongroom', async () => {
  const { login_url: loginUrl } = await initiate('op-none');
  const callback = await logIn(loginUrl, 'alice');
  const form = { grant_type: 'authorization_code', code: callback.parameters.code, redirect_uri: CALLBACK };
  for (const stolen of [form, { ...form, code_verifier: 'x'.repeat(43) }]) {
    const answer = await postAs(CLIENTS.none, `${provider.issuer}/token`, stolen);
    assert.equal(answer.status, 400);
  }
  assert.equal((await complete('op-none', callback)).status, 200);
});

test('two completes at once with one state: one credential, and one token request', async () => {
  const { login_url: loginUrl } = await initiate('op-post');
  const callback = await logIn(loginUrl, 'alice');
  const before = provider.tokenRequests();
  const both = await Promise.all([complete('op-post', callback), complete('op-post', callback)]);
  assert.deepEqual(both.map(({ status }) => status).sort(), [200, 400]);
  assert.equal(provider.tokenRequests(), before + 1);
  assert.equal((await strongroom.ask('GET', '/op-post/credentials')).body.length, 1);
});

test('an answer of another issuer is refused before anything is sent', async () => {
  const { login_url: loginUrl } = await initiate('op-basic');
  const callback = await logIn(loginUrl, 'alice');
  callback.parameters.iss = 'https://somebody.else.example';
  const before = provider.tokenRequests();
  const refused = await complete('op-basic', callback);
  assert.deepEqual([refused.status, refused.body.detail], [400, 'Invalid or expired state token']);
  assert.equal(provider.tokenRequests(), before);
});

test('a code that the provider does not know is the provider\'s refusal, told with its own words', async () => {
  const { state_token: state } = await initiate('op-basic');
  const refused = await strongroom.ask('POST', '/op-basic/oauth/complete', { code: 'made-up-code', state_token: state });
  assert.equal(refused.status, 400, refused.text);
  assert.match(refused.body.detail, /^OAuth2 callback failed to exchange code for tokens: .*invalid_grant/);
  assert.ok(!refused.text.includes('made-up-code'));
});

test('one account connected twice: deleting one leaves the other alive, deleting both ends it', async () => {
  const first = await connect('op-basic', 'dave');
  const firstTokens = provider.issued.at(-1);
  const second = await connect('op-basic', 'dave');
  const secondTokens = provider.issued.at(-1);
  assert.notEqual(first.credentials_id, second.credentials_id);
  const kept = await strongroom.ask('DELETE', `/op-basic/credentials/${first.credentials_id}`);
  assert.equal(kept.body.revoked, null, 'a revocation ends the whole grant, on which another credential hangs');
  assert.equal(await provider.isActive(CLIENTS.basic, secondTokens.access_token), true);
  const ended = await strongroom.ask('DELETE', `/op-basic/credentials/${second.credentials_id}`);
  assert.equal(ended.body.revoked, true);
  assert.equal(await provider.isActive(CLIENTS.basic, secondTokens.refresh_token), false);
  assert.equal(await provider.isActive(CLIENTS.basic, firstTokens.refresh_token), false, 'the last delete ends the tokens of both');
});

test('another account is revoked on its own', async () => {
  const erin = await connect('op-post', 'erin');
  const erinsTokens = provider.issued.at(-1);
  await connect('op-post', 'frank');
  const franksTokens = provider.issued.at(-1);
  const deleted = await strongroom.ask('DELETE', `/op-post/credentials/${erin.credentials_id}`);
  assert.equal(deleted.body.revoked, true);
  assert.equal(await provider.isActive(CLIENTS.post, erinsTokens.access_token), false);
  assert.equal(await provider.isActive(CLIENTS.post, franksTokens.access_token), true);
});
