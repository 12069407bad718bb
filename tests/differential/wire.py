"""HTTP/1 as bytes on a socket: what a client library would refuse to send, or would hide."""
import socket
from typing import NamedTuple

# Longer than the server's longest timeout.
PATIENCE = 45.0
# How long to wait for another answer, or for the end, where the connection may stay open.
GRACE = 0.25


class Answer(NamedTuple):
    version: str
    status: int
    headers: list
    body: bytes


class Connection:
    def __init__(self, host, port):
        self.socket = socket.create_connection((host, port), timeout=PATIENCE)
        self.read = b""

    def send(self, data):
        """Sends the bytes; stops if the server has closed the connection."""
        try:
            self.socket.sendall(data)
        except OSError:
            pass

    def half_close(self):
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.socket.close()

    def more(self):
        """Reads more bytes; false at the end."""
        data = self.socket.recv(65536)
        self.read += data
        return bool(data)

    def until(self, mark):
        while mark not in self.read:
            if not self.more():
                raise EOFError
        found, self.read = self.read.split(mark, 1)
        return found

    def exactly(self, count):
        while len(self.read) < count:
            if not self.more():
                raise EOFError
        found, self.read = self.read[:count], self.read[count:]
        return found

    def answer(self, method="GET"):
        """The next answer. Text instead of an answer says that there is none."""
        try:
            head = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
            version, status = head[0].split(" ")[:2]
            headers = [(name.lower(), value.strip()) for name, value in (line.split(":", 1) for line in head[1:])]
            return Answer(version, int(status), headers, self.body(method, int(status), dict(headers)))
        except EOFError:
            return "closed without an answer" if not self.read else f"closed within an answer: {self.read[:80]!r}"
        except ConnectionResetError:
            return "reset"
        except TimeoutError:
            return "open, no answer"
        except ValueError:
            return f"no HTTP: {self.read[:80]!r}"

    def body(self, method, status, headers):
        if method == "HEAD" or status in (204, 304) or status < 200:
            return b""
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.until(b"\r\n"), 16):
                body += self.exactly(size)
                self.exactly(2)
            self.until(b"\r\n")
            return body
        if "content-length" in headers:
            return self.exactly(int(headers["content-length"]))
        while self.more():
            pass
        body, self.read = self.read, b""
        return body

    def state(self, patience=GRACE):
        """`open`, `closed` or `reset` after the last answer, or the bytes that came instead."""
        self.socket.settimeout(patience)
        try:
            more = self.read or self.socket.recv(200)
            return f"more bytes: {more[:80]!r}" if more else "closed"
        except TimeoutError:
            return "open"
        except OSError:
            return "reset"
