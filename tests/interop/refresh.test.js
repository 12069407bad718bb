// Refresh against oidc-provider, which rotates refresh tokens and ends the whole grant when one is used twice.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { logIn } from './people.js';
import { CALLBACK, CLIENTS, entriesToml, postAs, startProvider } from './provider.js';
import { startStrongroom } from './strongroom.js';

let provider;
let strongroom;

before(async () => {
  provider = await startProvider();
  strongroom = await startStrongroom(entriesToml(provider.issuer));
});
after(async () => {
  await strongroom?.stop();
  await provider?.stop();
});

async function connect(name, user, more = {}) {
  const begun = await strongroom.ask('POST', `/${name}/oauth/initiate`, { callback_url: CALLBACK, ...more });
  assert.equal(begun.status, 200, begun.text);
  const { parameters: { code, state, tenant, ...others } } = await logIn(begun.body.login_url, user);
  assert.equal(others.iss, provider.issuer, 'the answer says whose it is (RFC 9207)');
  const body = { code, state_token: state, callback_params: others };
  const completed = await strongroom.ask('POST', `/${name}/oauth/complete`, body);
  assert.equal(completed.status, 200, completed.text);
  return completed.body;
}

const at = ({ provider: name, credentials_id: id }, rest = '') => `/${name}/credentials/${id}${rest}`;
const refresh = (credential) => strongroom.ask('POST', at(credential, '/refresh'));
const token = async (credential) => (await strongroom.ask('GET', at(credential, '/token'))).body.access_token;

for (const [way, client] of Object.entries(CLIENTS)) {
  test(`each refresh uses the newest refresh token, and what is given out is alive (client authentication: ${way})`, async () => {
    const credential = await connect(client.client_id, 'alice');
    const seen = new Set();
    for (let round = 0; round < 3; round += 1) {
      const refreshed = await refresh(credential);
      assert.equal(refreshed.status, 200, refreshed.text);
      const issued = provider.issued.at(-1);
      assert.equal(issued.authenticatedBy, client.token_endpoint_auth_method);
      assert.equal(await token(credential), issued.access_token);
      assert.equal(await provider.isActive(client, issued.access_token), true);
      seen.add(issued.refresh_token);
    }
    assert.equal(seen.size, 3, 'every answer brought a new one');
    assert.deepEqual(provider.refused, []);
    const newest = provider.issued.at(-1);
    assert.equal((await strongroom.ask('DELETE', at(credential))).body.revoked, true);
    assert.equal(await provider.isActive(client, newest.refresh_token), false);
  });
}

test('twenty refreshes asked for at once are one at a time at most, and the grant lives on', async () => {
  const credential = await connect('op-post', 'bob');
  const before = provider.tokenRequests();
  const all = await Promise.all(Array.from({ length: 20 }, () => refresh(credential)));
  assert.deepEqual([...new Set(all.map(({ status }) => status))], [200]);
  assert.ok(provider.tokenRequests() - before <= 20);
  assert.deepEqual(provider.refused, [], 'no refresh token was used twice');
  assert.equal(await provider.isActive(CLIENTS.post, await token(credential)), true);
  await strongroom.ask('DELETE', at(credential));
});

test('a stolen refresh token that is used kills the grant, which is told once and mended by connecting again', async () => {
  const client = CLIENTS.basic;
  const credential = await connect('op-basic', 'carol');
  const stolen = provider.issued.at(-1).refresh_token;
  assert.equal((await refresh(credential)).status, 200);
  const replay = await postAs(client, `${provider.issuer}/token`, { grant_type: 'refresh_token', refresh_token: stolen });
  assert.equal(replay.status, 400, 'the thief gets nothing');

  const refused = await refresh(credential);
  assert.deepEqual([refused.status, refused.body.type], [409, '/problems/needs-reauth'], refused.text);
  assert.match(refused.body.cause, /invalid_grant/);
  const before = provider.tokenRequests();
  assert.equal((await refresh(credential)).status, 409);
  assert.equal(provider.tokenRequests(), before, 'nothing is tried again');
  const shown = await strongroom.ask('GET', at(credential));
  assert.equal(shown.body.status, 'needs_reauth');

  const again = await connect('op-basic', 'carol', { credential_id: credential.credentials_id });
  assert.equal(again.credentials_id, credential.credentials_id);
  assert.equal((await strongroom.ask('GET', at(credential))).body.status, 'active');
  assert.equal((await refresh(credential)).status, 200);
});
