// A second other side: npm `oauth2-mock-server`, by other hands than `oidc-provider`, on a loopback port. It checks PKCE,
// rotates refresh tokens, signs its tokens, and does what a test tells it to do instead.

import { OAuth2Server } from 'oauth2-mock-server';

/// Starts the server. What comes back knows its `issuer`, the token requests that it had (`asked`, with what it `answered` to
/// each) and how many `revocations`; `instead` is what the next answers of its token endpoint are changed by.
export async function startSecondServer() {
  const server = new OAuth2Server();
  await server.issuer.keys.generate('RS256');
  await server.start(0, '127.0.0.1');
  const second = {
    issuer: server.issuer.url,
    asked: [],
    revocations: 0,
    instead: undefined,
    revocationStatus: 200,
    stop: () => server.stop(),
  };
  server.service.on('beforeResponse', (response, request) => {
    if (second.instead) second.instead(response);
    second.asked.push({ ...request.body, authorization: request.headers.authorization, answered: response.body });
  });
  server.service.on('beforeUserinfo', (response) => {
    response.body = { sub: 'johndoe', name: 'John of the second server' };
  });
  // It reads no body there, so that it cannot say which token.
  server.service.on('beforeRevoke', (response) => {
    response.statusCode = second.revocationStatus;
    second.revocations += 1;
  });
  return second;
}

/// It twice in the vocabulary of a strongroom.toml: with every URL, and by its issuer alone.
export function secondServerToml(issuer) {
  const client = 'client_id = "second"\nclient_secret = "second secret"';
  return `
[providers.second]
display_name = "Second"
${client}
[providers.second.oauth]
authorize_url = "${issuer}/authorize"
token_url = "${issuer}/token"
default_scopes = ["read", "write"]
identity = { url = "${issuer}/userinfo", username = "/name", account = "/sub" }
revoke = { url = "${issuer}/revoke", ends = "token" }
refresh = { rotates = true }

[providers.second-oidc]
display_name = "Second by issuer"
${client}
[providers.second-oidc.oauth]
issuer = "${issuer}"
default_scopes = ["openid", "read"]
`;
}
