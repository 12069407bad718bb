"""An MCP server on FastMCP 2, 3 or 4.

Usage: fastmcp_server.py own            FastMCP's in-memory authorization server; no consent page
       fastmcp_server.py remote ISSUER  RemoteAuthProvider: tokens come from this OpenID provider
       fastmcp_server.py proxy ISSUER   OAuthProxy in front of this OpenID provider, and a consent page
"""

import sys
import tempfile

from fastmcp import FastMCP
from fastmcp.server.auth import RemoteAuthProvider
from fastmcp.server.auth.auth import ClientRegistrationOptions, RevocationOptions
from fastmcp.server.auth.providers.in_memory import InMemoryOAuthProvider
from fastmcp.server.auth.providers.jwt import JWTVerifier
from starlette.requests import Request
from starlette.responses import Response

from listen import bind, serve

SCOPE = "files:read"


def own(origin):
    return InMemoryOAuthProvider(
        base_url=origin,
        client_registration_options=ClientRegistrationOptions(enabled=True, valid_scopes=[SCOPE]),
        revocation_options=RevocationOptions(enabled=True),
        required_scopes=[SCOPE],
    )


def verifier(issuer, audience):
    return JWTVerifier(
        jwks_uri=f"{issuer}/jwks", issuer=issuer, audience=audience, required_scopes=[SCOPE], algorithm="RS256"
    )


def remote(origin, issuer):
    tokens = verifier(issuer, f"{origin}/mcp")
    return RemoteAuthProvider(token_verifier=tokens, authorization_servers=[issuer], base_url=origin)


def proxy(origin, issuer):
    from fastmcp.server.auth import OAuthProxy

    return OAuthProxy(
        upstream_authorization_endpoint=f"{issuer}/auth",
        upstream_token_endpoint=f"{issuer}/token",
        upstream_client_id="fastmcp-proxy",
        upstream_client_secret="a secret of the proxy",
        upstream_revocation_endpoint=f"{issuer}/token/revocation",
        token_verifier=verifier(issuer, f"{origin}/mcp"),
        base_url=origin,
        jwt_signing_key="a signing key of the proxy",
    )


def main():
    listener, origin = bind()
    auth = {"own": own, "remote": remote, "proxy": proxy}[sys.argv[1]](origin, *sys.argv[2:])
    server = FastMCP("interop", auth=auth)

    @server.tool
    def add(a: int, b: int) -> int:
        """Adds two numbers."""
        return a + b

    @server.custom_route("/forget", methods=["POST"])
    async def forget(request: Request) -> Response:
        auth.clients.clear()
        return Response(status_code=204)

    serve(server.http_app(), listener, origin)


main()
