"""What the server sees of a script that gets SIGTERM, and of one that forks, in an answered call."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

BEGIN = """
import asyncio, os, signal, sys, time
import plivo_nb
from plivo_nb.testing import FakeServer

async def main():
    async with plivo_nb.Lab() as lab:
        client = lab.client(sound="none", debug="OFF")
        await client.login("alice", lab.password("alice"))
        call = await client.call("echo")
"""
END = "\nasyncio.run(main())\n"


def run(body: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    script = BEGIN + textwrap.indent(textwrap.dedent(body), " " * 8) + END
    return subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script],
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy cell"])
def test_sigterm_hangs_up_and_un_registers_and_then_ends_the_process(busy: bool) -> None:
    done = run(
        f"""
        def told(number, frame):
            sent = [m.start for m in client._endpoint.trace.of(None) if m.direction == "out"]
            print(sent[-3:], round(time.monotonic() - at, 1), flush=True)
            os._exit(7)
        await client.close()
        signal.signal(signal.SIGTERM, told)   # the user's own, from before the client
        client = lab.client(sound="none", debug="OFF")
        await client.login("alice", lab.password("alice"))
        call = await client.call("echo")
        import threading
        at = time.monotonic()
        threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
        if {busy}:
            time.sleep(20)
        await asyncio.sleep(20)
        """
    )
    assert done.returncode == 7, done.stderr
    sent, soon = done.stdout.strip().rsplit(" ", 1)
    assert "'BYE'" in sent
    assert "'REGISTER'" in sent
    assert float(soon) < 4.0  # a second after the signal on a quiet machine


def test_sigterm_without_a_handler_of_the_users_ends_the_process_by_the_signal() -> None:
    done = run(
        """
        asyncio.get_running_loop().call_later(0.2, os.kill, os.getpid(), signal.SIGTERM)
        await asyncio.sleep(20)
        """
    )
    assert done.returncode == -15, done.stderr


def test_a_fork_touches_nothing_of_the_parents() -> None:
    done = run(
        """
        before = len(client.sip_trace)
        child = os.fork()
        if child == 0:
            try:
                client.hangup()
                client.call("busy")
                asyncio.ensure_future(client.logout())
            except Exception:
                pass
            sys.exit(3)     # atexit and finalizers run
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        async def received():
            return (await call.stats())["inbound-rtp"]["packetsReceived"]
        first = await received()
        await asyncio.sleep(1.0)
        print(await received() - first > 25, call.phase, client.is_logged_in, len(client.sip_trace) - before)
        await lab.network.set(loss=0.01)
        print(lab.running)
        await client.close()
        """
    )
    assert done.stdout.splitlines() == ["True answered True 0", "True"], (done.stdout, done.stderr)


def test_a_client_in_a_forked_child_says_whose_it_is() -> None:
    done = run(
        """
        read, write = os.pipe()
        if os.fork() == 0:
            try:
                client._engine.post(lambda **values: None)
            except plivo_nb.PlivoError as error:
                os.write(write, str(error).encode())
            os._exit(0)
        print((await asyncio.to_thread(os.read, read, 200)).decode())
        await client.close()
        """
    )
    assert "process that was forked" in done.stdout, done.stderr
