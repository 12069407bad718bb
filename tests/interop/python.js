// MCP servers in Python, each in the virtual environment that `python/setup` has made for its packages.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

const ENVIRONMENTS = process.env.INTEROP_PYTHON ?? join(import.meta.dirname, '../../target/interop');

/// A program of the virtual environment.
export const program = (environment, name) => join(ENVIRONMENTS, environment, 'bin', name);

/// Variables with which its programs find each other.
export const environmentOf = (environment) => ({ PATH: `${join(ENVIRONMENTS, environment, 'bin')}${delimiter}${process.env.PATH}` });

/// Runs `script` of the folder `python` with these arguments; it has the `url` of its MCP endpoint, and can `forget`
/// its clients as a restart does.
export async function startPython(environment, script, parameters, port = 0) {
  const home = await mkdtemp(join(tmpdir(), 'strongroom-interop-'));
  const env = { ...process.env, HOME: home, FASTMCP_HOME: home, PORT: String(port), PYTHONWARNINGS: 'ignore' };
  const child = spawn(program(environment, 'python'), [join(import.meta.dirname, 'python', script), ...parameters], {
    cwd: home, env, stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text) => { log += text; });
  const gone = once(child, 'close');
  const line = await Promise.race([once(createInterface({ input: child.stdout }), 'line'), gone]);
  if (child.exitCode !== null) throw new Error(`${environment}/${script} has ended: ${log}`);
  const { url } = JSON.parse(line[0]);
  return {
    url,
    log: () => log,
    forget: () => fetch(new URL('/forget', url), { method: 'POST' }),
    stop: async () => {
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await gone;
      clearTimeout(late);
      await rm(home, { recursive: true });
    },
  };
}
