// Lets Node.js 20 run @modelcontextprotocol/conformance, which imports `globSync` of Node.js 22 and needs it for tests of
// servers only.

import * as fs from 'node:fs';
import { register } from 'node:module';

const hook = `
  export async function load(url, context, next) {
    const loaded = await next(url, context);
    if (!url.includes('/@modelcontextprotocol/conformance/')) return loaded;
    const missing = /globSync as ([\\w$]+),/;
    const source = loaded.source.toString();
    const name = source.match(missing)?.[1];
    return { ...loaded, source: name ? source.replace(missing, '') + ';function ' + name + '(){return []}' : source };
  }
`;
if (!fs.globSync) register(`data:text/javascript,${encodeURIComponent(hook)}`);
