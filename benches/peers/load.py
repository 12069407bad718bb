"""The load: wrk, told by a file what to ask, so that no key is on a command line."""

import http.client
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Ask:
    """A request, or several in turn."""

    url: str  # http://127.0.0.1:PORT
    paths: tuple[str, ...]
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    fresh: bool = False  # the one path is a beginning, and every request has another end


class Once:
    """Asks once and checks, on a kept connection of each thread: for setting up, and for looking at single requests."""

    def __init__(self, url: str, headers: dict[str, str] | None = None):
        self.address, self.headers, self.kept = urlsplit(url).netloc, headers or {}, threading.local()

    def __call__(self, method: str, path: str, body=None, headers: dict[str, str] | None = None):
        """The JSON of a good answer; anything else is an error that says what was answered."""
        if body is not None and not isinstance(body, str):
            body = json.dumps(body)
        sent = {"Content-Type": "application/json"} if body is not None else {}
        if not hasattr(self.kept, "connection"):
            self.kept.connection = http.client.HTTPConnection(self.address, timeout=30)
        self.kept.connection.request(method, path, body, sent | self.headers | (headers or {}))
        answer = self.kept.connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text) if text else None


def fill(store: Callable[[str], object], what: Iterable[str]) -> None:
    """Stores each of them, sixteen at a time."""
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(store, what))


def measure(ask: Ask, connections: int, seconds: int, folder: Path, label: str) -> dict:
    """What came of so many connections, each asking again as soon as it is answered."""
    paths = tuple(path + label + "-" for path in ask.paths) if ask.fresh else ask.paths
    script = folder / "ask.lua"
    script.unlink(missing_ok=True)
    with os.fdopen(os.open(script, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(_lua(ask, paths))
    command = ["wrk", "--threads=1", f"--connections={connections}", f"--duration={seconds}s", "--timeout=10s"]
    command += ["--latency", f"--script={HERE / 'load.lua'}", ask.url + "/"]
    done = subprocess.run(
        command,
        env=os.environ | {"ASK": str(script)},
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
    )
    script.unlink()
    if done.returncode != 0:
        raise RuntimeError(f"wrk: {done.stderr or done.stdout}")
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))


def _lua(ask: Ask, paths: tuple[str, ...]) -> str:
    def text(value: str) -> str:
        return '"' + "".join(f"\\{byte:03d}" for byte in value.encode()) + '"'

    headers = ", ".join(f"[{text(name)}] = {text(value)}" for name, value in ask.headers.items())
    body = f"body = {text(ask.body)}, " if ask.body is not None else ""
    fresh = "true" if ask.fresh else "false"
    return (
        f"return {{method = {text(ask.method)}, headers = {{{headers}}}, {body}fresh = {fresh}, "
        f"paths = {{{', '.join(map(text, paths))}}}}}\n"
    )
