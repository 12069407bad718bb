// A server, a credential and an origin behind TLS, and clients that reach it by `strongroom run` or by the forward proxy.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BINARY, freePort, startStrongroom } from './strongroom.js';
import { certificates, startOrigin } from './tls-origin.js';

export const SECRET = 'tok-live-Zq8Wm3Xc5Vb7Nn1Kj9Hg';

/// Names of the origin, each with the secret in another form.
const NAMES = ['origin.test', 'old.test', 'git.test', 'crates.test', 'grpc.test'];

export async function startScene(routes) {
  const directory = await mkdtemp(join(tmpdir(), 'strongroom-run-'));
  const tls = await certificates(directory, NAMES);
  const basic = `Basic ${Buffer.from(`x-access-token:${SECRET}`).toString('base64')}`;
  const authorizations = { 'origin.test': `Bearer ${SECRET}`, 'old.test': `Bearer ${SECRET}`, 'git.test': basic, 'crates.test': SECRET };
  const origin = await startOrigin(tls, authorizations, routes);
  const [proxy, grpc] = [await freePort(), await freePort()];
  const strongroom = await startStrongroom(`
[proxy]
listen = "127.0.0.1:${proxy}"

[providers.origin]
display_name = "Origin"
env = { ORIGIN_TOKEN = "{placeholder}", ORIGIN_BASE_URL = "{proxy}" }
placeholder = "tok-{24}"

[providers.origin.api_key]
in = "header"
name = "Authorization"
prefix = "Bearer "
base_url = "https://origin.test:${origin.port}/v1"

[[providers.origin.hosts]]
host = "git.test:${origin.port}"
in = "basic"
user = "x-access-token"

[[providers.origin.hosts]]
host = "crates.test:${origin.port}"
in = "header"
name = "Authorization"

[[providers.origin.hosts]]
host = "old.test:${origin.oldPort}"

[[providers.origin.hosts]]
host = "grpc.test:${grpc}"
`, { egress: `ca_certificates = ["${tls.ca}"]`, hosts: `127.0.0.1 ${NAMES.join(' ')}` });
  const made = await strongroom.ask('POST', '/origin/credentials', { type: 'api_key', api_key: SECRET, title: 'origin' });
  assert.equal(made.status, 201, made.text);
  const key = await strongroom.key('PROXY_INTEGRATIONS');
  const scene = new Scene({
    directory, tls, origin, strongroom, key, grpcPort: grpc, id: made.body.id, proxy,
    ca: join(directory, 'strongroom-ca.pem'),
  });
  await writeFile(scene.ca, await strongroom.command(['ca', 'show']));
  return scene;
}

class Scene {
  constructor(facts) {
    Object.assign(this, facts);
  }

  /// A URL of the origin, by one of its names. `old.test` speaks HTTP/1.1 alone.
  url(path, name = 'origin.test') {
    return `https://${name}:${name === 'old.test' ? this.origin.oldPort : this.origin.port}${path}`;
  }

  /// Runs a program through one of the two entry points: `run` or `forward`. Asserts that it succeeds, that the origin has seen the
  /// secret with every request that it answered, and that neither the environment nor the output of the program has it.
  /// Gives what it printed. `env` are further variables; `at` is called with the output so far.
  async client(entryPoint, words, { env = {}, at = () => {}, cwd } = {}) {
    const home = await mkdtemp(join(this.directory, 'home-'));
    const seen = join(home, 'environment');
    const [begun, shell] = [this.origin.received.length, ['sh', '-c', 'env >"$0"; exec "$@"', seen, ...words]];
    const config = join(this.strongroom.directory, 'strongroom.toml');
    const [program, ...rest] = entryPoint === 'run' ? [BINARY, 'run', '--config', config, '--', ...shell] : shell;
    const child = spawn(program, rest, {
      cwd: cwd ?? home, stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, HOME: home, ...(entryPoint === 'forward' ? this.#forward() : {}), ...env },
    });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr']) {
      child[name].setEncoding('utf8').on('data', (text) => {
        output[name] += text;
        at(output.stdout);
      });
    }
    const late = setTimeout(() => child.kill('SIGKILL'), 120_000);
    const [code, signal] = await once(child, 'close');
    clearTimeout(late);
    const received = this.origin.received.slice(begun);
    const told = `${words.join(' ')}\n${output.stdout}\n${output.stderr}\n${JSON.stringify(received)}`;
    assert.equal(code, 0, `${signal ?? code}: ${told}`);
    const environment = await readFile(seen, 'utf8');
    for (const text of [environment, output.stdout, output.stderr]) {
      assert.ok(!text.includes(SECRET), `the client sees the secret: ${told}`);
      if (entryPoint === 'run') assert.ok(!text.includes('srk_'), `the client sees the API key: ${told}`);
    }
    assert.ok(received.every((one) => one.isAccepted), `a request came without the secret: ${told}`);
    return { ...output, received, told, environment };
  }

  /// The environment of a program that uses the forward proxy without `strongroom run`.
  #forward() {
    const proxy = `http://alice:${this.key}@127.0.0.1:${this.proxy}`;
    const files = ['CARGO_HTTP_CAINFO', 'CURL_CA_BUNDLE', 'GIT_SSL_CAINFO', 'GRPC_DEFAULT_SSL_ROOTS_FILE_PATH', 'NODE_EXTRA_CA_CERTS',
      'PIP_CERT', 'REQUESTS_CA_BUNDLE', 'SSL_CERT_FILE', 'npm_config_cafile'];
    return {
      http_proxy: proxy, https_proxy: proxy, grpc_proxy: proxy, NODE_USE_ENV_PROXY: '1',
      ...Object.fromEntries(files.map((name) => [name, this.ca])),
    };
  }

  async stop() {
    this.origin.stop();
    assert.equal(await this.strongroom.stop(), 0);
    await rm(this.directory, { recursive: true });
  }
}
