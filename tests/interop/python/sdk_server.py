"""An MCP server on the official Python SDK, `mcp` 1.x or 2.x.

Usage: sdk_server.py own            with the SDK's authorization server, and a consent page
       sdk_server.py remote ISSUER  tokens come from this OpenID provider
"""

import secrets
import sys
import time

import jwt
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    RefreshToken,
    construct_redirect_uri,
)
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions, RevocationOptions
from mcp.shared.auth import OAuthToken
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from listen import bind, serve

try:
    from mcp.server.mcpserver import MCPServer
except ModuleNotFoundError:
    from mcp.server.fastmcp import FastMCP as MCPServer

SCOPE = "files:read"
LIFETIME = 3600


class OwnProvider:
    """The storage behind the SDK's authorization server. Clients, codes and tokens are in memory."""

    def __init__(self, origin):
        self.origin = origin
        self.clients, self.asked, self.codes, self.access, self.refresh = {}, {}, {}, {}, {}

    async def get_client(self, client_id):
        return self.clients.get(client_id)

    async def register_client(self, client_info):
        self.clients[client_info.client_id] = client_info

    async def authorize(self, client, params):
        asked = secrets.token_urlsafe(16)
        self.asked[asked] = (client, params)
        return f"{self.origin}/consent?asked={asked}"

    def approve(self, asked):
        """Returns the redirect with a code for the request that the user has approved."""
        client, params = self.asked.pop(asked)
        code = AuthorizationCode(
            code=secrets.token_urlsafe(32),
            client_id=client.client_id,
            scopes=params.scopes or [],
            expires_at=time.time() + 60,
            code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
            resource=params.resource,
        )
        self.codes[code.code] = code
        return construct_redirect_uri(str(params.redirect_uri), code=code.code, state=params.state)

    async def load_authorization_code(self, client, authorization_code):
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(self, client, authorization_code):
        self.codes.pop(authorization_code.code)
        return self._issue(client, authorization_code.scopes, authorization_code.resource)

    async def load_refresh_token(self, client, refresh_token):
        return self.refresh.get(refresh_token)

    async def exchange_refresh_token(self, client, refresh_token, scopes):
        self.refresh.pop(refresh_token.token)
        return self._issue(client, scopes, refresh_token.resource)

    async def load_access_token(self, token):
        return self.access.get(token)

    async def revoke_token(self, token):
        """Ends the whole grant, as RFC 7009 section 2.1 suggests."""
        for tokens in (self.access, self.refresh):
            for known in [known for known in tokens.values() if known.client_id == token.client_id]:
                del tokens[known.token]

    def _issue(self, client, scopes, resource):
        common = {"client_id": client.client_id, "scopes": scopes, "resource": resource}
        access = AccessToken(token=secrets.token_urlsafe(32), expires_at=int(time.time()) + LIFETIME, **common)
        refresh = RefreshToken(token=secrets.token_urlsafe(32), **common)
        self.access[access.token], self.refresh[refresh.token] = access, refresh
        return OAuthToken(
            access_token=access.token,
            token_type="Bearer",
            expires_in=LIFETIME,
            refresh_token=refresh.token,
            scope=" ".join(scopes),
        )


class RemoteVerifier:
    """Checks tokens of an OpenID provider: signature, issuer and audience."""

    def __init__(self, issuer, audience):
        self.issuer, self.audience = issuer, audience
        self.keys = jwt.PyJWKClient(f"{issuer}/jwks")

    async def verify_token(self, token):
        try:
            key = self.keys.get_signing_key_from_jwt(token)
            claims = jwt.decode(token, key, algorithms=["RS256"], issuer=self.issuer, audience=self.audience)
        except jwt.PyJWTError:
            return None
        scopes = claims.get("scope", "").split()
        return AccessToken(token=token, client_id=claims["client_id"], scopes=scopes, resource=self.audience)


def add_pages(server, provider):
    """Adds the consent page, and a switch that makes the server forget its clients as a restart does."""

    @server.custom_route("/consent", methods=["GET", "POST"])
    async def consent(request: Request) -> Response:
        asked = request.query_params["asked"]
        if request.method == "POST":
            return RedirectResponse(provider.approve(asked), status_code=302)
        return HTMLResponse('<form method="post"><button>Approve</button></form>')

    @server.custom_route("/forget", methods=["POST"])
    async def forget(request: Request) -> Response:
        provider.clients.clear()
        return Response(status_code=204)


def main():
    listener, origin = bind()
    common = {"resource_server_url": f"{origin}/mcp", "required_scopes": [SCOPE], "validate_token_resource": True}
    if sys.argv[1] == "own":
        provider = OwnProvider(origin)
        settings = AuthSettings(
            issuer_url=origin,
            client_registration_options=ClientRegistrationOptions(enabled=True, valid_scopes=[SCOPE]),
            revocation_options=RevocationOptions(enabled=True),
            **common,
        )
        server = MCPServer("interop", auth_server_provider=provider, auth=settings)
        add_pages(server, provider)
    else:
        issuer = sys.argv[2]
        settings = AuthSettings(issuer_url=issuer, **common)
        server = MCPServer("interop", token_verifier=RemoteVerifier(issuer, f"{origin}/mcp"), auth=settings)

    @server.tool()
    def add(a: int, b: int) -> int:
        """Adds two numbers."""
        return a + b

    serve(server.streamable_http_app(), listener, origin)


main()
