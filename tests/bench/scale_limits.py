"""What limits an analysis with many workers: the scheduler's time for a file, and the bytes of a sample.

cd tests && python -m bench.scale_limits
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pandas as pd
import psutil
from distributed import Client

import plivo_nb
from bench.dask_processes import DaskProcesses
from bench.scale import CALL_ROWS, made_samples
from plivo_nb.analysis import replay, store

_FILES, _WORKERS = 100, 2


async def scheduler_ms(folder: Path, samples: pd.DataFrame) -> float:
    """CPU milliseconds of the scheduler's process for a file: table of calls and replay of the rules.

    What it does depends on the number of files, not on their size: here each holds one call.
    """
    data = folder / "data"
    data.mkdir()
    for number in range(_FILES):
        call = samples.assign(call_uuid=pd.Categorical([f"call-{number}"] * len(samples)))
        store.save(call, data / f"part-{number:05}.parquet")
    processes = DaskProcesses(folder, _WORKERS)
    await processes.start()
    try:
        return await asyncio.to_thread(_analysed_ms, processes, data) / _FILES
    finally:
        await processes.stop()


def _analysed_ms(processes: DaskProcesses, data: Path) -> float:
    with Client(scheduler_file=str(processes.file)):
        before_s = _cpu_s(processes)
        calls = plivo_nb.read(data, engine="dask")
        assert len(calls.calls) == _FILES
        replay(calls.samples, "v2.1")
        return (_cpu_s(processes) - before_s) * 1000


def _cpu_s(processes: DaskProcesses) -> float:
    times = psutil.Process(processes.scheduler_pid).cpu_times()
    return float(times.user + times.system)


def sample_bytes(folder: Path, many: pd.DataFrame, one: pd.DataFrame) -> tuple[float, float]:
    """Bytes of a stored sample: in a file of many calls, and in a file of one."""
    sizes = []
    for name, frame in (("many", many), ("one", one)):
        path = folder / f"{name}.parquet"
        store.save(frame, path)
        sizes.append(path.stat().st_size / len(frame))
    return sizes[0], sizes[1]


def main() -> None:
    many = made_samples(0, seed=1)
    one = many[many["call_uuid"] == many["call_uuid"].iloc[0]]
    one = one.assign(call_uuid=one["call_uuid"].cat.remove_unused_categories())
    assert len(one) == CALL_ROWS
    with tempfile.TemporaryDirectory() as folder:
        in_many, in_one = sample_bytes(Path(folder), many, one)
        print(f"a sample: {in_many:.0f} bytes in a file of many calls, {in_one:.0f} in a file of one")
        ms = asyncio.run(scheduler_ms(Path(folder), one))
        print(f"a file: {ms:.1f} ms of the scheduler's core")


if __name__ == "__main__":
    main()
