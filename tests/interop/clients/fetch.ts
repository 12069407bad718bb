// The client that openapi-generator writes for TypeScript, through the seven endpoints and the token endpoint.
//
// Usage: fetch.js URL API_KEY, compiled beside the generated folder `client`. Prints the login URL, and reads the URL
// of the callback.

import * as assert from 'node:assert/strict';
import { createInterface } from 'node:readline/promises';
import { Configuration, IntegrationsApi, ResponseError } from './client';
import type { CreateCredentialRequest, LiveSecret } from './client';

const [basePath, apiKey] = process.argv.slice(2);
const api = new IntegrationsApi(new Configuration({ basePath, apiKey }));

async function connect(): Promise<string> {
  const begun = await api.postV1IntegrationsProviderOauthInitiate({
    provider: 'sandbox',
    oAuthInitiateRequest: {
      callbackUrl: 'http://localhost:3000/callback', scopes: ['profile', 'notes.read'], stateMetadata: { tab: 7 },
    },
  });
  console.log(begun.loginUrl);
  const terminal = createInterface({ input: process.stdin });
  const { code, state, ...callbackParams } = Object.fromEntries(new URL(await terminal.question('')).searchParams);
  terminal.close();
  assert.equal(state, begun.stateToken);
  const completed = await api.postV1IntegrationsProviderOauthComplete({
    provider: 'sandbox', oAuthCompleteRequest: { code, stateToken: state, callbackParams },
  });
  assert.deepEqual([completed.type, completed.stateMetadata], ['oauth2', { tab: 7 }]);
  assert.deepEqual(completed.scopes, ['profile', 'notes.read']);
  return completed.credentialsId;
}

const secret = (provider: string, credId: string): Promise<LiveSecret> =>
  api.getV1IntegrationsProviderCredentialsCredIdToken({ provider, credId });

async function main(): Promise<void> {
  const providers = new Map((await api.getV1IntegrationsProviders()).map((provider) => [provider.name, provider]));
  assert.ok(providers.get('sandbox')?.supportsOauth && providers.get('openai')?.supportsApiKey);

  const connected = await connect();
  const live = await secret('sandbox', connected);
  assert.ok('accessToken' in live && live.accessToken);
  // The answer also says how the secret is sent.
  const has = (given: object, expected: object) => assert.deepEqual({ ...given, ...expected }, { ...given });
  const stored: Record<string, CreateCredentialRequest> = {
    openai: { type: 'api_key', title: 'key', apiKey: 'sk-1', expiresAt: null },
    smtp: { type: 'user_password', title: 'mail', username: 'u', password: 'p' },
    http: { type: 'host_scoped', title: 'host', host: '*.example.com', headers: { 'X-A': '1' } },
  };
  const ids = new Map([['sandbox', connected]]);
  for (const [provider, createCredentialRequest] of Object.entries(stored)) {
    const created = await api.postV1IntegrationsProviderCredentials({ provider, createCredentialRequest });
    assert.deepEqual([created.provider, created.title], [provider, createCredentialRequest.title]);
    ids.set(provider, created.id);
  }
  has(await secret('openai', ids.get('openai')!), { apiKey: 'sk-1' });
  has(await secret('smtp', ids.get('smtp')!), { username: 'u', password: 'p' });
  has(await secret('http', ids.get('http')!), { headers: { 'X-A': '1' } });

  assert.deepEqual((await api.getV1IntegrationsCredentials()).map((one) => one.id), [...ids.values()]);
  const listed = await api.getV1IntegrationsProviderCredentials({ provider: 'http' });
  assert.deepEqual(listed.map((one) => one.host), ['*.example.com']);
  for (const [provider, credId] of ids) {
    const deleted = await api.deleteV1IntegrationsProviderCredentialsCredId({ provider, credId });
    assert.deepEqual([deleted.deleted, deleted.revoked], [true, provider === 'sandbox' ? true : null]);
  }
  await assert.rejects(secret('sandbox', connected), (error) => error instanceof ResponseError && error.response.status === 404);
}

main();
