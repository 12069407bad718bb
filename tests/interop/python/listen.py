"""Serves an ASGI application on a loopback port and tells the test where it is."""

import json
import os
import socket
import sys

import uvicorn


def bind():
    """Returns a listening socket, on a free port unless PORT names one, and the origin of its URLs."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", int(os.environ.get("PORT", 0))))
    listener.listen()
    return listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


def serve(app, listener, origin):
    """Prints one line of JSON, then serves until the process is stopped."""
    print(json.dumps({"url": f"{origin}/mcp"}), flush=True)
    config = uvicorn.Config(app, log_level="info", log_config=None)
    uvicorn.Server(config).run(sockets=[listener])
    sys.exit(0)
