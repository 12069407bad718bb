// Code flow, live token, refresh and revocation against a second independent server.

import { after, before, beforeEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { CALLBACK } from './provider.js';
import { secondServerToml, startSecondServer } from './second-server.js';
import { startStrongroom } from './strongroom.js';

let second;
let strongroom;

before(async () => {
  second = await startSecondServer();
  strongroom = await startStrongroom(secondServerToml(second.issuer));
});
after(async () => {
  const code = await strongroom?.stop();
  await second?.stop();
  if (strongroom) assert.equal(code, 0, 'SIGTERM ends the server in good order');
});
beforeEach(() => {
  second.instead = undefined;
  second.revocationStatus = 200;
  second.asked.length = 0;
});

/// Connects an account, which the server logs in without a question; gives the credential.
async function connect(name, more = {}) {
  const begun = await strongroom.ask('POST', `/${name}/oauth/initiate`, { callback_url: CALLBACK, ...more });
  assert.equal(begun.status, 200, begun.text);
  const redirect = await fetch(begun.body.login_url, { redirect: 'manual' });
  assert.equal(redirect.status, 302);
  const { code, state, ...others } = Object.fromEntries(new URL(redirect.headers.get('location')).searchParams);
  delete others.tenant;
  assert.equal(state, begun.body.state_token);
  const body = { code, state_token: state, callback_params: others };
  const completed = await strongroom.ask('POST', `/${name}/oauth/complete`, body);
  assert.equal(completed.status, 200, completed.text);
  return completed.body;
}

const at = ({ provider, credentials_id: id }, rest = '') => `/${provider}/credentials/${id}${rest}`;
const token = (credential, query = '') => strongroom.ask('GET', at(credential, `/token${query}`));
const refresh = (credential) => strongroom.ask('POST', at(credential, '/refresh'));

test('an account is connected, its token given out, refreshed by the newest refresh token, and revoked', async () => {
  const credential = await connect('second');
  assert.equal(credential.username, 'John of the second server');
  const exchange = second.asked.at(-1);
  assert.equal(exchange.grant_type, 'authorization_code');
  assert.match(exchange.code_verifier, /^[A-Za-z0-9._~-]{43,128}$/);
  assert.equal(Buffer.from(exchange.authorization.split(' ')[1], 'base64').toString(), 'second:second+secret');
  const first = await token(credential);
  assert.equal(first.body.access_token, exchange.answered.access_token);
  assert.equal(second.asked.length, 1, 'a token that is fresh costs no request');

  let newest = exchange.answered;
  for (let round = 0; round < 3; round += 1) {
    const refreshed = await refresh(credential);
    assert.equal(refreshed.status, 200, refreshed.text);
    const sent = second.asked.at(-1);
    assert.deepEqual([sent.grant_type, sent.refresh_token], ['refresh_token', newest.refresh_token]);
    newest = sent.answered;
    assert.equal((await token(credential)).body.access_token, newest.access_token);
  }
  // More life than it has left, but never more than half of it.
  const asked = second.asked.length;
  const many = await Promise.all(Array.from({ length: 20 }, () => token(credential, '?min_ttl=100000')));
  assert.deepEqual([...new Set(many.map(({ status }) => status))], [200]);
  assert.equal(second.asked.length, asked);

  const before = second.revocations;
  const deleted = await strongroom.ask('DELETE', at(credential));
  assert.equal(deleted.body.revoked, true, deleted.text);
  assert.equal(second.revocations, before + 2, 'the refresh token, and the access token');
});

test('its issuer is enough: discovery, and the account from an ID token that is checked', async () => {
  const credential = await connect('second-oidc');
  assert.equal(credential.provider, 'second-oidc');
  const { answered } = second.asked.at(-1);
  assert.equal((await token(credential)).body.access_token, answered.access_token);
  assert.equal((await refresh(credential)).status, 200);
  assert.equal(second.asked.at(-1).refresh_token, answered.refresh_token);
  await strongroom.ask('DELETE', at(credential));
});

test('while the server fails a token that is good is given; a refusal is the end, until the account is connected again', async () => {
  const credential = await connect('second');
  const good = (await token(credential)).body.access_token;
  second.instead = (response) => { response.statusCode = 503; };
  assert.equal((await refresh(credential)).status, 502);
  assert.equal((await token(credential)).body.access_token, good);
  second.instead = (response) => { response.body = { ok: false, access_token: 'never' }; };
  assert.equal((await refresh(credential)).status, 502);
  assert.equal((await token(credential)).body.access_token, good);

  second.instead = (response) => { Object.assign(response, { statusCode: 400, body: { error: 'invalid_grant' } }); };
  const refused = await refresh(credential);
  assert.deepEqual([refused.status, refused.body.type], [409, '/problems/needs-reauth']);
  second.instead = undefined;
  const asked = second.asked.length;
  assert.equal((await refresh(credential)).status, 409);
  assert.equal(second.asked.length, asked, 'a refused refresh token is never tried again');

  const again = await connect('second', { credential_id: credential.credentials_id });
  assert.equal(again.credentials_id, credential.credentials_id);
  assert.equal((await refresh(credential)).status, 200);
  await strongroom.ask('DELETE', at(credential));
});

test('a revocation that fails is told as such', async () => {
  const credential = await connect('second');
  second.revocationStatus = 503;
  const deleted = await strongroom.ask('DELETE', at(credential));
  assert.deepEqual([deleted.status, deleted.body.revoked], [200, false]);
});
