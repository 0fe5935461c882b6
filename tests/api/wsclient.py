"""A WebSocket client to the byte (RFC 6455), for what no library would send."""
import base64
import hashlib
import os
import socket
import struct

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Client:
    def __init__(self, sock, path, headers=None, early=b""):
        self.sock, self.rest = sock, b""
        key = base64.b64encode(os.urandom(16))
        fields = {"Host": "d", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
                  "Sec-WebSocket-Key": key.decode(), **(headers or {})}
        sock.sendall(f"GET {path} HTTP/1.1\r\n".encode() + b"".join(f"{k}: {v}\r\n".encode() for k, v in fields.items() if v is not None)
                     + b"\r\n" + early)
        while b"\r\n\r\n" not in self.rest:
            data = sock.recv(65536)
            if not data:
                break
            self.rest += data
        self.head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        self.status = int(self.head.split()[1]) if self.head else None
        self.headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in self.head.decode().split("\r\n")[1:])}
        if self.status == 101:
            assert self.headers["sec-websocket-accept"] == base64.b64encode(hashlib.sha1(key + GUID).digest()).decode(), self.head

    def send(self, data, opcode=BINARY, fin=True, mask=True, length=None, reserved=0):
        n = len(data) if length is None else length
        head = bytes([fin << 7 | reserved << 4 | opcode])
        flag = 0x80 if mask else 0
        if n < 126:
            head += bytes([flag | n])
        elif n < 65536:
            head += bytes([flag | 126]) + struct.pack(">H", n)
        else:
            head += bytes([flag | 127]) + struct.pack(">Q", n)
        key = os.urandom(4) if mask else b""
        if mask:
            pad = key * (len(data) // 4 + 1)
            data = (int.from_bytes(data, "big") ^ int.from_bytes(pad[:len(data)], "big")).to_bytes(len(data), "big")
        self.sock.sendall(head + key + data)

    def take(self, n):
        while len(self.rest) < n:
            data = self.sock.recv(1 << 18)
            if not data:
                return None
            self.rest += data
        out, self.rest = self.rest[:n], self.rest[n:]
        return out

    def frame(self):
        """(opcode, payload) of the next frame, None at the end."""
        head = self.take(2)
        if head is None:
            return None
        assert not head[1] & 0x80, "a server does not mask"
        n = head[1]
        if n == 126:
            n = struct.unpack(">H", self.take(2))[0]
        elif n == 127:
            n = struct.unpack(">Q", self.take(8))[0]
        return head[0] & 15, self.take(n) if n else b""

    def read(self, until=None):
        """(payloads so far, status of the close or None)."""
        out = []
        size = 0
        while until is None or until not in b"".join(out[-2:]):
            f = self.frame()
            if f is None:
                return b"".join(out), None
            if f[0] == CLOSE:
                return b"".join(out), struct.unpack(">H", f[1][:2])[0] if f[1] else 1005
            if f[0] in (TEXT, BINARY, CONTINUATION):
                out.append(f[1])
                size += len(f[1])
        return b"".join(out), None

    def close(self):
        self.sock.close()

    def reset(self):
        """Gone without a word."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
