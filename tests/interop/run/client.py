"""One request by a client of Python: `client.py NAME URL [FILE]` prints what the origin answers. FILE is sent."""

import asyncio
import sys


def urllib(url, data):
    from urllib.request import Request, urlopen

    return urlopen(Request(url, data=data)).read().decode()


def urllib_strict(url, data):
    """The checks of RFC 5280 that Python 3.13 makes by default, and the lifetime of the certificate."""
    import ssl
    from urllib.request import HTTPSHandler, Request, build_opener

    context = ssl.create_default_context()
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    lifetimes = []

    class Noted(ssl.SSLSocket):
        def do_handshake(self, *args, **options):
            super().do_handshake(*args, **options)
            ends = [ssl.cert_time_to_seconds(self.getpeercert()[end]) for end in ("notBefore", "notAfter")]
            lifetimes.append(ends[1] - ends[0])

    context.sslsocket_class = Noted
    answer = build_opener(HTTPSHandler(context=context)).open(Request(url, data=data)).read().decode()
    assert lifetimes == [72 * 3600], lifetimes
    return answer


def requests(url, data):
    import requests

    answer = requests.request("POST" if data else "GET", url, data=data)
    answer.raise_for_status()
    return answer.text


def httpx(url, data, **options):
    import httpx

    with httpx.Client(**options) as client:
        answer = client.request("POST" if data else "GET", url, content=data)
    answer.raise_for_status()
    return answer.text


def httpx_h2(url, data):
    return httpx(url, data, http2=True)


def aiohttp(url, data):
    async def ask():
        from aiohttp import ClientSession

        async with ClientSession(trust_env=True, raise_for_status=True) as session:
            async with session.request("POST" if data else "GET", url, data=data) as answer:
                return await answer.text()

    return asyncio.run(ask())


def aiohttp_base_url(url, data):
    """The path proxy needs neither a proxy nor a certificate."""

    async def ask():
        from aiohttp import ClientSession

        async with ClientSession(raise_for_status=True) as session:
            async with session.request("POST" if data else "GET", url, data=data) as answer:
                return await answer.text()

    return asyncio.run(ask())


def websockets(url, data):
    from websockets.sync.client import connect

    with connect(url) as socket:
        socket.send("hello")
        return socket.recv()


def grpc(url, data):
    """A unary call and a stream. The status of a call is in the trailers."""
    import grpc

    with grpc.secure_channel(url, grpc.ssl_channel_credentials()) as channel:
        one = channel.unary_unary("/origin.Echo/Once")(b"once", timeout=20)
        many = channel.stream_stream("/origin.Echo/Each")(iter([b"a", b"b"]), timeout=20)
        received = [one, *many]
        assert dict(many.trailing_metadata())["origin-sum"] == "2"
    return b" ".join(received).decode()


name, url = sys.argv[1:3]
data = open(sys.argv[3], "rb").read() if len(sys.argv) > 3 else None
print(globals()[name](url, data))
