"""How long a user waits at first: from a client to its login, and from `plivo-nb demo` to the first sound.

    cd tests && python -m bench.first_use [--runs 5] [--demo-runs 3]

Login: from before ``Client()`` to the end of ``await client.login()``, against an idle lab. "cold" is a
new process that has done nothing but ``from plivo_nb import Client``; in "warm" the modules are loaded. The
greatest lag of its loop in that time is given too. First sound: from the start of the command to the first
sample that is heard of the speech which the echo robot sends back. Each run is a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path

import numpy as np

#: Milliseconds, from `Client()` to registered.
LOGIN_AIM_MS = 150.0
_LAB_LOADS_S = 1.0  # after its first robots are there, its process still loads what their calls need
_HEARD = 300  # of 32768
_TESTS = Path(__file__).parents[1]
_DEMO = "from plivo_nb.cli import main; main()"


# ---------------------------------------------------------------- login


def logins(runs: int, *, warm: bool = False) -> list[dict[str, float]]:
    """`login_ms` and `lag_ms` of each run."""
    with tempfile.TemporaryDirectory() as bytecode:
        environment = _from_bytecode(bytecode)
        command = [sys.executable, "-m", "bench.first_use", "--one-login", *(["--warm"] if warm else [])]
        shown = [
            subprocess.run(command, check=True, env=environment, cwd=_TESTS, stdout=subprocess.PIPE).stdout
            for _ in range(runs + 1)  # the first writes the bytecode
        ]
    return [json.loads(text) for text in shown[1:]]


def _from_bytecode(folder: str) -> dict[str, str]:
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


async def one_login(*, warm: bool) -> dict[str, float]:
    """Log in to a lab of its own, in this process."""
    from plivo_nb import Client, Lab

    logging.getLogger("plivo_nb").setLevel(logging.ERROR)
    async with Lab() as lab:
        status = await lab.status()
        while not status["robots"]:
            await asyncio.sleep(0.05)
            status = await lab.status()
        await asyncio.sleep(_LAB_LOADS_S)
        if warm:
            from plivo_nb.engine.engine import media_stack_loads
            from plivo_nb.plane import command_executor

            assert command_executor
            assert media_stack_loads()
        lags: list[float] = []
        watching = asyncio.create_task(_watch(lags))
        await asyncio.sleep(0.05)
        lags.clear()
        began = time.perf_counter()
        client = Client(**lab.options())
        await client.login("alice", lab.password("alice"))
        login_ms = (time.perf_counter() - began) * 1000
        lag_ms = max(lags)
        watching.cancel()
        await client.close()
    return {"login_ms": login_ms, "lag_ms": lag_ms}


async def _watch(lags: list[float]) -> None:
    """Note how late the loop is, in ms, each 2 ms."""
    while True:
        due = time.perf_counter() + 0.002
        await asyncio.sleep(0.002)
        lags.append((time.perf_counter() - due) * 1000)


# ---------------------------------------------------------------- the demo


def first_sounds_s(runs: int) -> list[float]:
    """Seconds from the start of `plivo-nb demo` to the first sound, of each run."""
    with tempfile.TemporaryDirectory() as bytecode, tempfile.TemporaryDirectory() as folder:
        environment = _from_bytecode(bytecode)
        return [first_sound_s(Path(folder, str(run)), environment) for run in range(runs + 1)][1:]


def first_sound_s(folder: Path, environment: dict[str, str] | None = None) -> float:
    """Run `plivo-nb demo` for six seconds; how long after its start the echo was first heard."""
    began = time.monotonic()
    command = [sys.executable, "-c", _DEMO, "demo", "--seconds", "6", "--out", str(folder)]
    demo = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    heard = folder / "heard.wav"
    while not heard.is_file():  # it is made when the call is answered, and is written in real time
        assert demo.poll() is None, "the demo ended before its call"
        time.sleep(0.002)
    recording_s = time.monotonic() - began
    assert demo.wait(120) == 0
    with wave.open(str(heard)) as file:
        rate, samples = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), np.int16)
    return recording_s + int(np.argmax(np.abs(samples.astype(np.int32)) > _HEARD)) / rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--demo-runs", type=int, default=3)
    parser.add_argument("--one-login", action="store_true", help="in this process, as JSON")
    parser.add_argument("--warm", action="store_true")
    options = parser.parse_args()
    if options.one_login:
        print(json.dumps(asyncio.run(one_login(warm=options.warm))))
        return
    for warm in (False, True):
        taken = logins(options.runs, warm=warm)
        login_ms, lag_ms = (sorted(run[name] for run in taken) for name in ("login_ms", "lag_ms"))
        print(
            f"Client() to registered, {'warm' if warm else 'cold'}: {_spread(login_ms, 0)} ms, aim "
            f"{LOGIN_AIM_MS:.0f}; greatest lag of the loop {_spread(lag_ms, 1)} ms"
        )
    print(f"plivo-nb demo to the first sound: {_spread(sorted(first_sounds_s(options.demo_runs)), 2)} s")


def _spread(values: list[float], digits: int) -> str:
    """The median, and the least and the greatest of sorted values."""
    median = statistics.median(values)
    return f"{median:.{digits}f} ({values[0]:.{digits}f}-{values[-1]:.{digits}f})"


if __name__ == "__main__":
    main()
