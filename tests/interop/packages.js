// Package indexes with one package each, as pip, npm and cargo ask for them.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { json, sha256 } from './tls-origin.js';

/// The simple repository API (PEP 503) with the wheel `interop-package`. `python` makes the wheel.
export async function simpleIndex(directory, python) {
  const name = 'interop_package-1.0-py3-none-any.whl';
  const info = 'interop_package-1.0.dist-info';
  const script = `import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    wheel.writestr("interop_package.py", "ANSWER = 42\\n")
    wheel.writestr("${info}/METADATA", "Metadata-Version: 2.1\\nName: interop-package\\nVersion: 1.0\\n")
    wheel.writestr("${info}/WHEEL", "Wheel-Version: 1.0\\nGenerator: interop\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr("${info}/RECORD", "interop_package.py,,\\n${info}/METADATA,,\\n${info}/WHEEL,,\\n${info}/RECORD,,\\n")
`;
  execFileSync(python, ['-c', script, join(directory, name)]);
  const wheel = await readFile(join(directory, name));
  return (_request, response, path) => {
    if (path === '/interop-package/') {
      const page = `<!DOCTYPE html><a href="../files/${name}#sha256=${sha256(wheel)}">${name}</a>`;
      return response.writeHead(200, { 'content-type': 'text/html' }).end(page);
    }
    return path === `/files/${name}` ? response.end(wheel) : response.writeHead(404).end();
  };
}

/// An npm registry with the package `interop-package`. `base` is a function that gives its URL.
export async function npmRegistry(directory, base) {
  const folder = join(directory, 'npm');
  await mkdir(folder);
  await writeFile(join(folder, 'package.json'), '{"name":"interop-package","version":"1.0.0","main":"index.js"}');
  await writeFile(join(folder, 'index.js'), 'module.exports = 42;\n');
  execFileSync('npm', ['pack', '--silent', '--offline'], { cwd: folder, stdio: 'ignore' });
  const archive = await readFile(join(folder, 'interop-package-1.0.0.tgz'));
  const integrity = `sha512-${createHash('sha512').update(archive).digest('base64')}`;
  return (_request, response, path) => {
    if (path.endsWith('.tgz')) return response.end(archive);
    if (path !== '/interop-package') return response.writeHead(404).end('{}');
    const dist = { tarball: `${base()}/interop-package/-/interop-package-1.0.0.tgz`, integrity };
    const version = { name: 'interop-package', version: '1.0.0', main: 'index.js', dist };
    return json(response, { name: 'interop-package', 'dist-tags': { latest: '1.0.0' }, versions: { '1.0.0': version } });
  };
}

/// A sparse registry of cargo, all of whose requests need a token, with the crate `interop-package`.
export async function sparseIndex(directory, base) {
  const folder = join(directory, 'crate');
  await mkdir(join(folder, 'src'), { recursive: true });
  await writeFile(join(folder, 'Cargo.toml'), '[package]\nname = "interop-package"\nversion = "1.0.0"\nedition = "2021"\n[workspace]\n');
  await writeFile(join(folder, 'src/lib.rs'), 'pub const ANSWER: u8 = 42;\n');
  const target = join(directory, 'crate-target');
  execFileSync('cargo', ['package', '--quiet', '--no-verify', '--allow-dirty', '--offline', '--target-dir', target], {
    cwd: folder, stdio: 'ignore',
  });
  const packages = join(target, 'package');
  const crate = await readFile(join(packages, (await readdir(packages)).find((name) => name.endsWith('.crate'))));
  const entry = { name: 'interop-package', vers: '1.0.0', deps: [], cksum: sha256(crate), features: {}, yanked: false };
  return (_request, response, path) => {
    if (path === '/config.json') return json(response, { dl: `${base()}/dl`, api: base(), 'auth-required': true });
    if (path === '/in/te/interop-package') return response.end(`${JSON.stringify(entry)}\n`);
    return path.startsWith('/dl/') ? response.end(crate) : response.writeHead(404).end();
  };
}
