// Sends a GET request with a credential that this program never sees.
//
//     export STRONGROOM_URL=http://127.0.0.1:8484 STRONGROOM_API_KEY=srk_...
//     node examples/agent.mjs github /user
//
// The API key needs the permission PROXY_INTEGRATIONS. Node 18 or later is enough.

import { setTimeout as sleep } from 'node:timers/promises';

const server = (process.env.STRONGROOM_URL ?? 'http://127.0.0.1:8484').replace(/\/+$/, '');
const [provider, path] = process.argv.slice(2);

function fail(message) {
  console.error(message);
  process.exit(1);
}

/// Sends a GET request to Strongroom.
const ask = (target) => fetch(server + target, { headers: { 'X-API-Key': process.env.STRONGROOM_API_KEY } });

/// Returns the id of the first credential of the provider that the API key may use.
async function credentialOf(name) {
  const response = await ask('/v1/proxy/destinations');
  if (!response.ok) fail(`Strongroom answered ${response.status}: ${await response.text()}`);
  const { providers } = await response.json();
  const found = Object.keys(providers).find((id) => providers[id] === name);
  return found ?? fail(`this API key may use no credential of ${name}`);
}

/// Sends the request, and again while a person has not yet decided about it.
async function get(credential) {
  for (;;) {
    const response = await ask(`/v1/proxy/${credential}${path}`);
    // Answers of Strongroom have this header. Answers of the provider never do.
    const problem = response.headers.get('Strongroom-Problem');
    if (problem !== '/problems/approval-pending') return { response, problem };
    console.error('a person has to approve this request');
    await sleep(1000 * Number(response.headers.get('Retry-After')));
  }
}

if (!path || !process.env.STRONGROOM_API_KEY) fail('usage: STRONGROOM_API_KEY=srk_... node agent.mjs PROVIDER PATH');
const { response, problem } = await get(await credentialOf(provider));
const text = await response.text();
if (problem) fail(`Strongroom refused the request (${problem}): ${text}`);
console.log(text);
if (!response.ok) fail(`${provider} answered ${response.status}`);
