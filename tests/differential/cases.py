"""The requests: every route, every kind of fault, and what a client library would not send."""
import json
import time
import urllib.parse
import urllib.request

BASE = "/v1/integrations"
ID = "00000000-0000-4000-8000-000000000000"
CALLBACK = "http://localhost:3000/callback"
API_KEY = {"type": "api_key", "api_key": "secret-value", "title": "t"}

CASES = []


class Case:
    def __init__(self, name, send, slow=False):
        self.name, self.send, self.slow = name, send, slow
        assert all(other.name != name for other in CASES), name
        CASES.append(self)


def head(server, method, path, headers, version="HTTP/1.1", host=True):
    lines = [f"{method} {path} {version}"] + ([f"Host: {server.address}"] if host else [])
    return "\r\n".join(lines + [f"{name}: {value}" for name, value in headers] + ["", ""]).encode()


def filled(value, server):
    """Replaces `{name}` by what an earlier case remembered under this name."""
    for name, known in server.memory.items():
        value = value.replace("{" + name + "}", known)
    return value


def request(name, method, path, body=None, key=True, headers=(), remember=()):
    """One request with a well-formed head. `remember` maps names to members of the answer."""

    def send(server):
        all_headers = ([("Authorization", f"Bearer {server.key}")] if key else []) + list(headers)
        data = b""
        if body is not None:
            data = body if isinstance(body, bytes) else filled(json.dumps(body), server).encode()
            all_headers.append(("Content-Length", str(len(data))))
            if not any(given == "Content-Type" for given, _ in headers):
                all_headers.append(("Content-Type", "application/json"))
        connection = server.connect()
        connection.send(head(server, method, filled(path, server), all_headers) + data)
        answer = connection.answer(method)
        for known, member in dict(remember).items():
            server.memory[known] = str(json.loads(answer.body)[member])
        state = connection.state()
        connection.close()
        return [answer, state]

    Case(name, send)


def raw(name, *pieces, method="GET", answers=1, slow=False, half_close=False, patience=None):
    """Bytes as they are, with `{key}` and `{address}` filled in. A number among the pieces is a pause in seconds."""

    def send(server):
        connection = server.connect()
        for piece in pieces:
            if isinstance(piece, (int, float)):
                time.sleep(piece)
            else:
                data = piece.replace(b"{key}", server.key.encode()).replace(b"{address}", server.address.encode())
                connection.send(data)
        if half_close:
            connection.half_close()
        found = [connection.answer(method) for _ in range(answers)]
        state = connection.state(*([patience] if patience else []))
        connection.close()
        return [*found, state]

    Case(name, send, slow)


# Routes: each with a good key, without one, with a wrong one, with other methods and as HEAD.

ROUTES = {
    "/healthz": ["GET"],
    "/readyz": ["GET"],
    "/openapi.json": ["GET"],
    "/v1/oauth/client.json": ["GET"],
    "/v1/oauth/jwks.json": ["GET"],
    "/v1/revocations": ["GET"],
    "/v1/approvals": ["GET"],
    f"/v1/approvals/{ID}": ["GET"],
    f"/v1/approvals/{ID}/approve": ["POST"],
    f"/v1/approvals/{ID}/deny": ["POST"],
    "/v1/grants": ["GET", "POST"],
    "/v1/grants/explain": ["POST"],
    f"/v1/grants/{ID}": ["GET", "DELETE"],
    f"{BASE}/providers": ["GET"],
    f"{BASE}/providers/github": ["GET"],
    f"{BASE}/credentials": ["GET"],
    f"{BASE}/openai/credentials": ["GET", "POST"],
    f"{BASE}/openai/credentials/{ID}": ["GET", "DELETE", "PATCH"],
    f"{BASE}/openai/credentials/{ID}/token": ["GET"],
    f"{BASE}/openai/credentials/{ID}/refresh": ["POST"],
    f"{BASE}/sandbox/oauth/initiate": ["POST"],
    f"{BASE}/sandbox/oauth/complete": ["POST"],
    f"{BASE}/sandbox/oauth/device/initiate": ["POST"],
    f"{BASE}/sandbox/oauth/device/poll": ["POST"],
}
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

for path, methods in ROUTES.items():
    for method in METHODS:
        if method not in methods:
            request(f"method {method} {path}", method, path)
    for method in methods:
        request(f"route {method} {path}", method, path)
        request(f"route {method} {path} without a key", method, path, key=False)
        request(f"route {method} {path} with a wrong key", method, path, key=False, headers=[("X-API-Key", "srk_wrong")])
    request(f"route {methods[0]} {path}/", methods[0], path + "/")

# Authentication.

for name, headers in {
    "X-API-Key": [("X-API-Key", "{key}")],
    "bearer in lower case": [("authorization", "bearer {key}")],
    "Basic": [("Authorization", "Basic dTpw")],
    "empty Authorization": [("Authorization", "")],
    "Bearer without a token": [("Authorization", "Bearer")],
    "Bearer with spaces": [("Authorization", "Bearer  {key} ")],
    "two Authorization headers": [("Authorization", "Bearer {key}"), ("Authorization", "Bearer {key}")],
    "both headers": [("Authorization", "Bearer {key}"), ("X-API-Key", "{key}")],
    "both headers, one wrong": [("Authorization", "Bearer {key}"), ("X-API-Key", "srk_x")],
    "key with a byte over 127": [("Authorization", "Bearer srk_é")],
    "another user": [("Authorization", "Bearer {key}"), ("Strongroom-User", "alice")],
    "an invalid user": [("Authorization", "Bearer {key}"), ("Strongroom-User", "a b")],
}.items():
    text = "".join(f"{header}: {value}\r\n" for header, value in headers)
    raw(f"auth {name}", f"GET {BASE}/credentials HTTP/1.1\r\nHost: {{address}}\r\n{text}\r\n".encode())

# Paths and queries.

for path in [
    "/", "/nothing", "/v1", "/v1/", BASE, f"{BASE}/", f"{BASE}/nothing", f"{BASE}/openai", f"{BASE}/openai/nothing",
    "//healthz", "/healthz//", "/healthz/x", "/HEALTHZ", "/%68ealthz", "/healthz%2f", "/healthz%00", "/./healthz",
    "/x/../healthz", "/healthz?x=y", "/healthz?", "/healthz;x", f"{BASE}//credentials", f"{BASE}/open%61i/credentials",
    f"{BASE}/OPENAI/credentials", f"{BASE}/%6fpenai/credentials", f"{BASE}/a%2Fb/credentials",
    f"{BASE}/%zz/credentials", f"{BASE}/%ff/credentials", f"{BASE}/nowhere/credentials", f"{BASE}/credentials/x/y",
    f"{BASE}/openai/credentials/", f"{BASE}/openai/credentials/not-an-id", f"{BASE}/openai/credentials/{ID.upper()}",
    f"{BASE}/openai/credentials/{ID}/nothing", f"{BASE}/openai/credentials/{ID}/token?min_ttl=x",
    f"{BASE}/openai/credentials/{ID}/token?min_ttl=-1", f"{BASE}/openai/credentials/{ID}/token?min_ttl=60",
    f"{BASE}/credentials?limit=0", f"{BASE}/credentials?limit=1", f"{BASE}/credentials?limit=x",
    f"{BASE}/credentials?limit=100000", f"{BASE}/credentials?limit=1&limit=2", f"{BASE}/credentials?after=x",
    f"{BASE}/credentials?after={ID}", f"{BASE}/credentials?unknown=1", f"{BASE}/credentials?limit=%31",
    f"{BASE}/credentials?%zz", "/openapi.json?x",
]:
    request(f"path {path}", "GET", path)
for path in [f"{BASE}/nowhere/oauth/initiate", f"{BASE}/github/oauth/initiate", f"{BASE}/openai/oauth/initiate"]:
    request(f"path POST {path}", "POST", path, {"callback_url": CALLBACK})

# Bodies.

CREATE = f"{BASE}/openai/credentials"
for name, body in {
    "nothing": b"", "a space": b" ", "no JSON": b"x", "a cut body": b'{"type":', "two documents": b"{}{}",
    "null": b"null", "a list": b"[]", "a number": b"1", "a text": b'"x"', "not UTF-8": b'{"type":"\xff"}',
    "a byte order mark": b"\xef\xbb\xbf{}", "a lone surrogate": b'{"type":"\\ud800"}', "deep": b"[" * 10_000,
    "a key twice": b'{"type":"api_key","api_key":"a","api_key":"b","title":"t"}',
    "NaN": b'{"type":"api_key","api_key":"a","title":NaN}',
}.items():
    request(f"body {name}", "POST", CREATE, body)
for name, body in {
    "no type": {}, "an unknown type": {"type": "x"}, "type is a number": {"type": 1}, "oauth2": {"type": "oauth2"},
    "no api_key": {"type": "api_key", "title": "t"}, "no title": {"type": "api_key", "api_key": "k"},
    "nothing but the type": {"type": "api_key"}, "an empty key": API_KEY | {"api_key": ""},
    "a blank key": API_KEY | {"api_key": " \n"}, "a key with line ends": API_KEY | {"api_key": "k\r\n"},
    "api_key is a number": API_KEY | {"api_key": 1}, "api_key is null": API_KEY | {"api_key": None},
    "api_key is a list": API_KEY | {"api_key": ["k"]}, "an empty title": API_KEY | {"title": ""},
    "a long title": API_KEY | {"title": "t" * 100_000}, "a title with NUL": API_KEY | {"title": "\0"},
    "three faults": {"type": "api_key", "api_key": 1, "title": [], "expires_at": "x"},
    "expires_at": API_KEY | {"expires_at": 4_000_000_000}, "expires_at as text": API_KEY | {"expires_at": "4000000000"},
    "expires_at as float": API_KEY | {"expires_at": 4e9}, "expires_at with a fraction": API_KEY | {"expires_at": 1.5},
    "expires_at negative": API_KEY | {"expires_at": -1}, "expires_at huge": API_KEY | {"expires_at": 10**30},
    "expires_at true": API_KEY | {"expires_at": True}, "expires_at in the past": API_KEY | {"expires_at": 1},
    "an unknown member": API_KEY | {"unknown": 1},
    "a password here": {"type": "user_password", "username": "u", "password": "p", "title": "t"},
}.items():
    request(f"create {name}", "POST", CREATE, body)
for name, provider, body in [
    ("api_key", "openai", API_KEY),
    ("user_password", "smtp", {"type": "user_password", "username": "u", "password": "p", "title": "t"}),
    ("user_password without a password", "smtp", {"type": "user_password", "username": "u", "title": "t"}),
    ("host_scoped", "http", {"type": "host_scoped", "host": "*.example.com", "headers": {"X-K": "v"}, "title": "t"}),
    ("bad host", "http", {"type": "host_scoped", "host": "a b", "headers": {"X-K": "v"}, "title": "t"}),
    ("bad header name", "http", {"type": "host_scoped", "host": "a.example", "headers": {"a b": "v"}, "title": "t"}),
    ("bad header value", "http", {"type": "host_scoped", "host": "a.example", "headers": {"a": "\n"}, "title": "t"}),
    ("headers a list", "http", {"type": "host_scoped", "host": "a.example", "headers": [1], "title": "t"}),
    ("no headers", "http", {"type": "host_scoped", "host": "a.example", "headers": {}, "title": "t"}),
    ("provider unknown", "nowhere", API_KEY),
    ("client_credentials", "sandbox", {"type": "client_credentials", "title": "t"}),
    ("service_account", "sandbox", {"type": "service_account", "title": "t", "key": {}}),
]:
    remember = {f"{provider}_id": "id"} if name in ("api_key", "user_password", "host_scoped") else {}
    request(f"create at {provider}: {name}", "POST", f"{BASE}/{provider}/credentials", body, remember=remember)
for content_type in [
    "text/plain", "application/json; charset=utf-8", "application/json;charset=latin-1", "application/problem+json",
    "APPLICATION/JSON", "application/x-www-form-urlencoded", "", "x", "application/json, text/plain",
]:
    request(f"content type {content_type}", "POST", CREATE, API_KEY, headers=[("Content-Type", content_type)])
request("content encoding gzip", "POST", CREATE, API_KEY, headers=[("Content-Encoding", "gzip")])

# One credential through its life.

ONE = f"{BASE}/openai/credentials/{{openai_id}}"
request("life get", "GET", ONE)
request("life head", "HEAD", ONE)
request("life of another provider", "GET", f"{BASE}/smtp/credentials/{{openai_id}}")
request("life token", "GET", f"{ONE}/token")
request("life head of the token", "HEAD", f"{ONE}/token")
request("life refresh of an API key", "POST", f"{ONE}/refresh")
for name, body in {
    "title": {"title": "new"}, "nothing": {}, "a number": {"title": 1}, "null": {"title": None}, "a secret": {"api_key": "n"},
    "an empty secret": {"api_key": ""}, "a password": {"password": "p"}, "an expiry": {"expires_at": 4_000_000_000},
    "an unknown member": {"unknown": 1}, "a list": [],
}.items():
    request(f"life patch {name}", "PATCH", ONE, body)
request("life patch of host alone", "PATCH", f"{BASE}/http/credentials/{{http_id}}", {"host": "other.example"})
for provider in ["smtp", "http"]:
    request(f"life token of {provider}", "GET", f"{BASE}/{provider}/credentials/{{{provider}_id}}/token")
request("life list of a provider", "GET", f"{BASE}/smtp/credentials")
request("life list with an empty body", "GET", f"{BASE}/smtp/credentials", b"")
request("life list with a body", "GET", f"{BASE}/smtp/credentials", API_KEY)
request("life delete", "DELETE", ONE)
request("life delete again", "DELETE", ONE)
request("life delete with a body", "DELETE", f"{BASE}/smtp/credentials/{{smtp_id}}", {"x": 1})

# A login.

INITIATE, COMPLETE = f"{BASE}/sandbox/oauth/initiate", f"{BASE}/sandbox/oauth/complete"
for name, body in {
    "no callback": {}, "callback is a number": {"callback_url": 1}, "callback elsewhere": {"callback_url": "https://evil.example/"},
    "callback with javascript": {"callback_url": "javascript:alert(1)"}, "scopes is a text": {"callback_url": CALLBACK, "scopes": "read"},
    "a scope is a number": {"callback_url": CALLBACK, "scopes": [1]}, "an empty scope": {"callback_url": CALLBACK, "scopes": [""]},
    "a scope with a space": {"callback_url": CALLBACK, "scopes": ["a b"]}, "metadata is a list": {"callback_url": CALLBACK, "state_metadata": []},
    "unknown credential": {"callback_url": CALLBACK, "credential_id": ID}, "credential id is no id": {"callback_url": CALLBACK, "credential_id": "x"},
    "inputs": {"callback_url": CALLBACK, "inputs": {"x": "y"}}, "inputs is a text": {"callback_url": CALLBACK, "inputs": "x"},
    "metadata huge": {"callback_url": CALLBACK, "state_metadata": {"x": "y" * 100_000}},
}.items():
    request(f"initiate {name}", "POST", INITIATE, body)
for name, body in {
    "nothing": {}, "no state": {"code": "c"}, "no code": {"state_token": "s"}, "unknown state": {"code": "c", "state_token": "s"},
    "state is a number": {"code": "c", "state_token": 1}, "parameters is a list": {"code": "c", "state_token": "s", "callback_params": []},
}.items():
    request(f"complete {name}", "POST", COMPLETE, body)
request("login initiate", "POST", INITIATE, {"callback_url": CALLBACK, "state_metadata": {"a": [1, 2.5, None]}},
        remember={"login_url": "login_url", "state": "state_token"})


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def log_in(server):
    """Approves the login at the sandbox, and remembers the code."""
    opener = urllib.request.build_opener(NoRedirect)
    try:
        opener.open(server.memory["login_url"] + "&sandbox_decision=approve")
    except urllib.error.HTTPError as redirect:
        query = urllib.parse.urlsplit(redirect.headers["Location"]).query
        server.memory["code"] = urllib.parse.parse_qs(query)["code"][0]
        return [f"answered {redirect.code}"]
    return ["no redirect"]


Case("login at the provider", log_in)
request("login complete at another provider", "POST", f"{BASE}/github/oauth/complete", {"code": "{code}", "state_token": "{state}"})
request("login complete", "POST", COMPLETE, {"code": "{code}", "state_token": "{state}"}, remember={"oauth_id": "credentials_id"})
request("login complete again", "POST", COMPLETE, {"code": "{code}", "state_token": "{state}"})
OAUTH = f"{BASE}/sandbox/credentials/{{oauth_id}}"
request("login get", "GET", OAUTH)
request("login token", "GET", f"{OAUTH}/token")
request("login token min_ttl", "GET", f"{OAUTH}/token?min_ttl=999999")
request("login refresh", "POST", f"{OAUTH}/refresh")
request("login refresh with a body", "POST", f"{OAUTH}/refresh", {"x": 1})
request("login patch", "PATCH", OAUTH, {"title": "renamed"})
request("login patch of a secret", "PATCH", OAUTH, {"api_key": "x"})
request("login list", "GET", f"{BASE}/sandbox/credentials")
request("login reconnect", "POST", INITIATE, {"callback_url": CALLBACK, "credential_id": "{oauth_id}"}, remember={"state": "state_token"})
request("login denied", "POST", COMPLETE, {"state_token": "{state}", "callback_params": {"error": "access_denied", "error_description": "no\n<b>"}})
request("login delete", "DELETE", OAUTH)
request("login initiate device", "POST", f"{BASE}/sandbox/oauth/device/initiate", {})
request("login poll device unknown", "POST", f"{BASE}/sandbox/oauth/device/poll", {"state_token": "x"})

# The wire: heads.

GET = b"GET /healthz HTTP/1.1\r\nHost: {address}\r\n"
raw("wire HTTP/1.0", b"GET /healthz HTTP/1.0\r\n\r\n")
raw("wire HTTP/1.0 with keep-alive", b"GET /healthz HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n")
raw("wire HTTP/1.0 chunked", b"POST /healthz HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
raw("wire HTTP/0.9", b"GET /healthz\r\n\r\n")
raw("wire HTTP/1.2", b"GET /healthz HTTP/1.2\r\nHost: x\r\n\r\n")
raw("wire HTTP/2.0", b"GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n")
raw("wire HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
raw("wire TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300))
raw("wire garbage", b"\0\1\2\3\4\r\n\r\n")
raw("wire without Host", b"GET /healthz HTTP/1.1\r\n\r\n")
raw("wire two Hosts", b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
raw("wire empty Host", b"GET /healthz HTTP/1.1\r\nHost:\r\n\r\n")
raw("wire other Host", b"GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n")
raw("wire bad Host", b"GET /healthz HTTP/1.1\r\nHost: a b/c\r\n\r\n")
raw("wire absolute target", b"GET http://x/healthz HTTP/1.1\r\nHost: y\r\n\r\n")
raw("wire asterisk", b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
raw("wire authority target", b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n")
raw("wire target without slash", b"GET healthz HTTP/1.1\r\nHost: x\r\n\r\n")
raw("wire target with a space", b"GET /heal thz HTTP/1.1\r\nHost: x\r\n\r\n")
raw("wire target with a fragment", b"GET /healthz#x HTTP/1.1\r\nHost: x\r\n\r\n")
raw("wire target with UTF-8", "GET /é HTTP/1.1\r\nHost: x\r\n\r\n".encode())
raw("wire unknown method", b"FROB /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
raw("wire method in lower case", b"get /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
raw("wire method not a token", b"G(T /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
raw("wire TRACE", b"TRACE /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
raw("wire empty lines before", b"\r\n\r\n" + GET + b"\r\n")
raw("wire bare line feeds", b"GET /healthz HTTP/1.1\nHost: x\n\n")
raw("wire bare carriage return", b"GET /healthz HTTP/1.1\rHost: x\r\r")
raw("wire folded header", GET + b"X: a\r\n b\r\n\r\n")
raw("wire space before the colon", GET + b"X : a\r\n\r\n")
raw("wire header without a colon", GET + b"X\r\n\r\n")
raw("wire header with NUL", GET + b"X: a\0b\r\n\r\n")
raw("wire header with Latin-1", GET + b"X: \xe9\r\n\r\n")
raw("wire 99 headers", GET + b"X: a\r\n" * 98 + b"\r\n")
raw("wire 200 headers", GET + b"X: a\r\n" * 200 + b"\r\n")
raw("wire header of 10 KiB", GET + b"X: " + b"a" * 10_240 + b"\r\n\r\n")
raw("wire header of 100 KiB", GET + b"X: " + b"a" * 102_400 + b"\r\n\r\n")
raw("wire header of 1 MiB", GET + b"X: " + b"a" * 1_048_576 + b"\r\n\r\n")
raw("wire target of 7 KiB", b"GET /" + b"a" * 7_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
raw("wire target of 70 KiB", b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
raw("wire given request id", GET + b"X-Request-Id: mine\r\n\r\n")
raw("wire Connection: close", GET + b"Connection: close\r\n\r\n")
raw("wire Upgrade", GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
raw("wire h2c", GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
raw("wire If-None-Match", b"GET /v1/integrations/providers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nIf-None-Match: *\r\n\r\n")
raw("wire Range", GET + b"Range: bytes=0-1\r\n\r\n")
raw("wire Accept-Encoding", b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")
raw("wire Origin", GET + b"Origin: https://evil.example\r\n\r\n")
raw("wire preflight", b"OPTIONS /v1/integrations/credentials HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: GET\r\n\r\n")

# The wire: bodies.

POST = b"POST /v1/integrations/openai/credentials HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n"
JSON = json.dumps(API_KEY).encode()
LENGTH = b"Content-Length: %d\r\n" % len(JSON)
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
CHUNK = b"%x\r\n%s\r\n0\r\n\r\n" % (len(JSON), JSON)
raw("wire chunked", POST + CHUNKED + CHUNK)
raw("wire chunked in bytes", POST + CHUNKED + b"".join(b"1\r\n%c\r\n" % byte for byte in JSON) + b"0\r\n\r\n")
raw("wire chunked with an extension", POST + CHUNKED + b"%x;a=b\r\n%s\r\n0\r\n\r\n" % (len(JSON), JSON))
raw("wire chunked with trailers", POST + CHUNKED + b"%x\r\n%s\r\n0\r\nX: y\r\n\r\n" % (len(JSON), JSON))
raw("wire chunked, bad size", POST + CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n")
raw("wire chunked, negative size", POST + CHUNKED + b"-1\r\n{}\r\n0\r\n\r\n")
raw("wire chunked, huge size", POST + CHUNKED + b"ffffffffffffffffff\r\n{}\r\n0\r\n\r\n")
raw("wire chunked, wrong end", POST + CHUNKED + b"2\r\n{}xx0\r\n\r\n")
raw("wire chunked, cut", POST + CHUNKED + b"ff\r\n{", half_close=True)
raw("wire length and chunked", POST + LENGTH + CHUNKED + CHUNK)
raw("wire chunked and length", POST + b"Transfer-Encoding: chunked\r\n" + LENGTH + b"\r\n" + CHUNK)
raw("wire two equal lengths", POST + LENGTH + LENGTH + b"\r\n" + JSON)
raw("wire two lengths", POST + LENGTH + b"Content-Length: 1\r\n\r\n" + JSON)
raw("wire length list", POST + b"Content-Length: %d, %d\r\n\r\n" % (len(JSON), len(JSON)) + JSON)
raw("wire length not a number", POST + b"Content-Length: x\r\n\r\n" + JSON)
raw("wire length with a plus", POST + b"Content-Length: +%d\r\n\r\n" % len(JSON) + JSON)
raw("wire length negative", POST + b"Content-Length: -1\r\n\r\n" + JSON)
raw("wire length huge", POST + b"Content-Length: 99999999999999999999\r\n\r\n" + JSON)
raw("wire no length", POST + b"\r\n")
raw("wire body shorter than its length", POST + b"Content-Length: 1000\r\n\r\n{", half_close=True)
raw("wire gzip, chunked", POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNK)
raw("wire chunked twice", POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + CHUNK)
raw("wire identity", POST + b"Transfer-Encoding: identity\r\n" + LENGTH + b"\r\n" + JSON)
raw("wire xchunked", POST + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNK)
raw("wire two transfer encodings", POST + b"Transfer-Encoding: chunked\r\n" + CHUNKED + CHUNK)
raw("wire body of 2 MiB", POST + b"Content-Length: 2097152\r\n\r\n" + b" " * 2_097_152)
raw("wire body of 2 MiB, chunked", POST + CHUNKED + (b"10000\r\n" + b" " * 65_536 + b"\r\n") * 32 + b"0\r\n\r\n")
raw("wire body of 2 MiB announced", POST + b"Content-Length: 2097152\r\n\r\n")
raw("wire body of 2 MiB without a key", POST.replace(b"{key}", b"srk_x") + b"Content-Length: 2097152\r\n\r\n" + b" " * 2_097_152)
raw("wire body for a 404", b"POST /nothing HTTP/1.1\r\nHost: x\r\n" + LENGTH + b"\r\n" + JSON)
raw("wire body for a 405", b"POST /healthz HTTP/1.1\r\nHost: x\r\n" + LENGTH + b"\r\n" + JSON)
raw("wire body for a 401", b"POST /v1/integrations/openai/credentials HTTP/1.1\r\nHost: x\r\n" + LENGTH + b"\r\n" + JSON)
raw("wire Expect", POST + b"Expect: 100-continue\r\n" + LENGTH + b"\r\n", 0.3, JSON, answers=2, patience=1)
raw("wire Expect with a wrong key", POST.replace(b"{key}", b"srk_x") + b"Expect: 100-continue\r\n" + LENGTH + b"\r\n", patience=1)
raw("wire Expect nonsense", POST + b"Expect: x\r\n" + LENGTH + b"\r\n" + JSON)
raw("wire three pipelined", (GET + b"\r\n") * 3, answers=3)
raw("wire pipelined after a body", POST + LENGTH + b"\r\n" + JSON + GET + b"\r\n", answers=2)
raw("wire pipelined after a 404", b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n" + GET + b"\r\n", answers=2)
raw("wire pipelined after an unread body", b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}" + GET + b"\r\n", answers=2)
raw("wire pipelined after a close", GET + b"Connection: close\r\n\r\n" + GET + b"\r\n", answers=1)
raw("wire closed before the request", half_close=True)

# Timeouts.

raw("slow silent", slow=True)
raw("slow head stops", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Dri", slow=True)
raw("slow head drips", *sum(([bytes([byte]), 1.5] for byte in (GET + b"X: aaaaaaaaaaaaaaaaaaaa")[:30]), []), slow=True)
raw("slow body stops", POST + LENGTH + b"\r\n{", slow=True)
raw("slow body with a wrong key stops", POST.replace(b"{key}", b"srk_x") + LENGTH + b"\r\n{", slow=True)
raw("slow chunk stops", POST + CHUNKED + b"5\r\n{", slow=True)
raw("slow body arrives", POST + LENGTH + b"\r\n", 2, JSON[:5], 2, JSON[5:], slow=True)
raw("slow idle after an answer", GET + b"\r\n", slow=True, patience=90)
