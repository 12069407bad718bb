// OpenID Connect from the issuer alone: discovery, the nonce, and ID tokens that an independent server signed.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { logIn } from './people.js';
import { CALLBACK, CLIENTS, startProvider } from './provider.js';
import { startStrongroom } from './strongroom.js';

const KEYS = {
  RS256: ['rsa', { modulusLength: 2048 }],
  ES256: ['ec', { namedCurve: 'P-256' }],
  EdDSA: ['ed25519', {}],
};

/// A server that signs its ID tokens with `alg`, and puts an account's claims into them or leaves them to userinfo.
function startIssuer(alg, claimsInToken) {
  const [kind, options] = KEYS[alg];
  const jwk = { ...generateKeyPairSync(kind, options).privateKey.export({ format: 'jwk' }), kid: `id-${alg}`, use: 'sig', alg };
  return startProvider((configuration) => ({
    ...configuration,
    jwks: { keys: [jwk] },
    conformIdTokenClaims: !claimsInToken,
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256', 'EdDSA'] },
    clients: configuration.clients.map((client) => ({ ...client, id_token_signed_response_alg: alg })),
  }));
}

/// An entry that says who the issuer is, and nothing about its endpoints.
const entry = (name, client, issuer) => `
[providers.${name}]
display_name = "Interop"
client_id = "${client.client_id}"
${client.client_secret ? `client_secret = ${JSON.stringify(client.client_secret)}` : ''}

[providers.${name}.oauth]
issuer = "${issuer}"
${client.client_secret ? '' : 'token_auth = "none"'}
default_scopes = ["openid", "profile", "email", "offline_access"]
authorize_params = { prompt = "consent" }
`;

const issuers = {};
let strongroom;

before(async () => {
  issuers.rsa = await startIssuer('RS256', true);
  issuers.ec = await startIssuer('ES256', true);
  issuers.ed = await startIssuer('EdDSA', true);
  issuers.userinfo = await startIssuer('ES256', false);
  const entries = Object.entries(issuers).map(([name, { issuer }]) => entry(name, CLIENTS.basic, issuer));
  entries.push(entry('public', CLIENTS.none, issuers.ec.issuer));
  strongroom = await startStrongroom(entries.join(''));
});
after(() => Promise.all([strongroom?.stop(), ...Object.values(issuers).map((issuer) => issuer.stop())]));

async function connect(name) {
  const begun = await strongroom.ask('POST', `/${name}/oauth/initiate`, { callback_url: CALLBACK });
  assert.equal(begun.status, 200, begun.text);
  const loginUrl = new URL(begun.body.login_url);
  assert.match(loginUrl.searchParams.get('nonce'), /^[\w-]{43}$/);
  const { parameters: { code, state: _, tenant: __, ...others } } = await logIn(loginUrl, 'alice');
  assert.ok(others.iss, 'the server names itself');
  return strongroom.ask('POST', `/${name}/oauth/complete`, { code, state_token: begun.body.state_token, callback_params: others });
}

for (const [name, how] of [['rsa', 'RS256'], ['ec', 'ES256'], ['ed', 'EdDSA'], ['userinfo', 'userinfo'], ['public', 'a public client']]) {
  test(`bar 26 to 28, 48 to 50: the issuer is enough, and the account is learnt by ${how}`, async () => {
    const issuer = issuers[name] ?? issuers.ec;
    const completed = await connect(name);
    assert.equal(completed.status, 200, completed.text);
    assert.deepEqual([completed.body.username, completed.body.title], ['alice', 'alice of Interop']);
    assert.ok(issuer.issued.at(-1).id_token);
    const deleted = await strongroom.ask('DELETE', `/${name}/credentials/${completed.body.credentials_id}`);
    assert.equal(deleted.body.revoked, true, 'the revocation endpoint was found as well');
  });
}
