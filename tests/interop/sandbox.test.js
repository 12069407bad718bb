// `strongroom dev`, as a user's own test suite would run it: its sandbox's page in a browser without JavaScript.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Browser, Callback, Page } from './browser.js';
import { startDev } from './strongroom.js';

const CALLBACK = 'http://localhost:3000/callback';
let strongroom;

before(async () => { strongroom = await startDev(); });
after(() => strongroom?.stop());

async function openPage() {
  const begun = await strongroom.ask('POST', '/sandbox/oauth/initiate', { callback_url: CALLBACK, scopes: ['profile', 'notes.read'] });
  assert.equal(begun.status, 200, begun.text);
  return { state: begun.body.state_token, page: await new Browser().open(begun.body.login_url, CALLBACK) };
}

test('dev prints one line of JSON and nothing else on stdout', () => {
  const { url, api_key: key, user, vault, pid } = strongroom.announced;
  assert.equal(user, 'dev');
  assert.ok(url.startsWith('http://127.0.0.1:') && key && vault);
  assert.equal(pid, strongroom.pid);
  assert.equal(strongroom.stdout.trim().split('\n').length, 1);
});

test('approve on the page, complete, list, delete', async () => {
  const { state, page } = await openPage();
  assert.ok(page instanceof Page && page.status === 200);
  assert.match(page.headers.get('content-security-policy'), /default-src 'none'.*frame-ancestors 'none'/);
  assert.ok(page.text.includes('notes.read') && page.text.includes(CALLBACK));
  const back = await page.submit('Approve', { user: 'grace' });
  assert.ok(back instanceof Callback);
  const { code, state: returned, ...others } = back.parameters;
  assert.equal(returned, state);
  const completed = await strongroom.ask('POST', '/sandbox/oauth/complete', { code, state_token: state, callback_params: others });
  assert.equal(completed.status, 200, completed.text);
  assert.deepEqual([completed.body.username, completed.body.scopes], ['grace', ['profile', 'notes.read']]);
  const id = completed.body.credentials_id;
  assert.deepEqual((await strongroom.ask('GET', '/credentials')).body.map((summary) => summary.id), [id]);
  const deleted = await strongroom.ask('DELETE', `/sandbox/credentials/${id}`);
  assert.deepEqual(deleted.body, { deleted: true, credentials_id: id, revoked: true });
});

test('deny on the page', async () => {
  const { state, page } = await openPage();
  const { parameters: { error, error_description: description, iss } } = await page.submit('Deny');
  assert.equal(error, 'access_denied');
  const refused = await strongroom.ask('POST', '/sandbox/oauth/complete', {
    state_token: state, callback_params: { error, error_description: description, iss },
  });
  assert.deepEqual([refused.status, refused.body.type], [400, '/problems/authorization-denied']);
  assert.deepEqual((await strongroom.ask('GET', '/credentials')).body, []);
});
