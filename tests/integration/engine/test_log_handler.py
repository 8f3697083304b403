"""In a real kernel: output of callbacks and of the log is shown below the cell that it belongs to."""

from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

RUNS = 5


class Kernel:
    """A real IPython kernel; what is printed is kept by the cell that shows it."""

    def __init__(self) -> None:
        self._manager = KernelManager(kernel_name="python3")
        self._manager.start_kernel()
        self._client = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=60)
        self.shown: dict[str, str] = {}

    def run(self, code: str) -> str:
        """Run a cell and return its id."""

        def output(message: dict[str, Any]) -> None:
            assert message["msg_type"] != "error", "\n".join(message["content"]["traceback"])
            if message["msg_type"] == "stream":
                cell = message["parent_header"]["msg_id"]
                self.shown[cell] = self.shown.get(cell, "") + message["content"]["text"]

        # Output of other cells has another parent: read the channel until this cell is idle.
        cell: str = self._client.execute(code)
        while True:
            message = self._client.get_iopub_msg(timeout=60)
            output(message)
            idle = message["msg_type"] == "status" and message["content"]["execution_state"] == "idle"
            if idle and message["parent_header"].get("msg_id") == cell:
                return cell

    def close(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel()
        self._manager.cleanup_resources()


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    running = Kernel()
    running.run(
        "import asyncio\nfrom plivo_nb.testing import FakeServer\nserver = await FakeServer().start()"
    )
    yield running
    running.run("await server.close()")
    running.close()


def test_callbacks_print_below_the_cell_that_registered_them(kernel: Kernel) -> None:
    for _ in range(RUNS):
        kernel.shown.clear()
        first = kernel.run(
            "client = server.client()\n"
            "for name in ('onLogin', 'onCallAnswered', 'onCallTerminated'):\n"
            "    client.on(name, lambda *_, name=name: print(name))\n"
        )
        kernel.run("await client.login('alice', server.password('alice'))")
        kernel.run("call = await client.call('hangs-up-after-1')")
        kernel.run("await call.ended; await client.close(); await asyncio.sleep(0.2)")
        assert kernel.shown == {first: "onLogin\nonCallAnswered\nonCallTerminated\n"}


def test_the_log_is_shown_below_the_cell_that_asked_for_it_and_below_no_other(kernel: Kernel) -> None:
    cells = "client = server.client({})\nawait client.login('alice', server.password('alice'))\n"
    kernel.run(cells.format("") + "await client.close()")
    assert kernel.shown == {}
    asked = kernel.run(cells.format("debug='DEBUG'"))
    kernel.run("call = await client.call('echo'); await call.hangup(); await client.close()")
    assert list(kernel.shown) == [asked]
    assert "INFO plivo_nb.log: onCallAnswered" in kernel.shown[asked]
    assert "DEBUG plivo_nb.call_session" in kernel.shown[asked]
