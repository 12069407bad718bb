"""Servers as child processes: started on a free port, looked at through /proc, ended whatever happens."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A process and whatever it starts, in a group of its own."""

    def __init__(
        self,
        command: list[str],
        log: Path,
        folder: Path,
        env: dict[str, str] | None = None,
        stop: signal.Signals = signal.SIGTERM,
    ):
        self.log, self.stop = log, stop
        with log.open("wb") as out:
            self.child = subprocess.Popen(
                command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._signal(self.stop)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.child.wait(10)
        self._signal(signal.SIGKILL)
        self.child.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self.child.poll() is None and number == self.stop:
                os.kill(self.child.pid, number)
            elif number != self.stop:
                os.killpg(self.child.pid, number)

    def wait_until(self, ready, seconds: float = 30) -> None:
        """Until `ready()` gives true; a refused connection is a no."""
        until = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError):
                if ready():
                    return
            if self.child.poll() is not None or time.monotonic() > until:
                tail = self.log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self.child.args[0]} is not ready; its log ends:\n{tail}")
            time.sleep(0.05)

    def pids(self) -> list[int]:
        """It and all that descend from it."""
        parents = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, IndexError):
                parents[int(entry.name)] = int(_stat(int(entry.name))[1])
        found = [self.child.pid]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def cpu(servers: list[Server]) -> float:
    """Seconds of CPU time that they have taken so far (ticks of 10 ms)."""
    ticks = 0
    for server in servers:
        for pid in server.pids():
            with contextlib.suppress(OSError):
                ticks += sum(int(field) for field in _stat(pid)[11:13])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory(servers: list[Server], anonymous: bool = False) -> float:
    """Megabytes (2^20) in memory: resident of a single process; of several the proportional share, so that what they
    have in common counts once. `anonymous` leaves out what is a copy of a file, the program itself above all."""
    pids = [pid for server in servers for pid in server.pids()]
    if len(pids) == 1:
        file, name = "status", "RssAnon" if anonymous else "VmRSS"
    else:
        file, name = "smaps_rollup", "Pss_Anon" if anonymous else "Pss"
    kib = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/{file}").read_text(), re.MULTILINE)
            kib += int(found[1]) if found else 0
    return kib / 1024


class Watch:
    """The memory at its most while something goes on."""

    def __init__(self, servers: list[Server]):
        self.servers, self.most, self.ended = servers, 0.0, threading.Event()
        self.thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self.ended.wait(0.2):
            self.most = max(self.most, memory(self.servers))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


def syncs(servers: list[Server], count: int, write) -> float | None:
    """How many times a write has the disk sync (fsync, fdatasync, msync), by strace, over `count` writes one after the
    other; nothing where strace may not look."""
    pids = [pid for server in servers for pid in server.pids()]
    command = ["strace", "-f", "-e", "trace=fsync,fdatasync,msync,sync_file_range", "-e", "signal=none"]
    with subprocess.Popen(
        command + [part for pid in pids for part in ("-p", str(pid))],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as strace:
        try:
            if " attached" not in strace.stderr.readline():
                return None
            time.sleep(0.5)
            for _ in range(count):
                write()
            time.sleep(0.5)
        finally:
            # Also when we are interrupted: it would go on for as long as the servers do.
            strace.send_signal(signal.SIGINT)
        # A call during which another thread said something is there twice: "<unfinished ...>" and then "resumed".
        found = [line for line in strace.stderr if re.search(r"(sync|sync_file_range)\(", line)]
    return len(found) / count
