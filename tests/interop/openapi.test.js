// The description of the API, read by the tools that people use: linters without an error, and generated clients that
// compile and run through the seven endpoints and the token endpoint.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { Browser } from './browser.js';
import { environmentOf, program } from './python.js';
import { startDev } from './strongroom.js';

const tool = (name) => join(import.meta.dirname, 'node_modules/.bin', name);
const client = (name) => join(import.meta.dirname, 'clients', name);

let strongroom;
let folder;
let description;
before(async () => {
  strongroom = await startDev();
  folder = await mkdtemp(join(tmpdir(), 'strongroom-interop-'));
  description = join(folder, 'openapi.json');
  await writeFile(description, await (await fetch(`${strongroom.url}/openapi.json`)).text());
});
after(async () => {
  await strongroom?.stop();
  await rm(folder, { recursive: true });
});

/// Runs a program to its end; one that fails is an error with all that it has printed.
async function run(file, parameters, environment = {}) {
  const options = { cwd: folder, env: { ...process.env, ...environment }, maxBuffer: 1 << 26 };
  const { stdout, stderr } = await promisify(execFile)(file, parameters, options).catch((error) => {
    throw new Error(`${file} failed: ${error.stdout}${error.stderr}`);
  });
  return stdout + stderr;
}

/// Runs a generated client, and approves the login whose URL it prints.
async function drive(file, parameters, environment = {}) {
  const child = spawn(file, [...parameters, strongroom.url, strongroom.apiKey], {
    cwd: folder, env: { ...process.env, ...environment }, stdio: ['pipe', 'pipe', 'pipe'],
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text) => { log += text; });
  const gone = once(child, 'close');
  const line = await Promise.race([once(createInterface({ input: child.stdout }), 'line'), gone]);
  assert.equal(child.exitCode, null, log);
  const page = await new Browser().open(line[0], 'http://localhost:3000/');
  const { url } = await page.submit('Approve', { user: 'grace' });
  child.stdin.end(`${url.href}\n`);
  const [code] = await gone;
  assert.equal(code, 0, log);
}

test('redocly finds no error', async () => {
  await run(tool('redocly'), ['lint', description], { REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' });
});

test('spectral finds no error', async () => {
  const rules = join(folder, 'spectral.json');
  await writeFile(rules, JSON.stringify({ extends: ['spectral:oas'] }));
  await run(tool('spectral'), ['lint', '--ruleset', rules, '--fail-severity', 'error', description]);
});

test('openapi-generator, python', async () => {
  const generated = join(folder, 'python');
  await run(program('openapi', 'openapi-generator-cli'), ['generate', '-g', 'python', '-i', description, '-o', generated]);
  await drive(program('openapi', 'python'), [client('generated.py')], { PYTHONPATH: generated });
});

test('openapi-generator, typescript-fetch', async () => {
  const generated = join(folder, 'client');
  await run(program('openapi', 'openapi-generator-cli'), ['generate', '-g', 'typescript-fetch', '-i', description, '-o', generated]);
  await copyFile(client('fetch.ts'), join(folder, 'fetch.ts'));
  const types = join(import.meta.dirname, 'node_modules/@types');
  await run(tool('tsc'), [
    '--strict', '--target', 'es2022', '--module', 'nodenext', '--typeRoots', types, '--types', 'node', join(folder, 'fetch.ts'),
  ]);
  await drive(process.execPath, [join(folder, 'fetch.js')]);
});

test('openapi-python-client', async () => {
  const generated = join(folder, 'strongroom_client');
  const written = await run(program('openapi', 'openapi-python-client'), [
    'generate', '--path', description, '--output-path', generated, '--meta', 'none', '--fail-on-warning',
  ], environmentOf('openapi'));
  assert.doesNotMatch(written, /Unable|removal/);
  await drive(program('openapi', 'python'), [client('python_client.py')], { PYTHONPATH: folder });
});
