"""How long an import takes, `plivo-nb demo` to its first sound, and what the widgets cost a kernel."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from queue import Empty
from typing import Any

from bench.peers import environment
from bench.widgets_lag import CALL, END, SETUP, run, started_kernel

IMPORTS = {"ours": "from plivo_nb import Client", "aiortc": "import aiortc", "pjsua2": "import pjsua2"}
#: The demo as the command runs it, with a second sink beside its recording.
DEMO = """
import sys
import numpy as np
from plivo_nb.call import Call
from plivo_nb.cli import main

record = Call.record

def heard(frame, rate):
    if np.abs(frame.astype(int)).max() > 300:
        print("first sound", file=sys.stderr, flush=True)

def recording(self, *arguments, **options):
    self.add_sink(heard)
    return record(self, *arguments, **options)

Call.record = recording
sys.argv = ["plivo-nb", "demo", "--seconds", "6", "--out", sys.argv[1]]
main()
"""
DEMO_S = 120.0  # it is killed after so long
MEASURE = """
async def measured(seconds):
    began, cpu = time.monotonic(), time.process_time()
    lags = await ticker(seconds)
    return [lags[2], (time.process_time() - cpu) / (time.monotonic() - began)]
"""
WIDGETS = """
phone, dashboard = plivo_nb.Phone(client), plivo_nb.Dashboard(client)
display(phone, dashboard)
dashboard._panels._on_message(None, {"type": "shown", "page": "bench", "have": {}}, [])
await asyncio.sleep(5)  # the drawing process starts
before = dashboard.picture
"""


def import_s(column: str, python: str) -> float:
    """Seconds of the import in a new process, without the interpreter's own start."""
    code = f"import time; t = time.perf_counter(); {IMPORTS[column]}; print(time.perf_counter() - t)"
    environment.result([python, "-c", code])  # files are in the cache
    return float(environment.result([python, "-c", code]))


def widgets(seconds: float) -> dict[str, float]:
    """What phone and dashboard add to a call in a real kernel: kB/s, CPU in %, and the loop's lag."""
    manager, client = started_kernel()
    size = 0
    counting = threading.Event()

    def count() -> None:
        nonlocal size
        while not counting.is_set():
            try:
                message = client.get_iopub_msg(timeout=0.2)
            except Empty:
                continue
            size += len(json.dumps(message["content"], default=str))
            size += sum(memoryview(part).nbytes for part in message["buffers"])

    try:
        run(client, SETUP + CALL + MEASURE)
        alone = run(client, f"found = await measured({seconds})", "found")
        run(client, WIDGETS)
        message = client.execute(f"found = await measured({seconds})", user_expressions={"value": "found"})
        thread = threading.Thread(target=count)
        began = time.monotonic()
        thread.start()
        reply: dict[str, Any] = {"parent_header": {}}
        while reply["parent_header"].get("msg_id") != message:
            reply = client.get_shell_msg(timeout=seconds + 60)
        took = time.monotonic() - began
        counting.set()
        thread.join()
        lag, cpu = json.loads(reply["content"]["user_expressions"]["value"]["data"]["text/plain"])
        run(client, END)
    finally:
        counting.set()
        client.stop_channels()
        manager.shutdown_kernel()
    return {"bytes": size / took / 1000, "cpu": 100 * (cpu - alone[1]), "lag": lag}


def demo_s() -> float:
    """Seconds from the start of the command to the first sound that its call receives."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-c", DEMO, folder],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        assert process.stderr is not None
        hanging = threading.Timer(DEMO_S, os.killpg, (process.pid, signal.SIGKILL))
        hanging.daemon = True
        hanging.start()
        with process.stderr:
            lines = []
            for line in process.stderr:
                lines.append(line)
                if "first sound" in line:
                    took = time.monotonic() - began
                    os.killpg(process.pid, signal.SIGINT)
                    break
            else:
                hanging.cancel()
                silent = RuntimeError(f"the demo was silent: {''.join(lines[-1:])}")
                silent.add_note("".join(lines[-20:]))
                raise silent
            process.stderr.read()
        process.wait(20)
        hanging.cancel()
        return took
