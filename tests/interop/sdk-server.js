// An MCP server on `@modelcontextprotocol/sdk`, with the SDK's authorization server and a consent page.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mcpAuthRouter, getOAuthProtectedResourceMetadataUrl } from '@modelcontextprotocol/sdk/server/auth/router.js';
import { InvalidGrantError, InvalidTokenError } from '@modelcontextprotocol/sdk/server/auth/errors.js';
import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import express from 'express';
import * as z from 'zod';

const SCOPE = 'files:read';
const LIFETIME = 3600;
const random = () => randomBytes(24).toString('base64url');

/// Starts the server; it has the `url` of its MCP endpoint, and can `forget` its clients as a restart does.
export async function startSdkServer() {
  const app = express();
  const http = app.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const issuer = new URL(`http://127.0.0.1:${http.address().port}`);
  const url = new URL('/mcp', issuer);
  const provider = new OwnProvider();
  app.use(mcpAuthRouter({ provider, issuerUrl: issuer, resourceServerUrl: url, scopesSupported: [SCOPE] }));
  app.get('/consent', (_request, response) => response.send('<form method="post"><button>Approve</button></form>'));
  app.post('/consent', (request, response) => response.redirect(provider.approve(request.query.asked)));
  const resourceMetadataUrl = getOAuthProtectedResourceMetadataUrl(url);
  const guard = requireBearerAuth({ verifier: provider, requiredScopes: [SCOPE], resourceMetadataUrl });
  // Without sessions, each request has a server of its own.
  app.post('/mcp', guard, express.json(), async (request, response) => {
    const server = new McpServer({ name: 'interop', version: '1.0.0' });
    server.registerTool('add', { inputSchema: { a: z.number(), b: z.number() } }, ({ a, b }) => ({
      content: [{ type: 'text', text: String(a + b) }],
    }));
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
    await server.connect(transport);
    await transport.handleRequest(request, response, request.body);
  });
  return {
    url: url.href,
    forget: () => provider.clients.clear(),
    stop: () => new Promise((done) => { http.close(done); http.closeAllConnections(); }),
  };
}

/// The storage behind the SDK's authorization server.
class OwnProvider {
  constructor() {
    Object.assign(this, { clients: new Map(), asked: new Map(), codes: new Map(), tokens: new Map() });
    this.clientsStore = {
      getClient: (id) => this.clients.get(id),
      registerClient: (client) => {
        this.clients.set(client.client_id, client);
        return client;
      },
    };
  }

  async authorize(client, { codeChallenge, redirectUri, scopes = [], state }, response) {
    const asked = random();
    this.asked.set(asked, { client: client.client_id, codeChallenge, redirectUri, scopes, state });
    response.redirect(`/consent?asked=${asked}`);
  }

  /// The redirect with a code for the request that the user has approved.
  approve(asked) {
    const { redirectUri, state, ...grant } = this.asked.get(asked);
    const code = random();
    this.codes.set(code, grant);
    const back = new URL(redirectUri);
    back.searchParams.set('code', code);
    if (state !== undefined) back.searchParams.set('state', state);
    return back.href;
  }

  async challengeForAuthorizationCode(_client, code) {
    const grant = this.codes.get(code);
    if (!grant) throw new InvalidGrantError('the code is unknown');
    return grant.codeChallenge;
  }

  async exchangeAuthorizationCode(client, code) {
    const { scopes } = this.codes.get(code);
    this.codes.delete(code);
    return this.#issue(client, scopes);
  }

  async exchangeRefreshToken(client, refreshToken) {
    const grant = this.tokens.get(refreshToken);
    if (grant?.clientId !== client.client_id) throw new InvalidGrantError('the refresh token is unknown');
    this.tokens.delete(refreshToken);
    return this.#issue(client, grant.scopes);
  }

  async verifyAccessToken(token) {
    const known = this.tokens.get(token);
    if (!known?.expiresAt) throw new InvalidTokenError('the token is unknown');
    return known;
  }

  /// Ends the whole grant, as RFC 7009 §2.1 suggests.
  async revokeToken(client) {
    for (const [token, { clientId }] of this.tokens) if (clientId === client.client_id) this.tokens.delete(token);
  }

  #issue({ client_id: clientId }, scopes) {
    const [token, refreshToken] = [random(), random()];
    this.tokens.set(token, { token, clientId, scopes, expiresAt: Math.floor(Date.now() / 1000) + LIFETIME });
    this.tokens.set(refreshToken, { clientId, scopes });
    return {
      access_token: token, token_type: 'bearer', expires_in: LIFETIME, refresh_token: refreshToken, scope: scopes.join(' '),
    };
  }
}
