// A browser without JavaScript: keeps cookies, follows redirects, fills in and submits the forms of a page.

import { parse } from 'parse5';

export class Browser {
  #cookies = [];

  /// Follows every redirect from `url` until there is a page, or until one leads to `stopAt` (nobody listens there: the
  /// redirect itself is what the application would get).
  async open(url, stopAt, init = {}) {
    let request = { url: new URL(url), init };
    for (let hops = 0; hops < 20; hops += 1) {
      const response = await this.#send(request);
      const location = response.headers.get('location');
      if (!location) return new Page(this, request.url, response.status, response.headers, await response.text(), stopAt);
      await response.arrayBuffer();
      const next = new URL(location, request.url);
      if (next.href.startsWith(stopAt)) return new Callback(next);
      request = { url: next, init: {} };
    }
    throw new Error(`too many redirects from ${url}`);
  }

  async #send({ url, init }) {
    const cookies = this.#cookies.filter((cookie) => sent(cookie, url)).map(({ name, value }) => `${name}=${value}`);
    const headers = { ...init.headers, ...(cookies.length ? { cookie: cookies.join('; ') } : {}) };
    const response = await fetch(url, { ...init, headers, redirect: 'manual' });
    for (const line of response.headers.getSetCookie()) this.#keep(line, url);
    return response;
  }

  #keep(line, url) {
    const [pair, ...attributes] = line.split(';').map((part) => part.trim());
    const [name, value] = split(pair);
    const named = Object.fromEntries(attributes.map(split).map(([key, text]) => [key.toLowerCase(), text]));
    const cookie = { host: url.host, path: named.path ?? '/', name, value };
    const same = (other) => other.host === cookie.host && other.path === cookie.path && other.name === cookie.name;
    this.#cookies = this.#cookies.filter((other) => !same(other));
    const over = named['max-age'] === '0' || (named.expires && Date.parse(named.expires) <= Date.now());
    if (!over) this.#cookies.push(cookie);
  }
}

/// Where the application was called back.
export class Callback {
  constructor(url) {
    this.url = url;
    this.parameters = Object.fromEntries(url.searchParams);
  }
}

/// A page that is shown.
export class Page {
  constructor(browser, url, status, headers, html, stopAt) {
    Object.assign(this, { browser, url, status, headers, html, stopAt });
    this.document = parse(html);
  }

  /// What a person would read.
  get text() {
    return texts(this.document).join(' ').replace(/\s+/g, ' ').trim();
  }

  /// The labels of its buttons.
  get buttons() {
    return [...elements(this.document, 'button')].map((button) => texts(button).join('').trim());
  }

  /// Presses the button `label` of the form that has it; `fields` is what is typed into the form before.
  submit(label, fields = {}) {
    for (const form of elements(this.document, 'form')) {
      const buttons = [...elements(form, 'button')];
      const button = buttons.find((candidate) => texts(candidate).join('').trim() === label);
      if (!button) continue;
      const filled = new URLSearchParams();
      for (const input of elements(form, 'input')) {
        const { name, value = '', required } = attributes(input);
        if (!name) continue;
        const typed = fields[name] ?? value;
        if (required !== undefined && typed === '') throw new Error(`the field ${name} has to be filled in`);
        filled.append(name, typed);
      }
      for (const name of Object.keys(fields)) {
        if (!filled.has(name)) throw new Error(`the form has no field ${name}`);
      }
      const pressed = attributes(button);
      if (pressed.name) filled.append(pressed.name, pressed.value ?? '');
      const { action = '', method = 'get' } = attributes(form);
      const target = new URL(action, this.url);
      if (method.toLowerCase() !== 'post') throw new Error(`a form with the method ${method}`);
      return this.browser.open(target, this.stopAt, { method: 'POST', body: filled });
    }
    throw new Error(`no form has the button ${label}: ${this.text}`);
  }

  /// Follows the link whose text contains `label`.
  follow(label) {
    for (const link of elements(this.document, 'a')) {
      if (texts(link).join('').includes(label)) {
        return this.browser.open(new URL(attributes(link).href, this.url), this.stopAt);
      }
    }
    throw new Error(`no link says ${label}: ${this.text}`);
  }
}

function* elements(node, tag) {
  for (const child of node.childNodes ?? []) {
    if (child.tagName === tag) yield child;
    yield* elements(child, tag);
  }
}

function texts(node) {
  if (node.nodeName === '#text') return [node.value];
  if (node.tagName === 'style' || node.tagName === 'script') return [];
  return (node.childNodes ?? []).flatMap(texts);
}

function attributes(element) {
  return Object.fromEntries(element.attrs.map(({ name, value }) => [name, value]));
}

function split(pair) {
  const at = pair.indexOf('=');
  return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
}

/// Whether the cookie goes with a request to this URL (RFC 6265 §5.1.4).
function sent(cookie, url) {
  const below = cookie.path.endsWith('/') ? cookie.path : `${cookie.path}/`;
  return cookie.host === url.host && (url.pathname === cookie.path || url.pathname.startsWith(below));
}
