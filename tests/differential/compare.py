#!/usr/bin/env python3
"""Sends the same requests to two builds of Strongroom and prints each difference between the answers.

    tests/differential/compare.py OLD NEW [CASE-GLOB]

OLD and NEW are paths of `strongroom` binaries. Both run `dev` with a temporary vault. Values that differ from run to
run (ids, times, tokens) are replaced by placeholders. `wanted.txt` lists the differences that are wanted, with a reason
each. The exit code is 1 if there is another difference, or if a wanted difference does not occur any more.
"""
import concurrent.futures
import fnmatch
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from cases import CASES
from wire import Connection

HERE = pathlib.Path(__file__).parent
# Cases that wait for a timeout of the server run beside each other, all others one after the other.
PARALLEL = 16


class Server:
    """A running `strongroom dev`, and what the cases remember about it."""

    def __init__(self, binary):
        self.log = tempfile.TemporaryFile()
        command = [binary, "dev", "--listen", "127.0.0.1:0", "--print", "json"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, cwd=tempfile.gettempdir())
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            sys.exit(f"{binary} did not start: {self.log.read().decode()}")
        ready = json.loads(line)
        self.key = ready["api_key"]
        self.address = ready["url"].removeprefix("http://")
        self.memory = {}

    def connect(self):
        host, port = self.address.rsplit(":", 1)
        return Connection(host, int(port))

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
TIMES = {"expires_at", "created_at", "access_token_expires_at", "last_used_at", "updated_at", "refreshed_at", "at"}
SECRETS = {"access_token", "state_token", "login_url", "device_code", "user_code", "handle", "verification_uri_complete"}


def plain(value, server, name=""):
    """The value with placeholders for what differs from run to run."""
    if isinstance(value, dict):
        return {key: plain(inner, server, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner, server, name) for inner in value]
    if name in TIMES and isinstance(value, int) and value > 1_000_000_000:
        return "<time>"
    if name == "expires_in" and isinstance(value, int):
        return "<seconds>"
    if name in SECRETS and isinstance(value, str):
        return "<secret>" if name != "login_url" else re.sub(r"=[^&]*", "=…", value.split("?")[-1])
    if isinstance(value, str):
        return text(value, server)
    return value


def text(value, server):
    value = UUID.sub("<uuid>", value).replace(server.address, "<address>")
    return re.sub(r"127\.0\.0\.1:\d+", "<loopback>", value)


def parts(answer, server):
    """An answer as a dictionary: status, each header, body, state of the connection."""
    if isinstance(answer, str):
        return {"connection": answer}
    found = {"status": answer.status, "version": answer.version}
    for name, value in answer.headers:
        value = "<date>" if name == "date" else "<number>" if name == "retry-after" else text(value, server)
        if name == "etag":
            value = "<etag>"
        found[f"header {name}"] = f"{found[f'header {name}']}, {value}" if f"header {name}" in found else value
    try:
        body = json.loads(answer.body)
        found["body"] = plain(body, server)
        # Placeholders are not as long as what they stand for.
        if "header content-length" in found:
            found["header content-length"] = "<number>"
    except ValueError:
        found["body"] = text(answer.body.decode("utf-8", "replace"), server)
    return found


def run(case, server):
    try:
        answers = case.send(server)
    except OSError as error:
        answers = [f"failed: {type(error).__name__}"]
    return [parts(answer, server) for answer in answers]


def differences(case, old, new):
    """Yields the differing parts of a case: a name, the old value, the new one."""
    for number in range(max(len(old), len(new))):
        a = old[number] if number < len(old) else {"answer": "none"}
        b = new[number] if number < len(new) else {"answer": "none"}
        place = f"{number + 1}: " if max(len(old), len(new)) > 1 else ""
        for part in [*a, *(part for part in b if part not in a)]:
            if a.get(part) != b.get(part):
                yield f"{place}{part}", a.get(part), b.get(part)


def wanted():
    """The wanted differences: patterns of the case and of the part, and the reason."""
    lines = (HERE / "wanted.txt").read_text().splitlines()
    rows = [[field.strip() for field in line.split("|", 2)] for line in lines if line.strip() and line[0] != "#"]
    for row in rows:
        if len(row) != 3 or not row[2]:
            sys.exit(f"wanted.txt: a line is CASE | PART | REASON: {row}")
    return rows


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    cases = [case for case in CASES if fnmatch.fnmatch(case.name, (sys.argv + ["*"])[3])]
    servers = [Server(os.path.abspath(path)) for path in sys.argv[1:3]]
    try:
        with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
            results = {}
            for case in cases:
                if not case.slow:
                    # Both servers at once, and one case after the other: a case may build on those before it.
                    results[case.name] = list(pool.map(lambda server: run(case, server), servers))
            slow = [(case, server) for case in cases if case.slow for server in servers]
            for (case, _), result in zip(slow, pool.map(lambda pair: run(*pair), slow)):
                results.setdefault(case.name, []).append(result)
    finally:
        for server in servers:
            server.stop()
    rows, used, unknown, known = wanted(), set(), 0, 0
    for case in cases:
        for part, old, new in differences(case, *results[case.name]):
            matching = [i for i, row in enumerate(rows) if matches(row, case.name, part)]
            used.update(matching)
            known, unknown = known + bool(matching), unknown + (not matching)
            if not matching:
                print(f"{case.name} | {part}\n    old: {short(old)}\n    new: {short(new)}")
    unused = [row for i, row in enumerate(rows) if i not in used] if len(cases) == len(CASES) else []
    for row in unused:
        print(f"wanted.txt: does not occur: {' | '.join(row)}")
    print(f"{len(cases)} cases: {known} wanted differences, {unknown} unknown ones, {len(unused)} wanted ones missing")
    sys.exit(1 if unknown or unused else 0)


def matches(row, case, part):
    return fnmatch.fnmatchcase(case, row[0]) and fnmatch.fnmatchcase(part.split(": ")[-1], row[1])


def short(value):
    value = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return value if len(value) <= 600 else value[:600] + " …"


if __name__ == "__main__":
    main()
