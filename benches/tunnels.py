#!/usr/bin/env python3
"""Opens many idle plain tunnels through a server, and prints the memory that they take.

    python3 benches/tunnels.py BINARY [NUMBER]

The server and this script need two open files for each tunnel (`ulimit -n`).
"""

import base64
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BINARY = os.path.abspath(sys.argv[1])
NUMBER = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000

CONFIG = """
[server]
listen = "127.0.0.1:0"
max_connections = {connections}
[proxy]
listen = "127.0.0.1:{port}"
idle_timeout = "1h"
allow_private = ["127.0.0.0/8"]
[limits]
proxied_per_key = {number}
secrets_burst = {number}
secrets_per_second_in_all = {number}
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def resident(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


def host(ready):
    """Accepts connections in a process of its own, and keeps them."""
    listener = socket.create_server(("127.0.0.2", 0), backlog=4096)
    os.write(ready, str(listener.getsockname()[1]).encode())
    os.close(ready)
    kept = []
    while True:
        kept.append(listener.accept()[0])


def main():
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        host(write)
    os.close(write)
    target = f"127.0.0.2:{os.read(read, 16).decode()}"
    with tempfile.TemporaryDirectory() as folder:
        run = lambda *command: subprocess.run([BINARY, *command], cwd=folder, check=True, capture_output=True)
        run("init")
        port = free_port()
        # One address has a quarter of the connections.
        text = CONFIG.format(connections=4 * NUMBER + 64, port=port, number=NUMBER + 64)
        master = '[vault]\npath = "strongroom.db"\nmaster_key = { file = "strongroom.key" }\n'
        Path(folder, "strongroom.toml").write_text(master + text)
        create = run("key", "create", "--user", "u", "--permission", "PROXY_INTEGRATIONS", "--unmatched", "tunnel", "--json")
        key = json.loads(create.stdout)["api_key"]
        log = open(Path(folder, "log"), "wb")
        server = subprocess.Popen([BINARY, "serve"], cwd=folder, stderr=log)
        try:
            measure(server.pid, port, target, key)
        finally:
            server.terminate()
            server.wait()
            os.kill(child, 9)


def measure(pid, port, target, key):
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    time.sleep(1)
    before = resident(pid)
    basic = base64.b64encode(f":{key}".encode()).decode()
    request = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Basic {basic}\r\n\r\n".encode()
    tunnels, began = [], time.time()
    for _ in range(NUMBER):
        tunnel = socket.create_connection(("127.0.0.1", port))
        tunnel.sendall(request)
        answer = tunnel.recv(4096)
        assert answer.startswith(b"HTTP/1.1 200"), answer
        tunnels.append(tunnel)
    opened = time.time() - began
    time.sleep(2)
    idle, cpu = resident(pid), sum(os_times(pid))
    time.sleep(10)
    used = sum(os_times(pid)) - cpu
    for tunnel in tunnels:
        tunnel.sendall(b"x" * 1000)
    time.sleep(2)
    print(
        f"{NUMBER} tunnels, opened in {opened:.1f} s: {before:.1f} MB before, {idle:.1f} MB idle, "
        f"{(idle - before) * 1024 / NUMBER:.1f} KB each, {resident(pid):.1f} MB after 1,000 bytes each; "
        f"{used * 10:.2f} % of a core while idle"
    )


def os_times(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    ticks = os.sysconf("SC_CLK_TCK")
    return [int(fields[11]) / ticks, int(fields[12]) / ticks]


main()
