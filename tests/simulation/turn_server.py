"""A real STUN and TURN server: coturn, on addresses of this machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from waiting import wait_until


@contextlib.contextmanager
def turn_server(room: Path, hosts: Sequence[str] = ("127.0.0.1",)) -> Iterator[int]:
    """Run coturn with the account alice, alice-secret.

    Args:
        room: an empty folder for its files.
        hosts: the addresses at which it listens, all at the same port.

    Yields:
        The port.
    """
    program = shutil.which("turnserver")
    assert program, "coturn is missing: see tests/apt.txt"
    port = _free_port()
    arguments = [program, "-n", "--no-cli", "--no-tls", "--no-dtls", "--allow-loopback-peers"]
    arguments += ["--lt-cred-mech", "--user=alice:alice-secret", "--realm=test", f"--listening-port={port}"]
    arguments += [f"--listening-ip={host}" for host in hosts]
    arguments += [
        f"--relay-ip={hosts[0]}",
        "--log-file=stdout",
        f"--pidfile={room}/pid",
        f"--userdb={room}/db",
    ]
    with Path(room, "log").open("wb") as log:
        process = subprocess.Popen(arguments, stdout=log, stderr=log, start_new_session=True, cwd=room)

    def answers() -> bool:
        assert process.poll() is None, Path(room, "log").read_text(errors="replace")
        for host in hosts:
            try:
                socket.create_connection((host, port), 0.2).close()
            except OSError:
                return False
        return True

    try:
        wait_until(answers, timeout_s=30, interval_s=0.05)
        yield port
    finally:
        os.kill(process.pid, 15)
        process.wait(15)


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
