// The real binary in a directory of its own: made by `init`, opened by `serve`, asked over HTTP like any caller would.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export const BINARY = resolve(process.env.STRONGROOM_BIN ?? '../../target/debug/strongroom');

/// A Strongroom with these providers (TOML), `oauth` under its [oauth] and `egress` under its [egress], and a key with every
/// permission for the user `alice`. With `hosts` (lines of /etc/hosts) the server resolves these names.
export async function startStrongroom(providersToml, { oauth = '', egress = '', hosts } = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'strongroom-interop-'));
  await run(directory, ['init']);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  await writeFile(join(directory, 'strongroom.toml'), `
[server]
listen = "127.0.0.1:${port}"
public_url = "${url}"

[vault]
path = "strongroom.db"
master_key = { file = "strongroom.key" }

[oauth]
callback_origins = ["http://localhost"]
${oauth}

[egress]
allow = ["127.0.0.0/8"]
${egress}
${providersToml}`);
  const apiKey = await createKey(directory, ['READ_INTEGRATIONS', 'MANAGE_INTEGRATIONS', 'DELETE_INTEGRATIONS', 'USE_INTEGRATIONS']);
  const server = start(directory, ['serve'], hosts && await launcherWith(directory, hosts));
  await ready(url, server);
  return new Strongroom(directory, url, apiKey, server);
}

/// A Strongroom with the provider `acme`, whose API is at this origin and takes a bearer, and a stored key of it.
export async function startAcme(origin, secret) {
  const strongroom = await startStrongroom(`
[providers.acme]
display_name = "Acme"
[providers.acme.api_key]
base_url = "http://127.0.0.1:${origin.address().port}/v1"
in = "header"
name = "Authorization"
prefix = "Bearer "
`);
  const stored = await strongroom.ask('POST', '/acme/credentials', { type: 'api_key', api_key: secret, title: 't' });
  if (stored.status !== 201) throw new Error(stored.text);
  return Object.assign(strongroom, { credential: stored.body.id });
}

/// `strongroom dev` on a free port, and what it announced.
export async function startDev() {
  const directory = await mkdtemp(join(tmpdir(), 'strongroom-interop-'));
  const server = start(directory, ['dev', '--print', 'json', '--listen', '127.0.0.1:0']);
  const announced = JSON.parse(await server.firstLine());
  const dev = new Strongroom(directory, announced.url, announced.api_key, server);
  return Object.assign(dev, { announced });
}

class Strongroom {
  #server;

  constructor(directory, url, apiKey, server) {
    Object.assign(this, { directory, url, apiKey, pid: server.pid });
    this.#server = server;
  }

  get stdout() {
    return this.#server.stdout();
  }

  /// A new key for the user `alice` with these permissions.
  key(...permissions) {
    return createKey(this.directory, permissions);
  }

  /// One request under the base path; gives status and parsed body.
  async ask(method, path, body) {
    const response = await fetch(`${this.url}/v1/integrations${path}`, {
      method,
      headers: { 'x-api-key': this.apiKey, ...(body ? { 'content-type': 'application/json' } : {}) },
      body: body && JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, text, body: text ? JSON.parse(text) : undefined };
  }

  /// Runs a command of the binary in its directory, and gives what it printed.
  command(parameters) {
    return run(this.directory, parameters);
  }

  /// Everything that the server has written to its log so far.
  get log() {
    return this.#server.log();
  }

  /// Everything that is on its disk, as one text of bytes.
  async disk() {
    const files = (await readdir(this.directory)).filter((name) => name.startsWith('strongroom.db'));
    return (await Promise.all(files.map((name) => readFile(join(this.directory, name), 'latin1')))).join('\n');
  }

  /// Asks the server to stop, and says with which exit code it did.
  async stop() {
    const code = await this.#server.stop();
    await rm(this.directory, { recursive: true });
    return code;
  }
}

/// A process of the binary that goes on until it is stopped.
function start(directory, parameters, launcher = []) {
  const [program, ...words] = [...launcher, BINARY, ...parameters];
  const child = spawn(program, words, { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'], env: environment() });
  const gone = once(child, 'close');
  const written = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', (text) => { written[name] += text; });
  }
  const exited = () => child.exitCode !== null || child.signalCode !== null;
  return {
    pid: child.pid,
    stdout: () => written.stdout,
    log: () => written.stdout + written.stderr,
    exited,
    async firstLine() {
      await within(10, `strongroom ${parameters[0]} to print a line`, () => written.stdout.includes('\n') || exited());
      if (!written.stdout.includes('\n')) throw new Error(`strongroom ${parameters[0]} has ended: ${written.stderr}`);
      return written.stdout.split('\n')[0];
    },
    async stop() {
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), 30_000);
      const [code] = await gone;
      clearTimeout(late);
      return code;
    },
  };
}

/// A command that starts its arguments with names of their own: in a mount namespace, where /etc/hosts is another file.
async function launcherWith(directory, hosts) {
  const file = join(directory, 'hosts');
  await writeFile(file, `127.0.0.1 localhost\n${hosts}\n`);
  const namespace = process.getuid() === 0 ? ['--mount'] : ['--mount', '--map-root-user'];
  return ['unshare', ...namespace, '--', 'sh', '-c', 'mount --bind "$0" /etc/hosts && exec "$@"', file];
}

/// A new key for the user `alice`.
async function createKey(directory, permissions) {
  const flags = permissions.flatMap((permission) => ['--permission', permission]);
  return JSON.parse(await run(directory, ['key', 'create', '--user', 'alice', ...flags, '--json'])).api_key;
}

async function run(directory, parameters) {
  const child = spawn(BINARY, parameters, { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'], env: environment() });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', (text) => { output[name] += text; });
  }
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`strongroom ${parameters[0]} ended with ${code}: ${output.stderr}`);
  return output.stdout;
}

/// Ours, without the settings that would come between a test and its own configuration.
function environment() {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('STRONGROOM_'));
  return { ...Object.fromEntries(kept), RUST_LOG: 'debug' };
}

async function ready(url, server) {
  await within(10, 'strongroom serve to be ready', async () => {
    if (server.exited()) throw new Error(`strongroom serve has ended: ${server.log()}`);
    return (await fetch(`${url}/readyz`).catch(() => undefined))?.ok;
  });
}

/// Waits until `holds`, for so many seconds at most.
export async function within(seconds, what, holds) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end;) {
    if (await holds()) return;
    await new Promise((wake) => { setTimeout(wake, 20); });
  }
  throw new Error(`waited ${seconds} s in vain for ${what}`);
}

export async function freePort() {
  const listener = createServer();
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address();
  listener.close();
  await once(listener, 'close');
  return port;
}
