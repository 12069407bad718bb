// What a page of docs/how-to shows, to run it as written.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/// The page with this name: its `text`, its `files` (pairs of name and fenced block; the paragraph above it begins with the name),
/// and its `commands` (indented blocks).
export async function readPage(name) {
  const text = await readFile(join(import.meta.dirname, '../../docs/how-to', name), 'utf8');
  const fenced = /^```\w*\n(.*?)^```$/gms;
  const files = [...text.matchAll(/^`([^`\n]+)`(?:[^\n]+\n)*[^\n]*\n\n```\w*\n(.*?)^```$/gms)].map(([, file, content]) => [file, content]);
  const indented = [...text.replace(fenced, '').matchAll(/(?:^ {4}.*\n)+/gm)];
  return { text, files, commands: indented.map(([block]) => block.replace(/^ {4}/gm, '')) };
}
