// What a person does on the provider's own login and consent pages.

import assert from 'node:assert/strict';
import { Browser, Callback, Page } from './browser.js';
import { CALLBACK } from './provider.js';

/// Logs in as `user`, consents, and gives where the application is called back.
export async function logIn(loginUrl, user) {
  const login = await new Browser().open(loginUrl, CALLBACK);
  assert.ok(login instanceof Page && login.text.includes('Sign-in'), 'there is a login page');
  const consent = await login.submit('Sign-in', { login: user, password: 'any' });
  assert.ok(consent instanceof Page && consent.text.includes('Authorize'), 'there is a consent page');
  const back = await consent.submit('Continue');
  assert.ok(back instanceof Callback, 'the application is called back');
  return back;
}

/// Logs in as `user`, and cancels where consent is asked for.
export async function logInAndCancel(loginUrl, user) {
  const login = await new Browser().open(loginUrl, CALLBACK);
  const consent = await login.submit('Sign-in', { login: user, password: 'any' });
  const back = await consent.follow('Cancel');
  assert.ok(back instanceof Callback, 'the application is called back');
  return back;
}
