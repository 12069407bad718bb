// How Strongroom proves who it is without sending a secret, to a server that checks every assertion (RFC 7523).

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { logIn } from './people.js';
import { CALLBACK, registered, startProvider } from './provider.js';
import { startStrongroom } from './strongroom.js';

const KINDS = {
  ES256: ['ec', { namedCurve: 'P-256' }],
  ES384: ['ec', { namedCurve: 'P-384' }],
  EdDSA: ['ed25519', {}],
  RS256: ['rsa', { modulusLength: 2048 }],
  PS256: ['rsa', { modulusLength: 2048 }],
};

/// A client with a key of its own for each algorithm, and one that signs with its secret.
const clients = Object.entries(KINDS).map(([alg, [kind, options]]) => {
  const { privateKey, publicKey } = generateKeyPairSync(kind, options);
  return {
    alg,
    pem: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    client_id: `op-${alg.toLowerCase()}`,
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: alg,
    jwks: { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: `key-${alg}`, use: 'sig', alg }] },
  };
});
clients.push({
  alg: 'HS256',
  client_id: 'op-secret-jwt',
  client_secret: 'a-secret-that-is-never-sent-but-signs-0123456789',
  token_endpoint_auth_method: 'client_secret_jwt',
  token_endpoint_auth_signing_alg: 'HS256',
});

function entry(issuer, client) {
  const proof = client.pem
    ? `client_key = """${client.pem}"""\nclient_key_id = "key-${client.alg}"`
    : `client_secret = "${client.client_secret}"`;
  return `
[providers.${client.client_id}]
display_name = "Interop (${client.alg})"
client_id = "${client.client_id}"
${proof}

[providers.${client.client_id}.oauth]
authorize_url = "${issuer}/auth"
token_url = "${issuer}/token"
issuer = "${issuer}"
announces_iss = true
token_auth = "${client.token_endpoint_auth_method}"
${client.pem ? `token_auth_alg = "${client.alg}"` : ''}
default_scopes = ["openid", "offline_access"]
authorize_params = { prompt = "consent" }

[providers.${client.client_id}.oauth.revoke]
url = "${issuer}/token/revocation"
`;
}

let provider;
let strongroom;

before(async () => {
  const described = clients.map(({ alg, pem, ...client }) => registered(client));
  provider = await startProvider((configuration) => ({
    ...configuration,
    clients: described,
    enabledJWA: {
      clientAuthSigningAlgValues: ['HS256', 'RS256', 'PS256', 'ES256', 'ES384', 'EdDSA', 'Ed25519'],
    },
  }));
  strongroom = await startStrongroom(clients.map((client) => entry(provider.issuer, client)).join(''));
});
after(() => Promise.all([strongroom?.stop(), provider?.stop()]));

for (const client of clients) {
  const { client_id: name, alg, token_endpoint_auth_method: method } = client;
  test(`bar 37: code exchange and revocation by ${method} with ${alg}`, async () => {
    const begun = await strongroom.ask('POST', `/${name}/oauth/initiate`, { callback_url: CALLBACK });
    assert.equal(begun.status, 200, begun.text);
    const { parameters: { code, state: _, tenant: __, ...others } } = await logIn(begun.body.login_url, 'alice');
    const body = { code, state_token: begun.body.state_token, callback_params: others };
    const completed = await strongroom.ask('POST', `/${name}/oauth/complete`, body);
    assert.equal(completed.status, 200, completed.text);
    assert.equal(provider.issued.at(-1).authenticatedBy, 'assertion');
    const deleted = await strongroom.ask('DELETE', `/${name}/credentials/${completed.body.credentials_id}`);
    assert.equal(deleted.body.revoked, true, deleted.text);
  });
}
