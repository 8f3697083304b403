"""Kamailio for the tests: started in the foreground on free ports of 127.0.0.1, stopped by its pid.

`kamailio.cfg` beside this file says what each name and number does. The server has three flavours of
listener, `Kamailio.plain`, `.bare` and `.strict` (WebSocket URLs), and its JSON-RPC answers over HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

CONFIGURATION = Path(__file__).with_name("kamailio.cfg")
DOMAIN = "phone.plivo.com"
FLAVOURS = ("plain", "bare", "strict")


class KamailioMissing(AssertionError):
    """Kamailio, or a part of it, is not installed: the tests fail, they are never skipped."""


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 on which nobody listens now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def password(user: str) -> str:
    """The password that the server accepts for `user`."""
    return f"{user}-secret"


def expected_uuid(call_id: str) -> str:
    """The X-CallUUID that the server gives to the call with this Call-ID."""
    digits = hashlib.md5(call_id.encode(), usedforsecurity=False).hexdigest()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _binary() -> str | None:
    return shutil.which("kamailio") or shutil.which("kamailio", path="/usr/sbin:/usr/local/sbin")


class Kamailio:
    """One Kamailio process.

    Args:
        directory: where its runtime files and its log go.
        sha256: ask for SHA-256 instead of MD5.
        max_expires_s: the longest registration that is given, whatever is asked for.
    """

    def __init__(self, directory: Path, *, sha256: bool = False, max_expires_s: int = 3600) -> None:
        self._directory = directory
        self._sha256 = sha256
        self._max_expires_s = max_expires_s
        self._process: subprocess.Popen[bytes] | None = None
        self.ports: dict[str, int] = {}

    plain = property(lambda self: self.url("plain"))
    bare = property(lambda self: self.url("bare"))
    strict = property(lambda self: self.url("strict"))

    def url(self, flavour: str) -> str:
        """The WebSocket URL of one of `FLAVOURS`."""
        return f"ws://127.0.0.1:{self.ports[flavour]}"

    def start(self) -> None:
        """Start the process and wait until it answers."""
        if _binary() is None:
            raise KamailioMissing(
                "Kamailio is not installed, so nothing proves the SIP core against a real server here. "
                "Install the Debian packages named in tests/apt.txt."
            )
        for attempt in range(3):  # a free port may be taken by another before Kamailio binds it
            self.ports = dict(zip(FLAVOURS, free_ports(len(FLAVOURS)), strict=True))
            self._launch()
            if self._wait_until_up():
                return
            self.stop()
            if "Address already in use" not in self.log or attempt == 2:
                raise KamailioMissing(f"Kamailio did not start: {self.log[-3000:]}")

    def stop(self) -> None:
        """Stop the process (SIGTERM, then SIGKILL after 5 s)."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            self._kill(process)

    def restart(self) -> None:
        """Kill the process and start it again on the same ports, with nothing in its memory."""
        assert self._process is not None
        self._kill(self._process)
        self._launch()
        if not self._wait_until_up():
            raise AssertionError(f"Kamailio did not start again: {self.log[-3000:]}")

    @property
    def log(self) -> str:
        """What the process has written so far."""
        path = self._directory / "kamailio.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def complaints(self) -> list[str]:
        """Lines of the log that say that something is wrong with the configuration.

        Not among them: pings to connections that are being closed, worker pipes at the end, and a double free
        that Kamailio 5.6 finds and ignores after `lookup` in a failure route.
        """
        harmless = (
            "websocket [ws_frame.c",
            "receive_fd(): EOF",
            "qm_free(): BUG: freeing already freed pointer",
        )
        wrong = [line for line in self.log.splitlines() if "ERROR" in line or "CRITICAL" in line]
        return [line for line in wrong if not any(words in line for words in harmless)]

    def rpc_now(self, method: str, *params: Any) -> Any:
        """Call a JSON-RPC method of the server; blocks."""
        body = json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ports['plain']}/rpc", body, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return json.load(answer)["result"]
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            raise RuntimeError(f"Kamailio refused {method}{params}: {error.code} {text}") from None

    async def rpc(self, method: str, *params: Any) -> Any:
        """Call a JSON-RPC method of the server, off the loop."""
        return await asyncio.to_thread(self.rpc_now, method, *params)

    async def contacts(self, user: str) -> list[dict[str, Any]]:
        """The contacts registered for `user`; [] if there are none."""
        try:
            found = await self.rpc("ul.lookup", "location", user)
        except RuntimeError as error:
            if "AOR not found" in str(error) or "AOR has no contacts" in str(error):
                return []
            raise
        return [entry["Contact"] for entry in found["Contacts"]]

    async def close_socket(self, user: str) -> int:
        """Close the WebSockets of all contacts of `user`; gives how many were closed."""
        sources = {
            entry["Received"].removeprefix("sip:").partition(";")[0] for entry in await self.contacts(user)
        }
        closed = 0
        for line in (await self.rpc("ws.dump"))["connections"]:
            number, source = line.split()[:2]  # "2: ws:127.0.0.1:41976 -> ws:127.0.0.1:50479 (state: ...)"
            if source.removeprefix("ws:") in sources:
                await self.rpc("ws.close", int(number.rstrip(":")))
                closed += 1
        return closed

    @staticmethod
    def _kill(process: subprocess.Popen[bytes]) -> None:
        os.killpg(process.pid, signal.SIGKILL)  # the workers too: they hold the sockets
        process.wait()

    def _launch(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        guard = shutil.which("setpriv")  # of util-linux: ends it with us, should we be killed
        arguments = [guard, "--pdeathsig", "TERM"] if guard else []
        arguments += [str(_binary()), "-DD", "-E", "-m", "64", "-M", "4", "-f", str(CONFIGURATION)]
        arguments += ["-Y", str(self._directory), "-P", str(self._directory / "kamailio.pid")]
        for flavour, port in self.ports.items():
            arguments += ["-l", f"tcp:127.0.0.1:{port}", "-A", f"{flavour.upper()}_PORT={port}"]
        arguments += ["-A", f"MAX_EXPIRES={self._max_expires_s}"]
        if self._sha256:
            arguments += ["-A", "WITH_SHA256"]
        with (self._directory / "kamailio.log").open("wb") as log:
            self._process = subprocess.Popen(
                arguments,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def _wait_until_up(self, timeout_s: float = 20.0) -> bool:
        assert self._process is not None
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                self.rpc_now("core.version")
            except (OSError, ValueError, RuntimeError):
                time.sleep(0.05)
            else:
                return True
        return False
