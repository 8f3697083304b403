"""Analysis of many calls: time and memory of figures and replays over up to 50 million samples.

    cd tests && python -m bench.scale               # 0.5, 2, 10, 50 million rows; 1 and 2 workers
    cd tests && python -m bench.scale --million 0.5 2 --workers 2 --out scale.png

Writes synthetic samples (seeded: calls of ten minutes, a fifth of them on a bad network) to a temporary
folder, file by file, reads them with `plivo_nb.read(folder, engine="dask")`, and works out the table of calls
and the events of the documented rules. Prints a row a run, with the greatest resident memory of all processes
together (this one, the scheduler, the workers), and draws how time and memory grow.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
from distributed import Client, LocalCluster

import plivo_nb
from plivo_nb.analysis import replay, store
from plivo_nb.analysis.call_frames import conformed
from plivo_nb.quality import mos as mos_of

CALL_ROWS = 600
CALLS_A_FILE = 400
BAD_SHARE = 0.2
MONTH_S = 30 * 86_400
LIMIT_BYTES, LIMIT_S = 3e9, 900.0


@dataclass(frozen=True)
class Run:
    """What was measured of one number of rows and workers."""

    rows: int
    workers: int
    read_s: float
    figures_s: float
    replay_s: float
    cpu_s: float
    peak_bytes: int
    calls: int
    events: int
    bytes_stored: int

    @property
    def total_s(self) -> float:
        return self.read_s + self.figures_s + self.replay_s


def write_dataset(folder: Path, rows: int, seed: int = 1) -> int:
    """Write samples, and return how many bytes they take."""
    files = max(1, round(rows / (CALL_ROWS * CALLS_A_FILE)))
    size = 0
    for number in range(files):
        path = folder / f"part-{number:05}.parquet"
        if not path.exists():
            store.save(made_samples(number, seed), path)
        size += path.stat().st_size
    return size


def made_samples(number: int, seed: int) -> pd.DataFrame:
    """The samples of one file: calls that begin at any time of the month."""
    random = np.random.default_rng([seed, number])
    calls, rows = CALLS_A_FILE, CALLS_A_FILE * CALL_ROWS
    ids = [f"{number:05}-{call:04}" for call in range(calls)]
    began_us = (random.random(calls) * MONTH_S * 1e6).astype(np.int64)[:, None]
    times_us = began_us + (np.arange(1, CALL_ROWS + 1) * 1_000_000)[None, :]
    bad = random.random(calls) < BAD_SHARE
    # Trouble comes and goes: a walk that is above 0 for a fifth of a bad call, and never in a good one.
    trouble = np.clip(np.cumsum(random.normal(0.0, 0.2, (calls, CALL_ROWS)), axis=1), -3.0, 3.0)
    trouble = np.where(bad[:, None], np.clip(trouble, 0.0, None), 0.0)

    def around(mean: float, spread: float, of_trouble: float) -> Any:
        noise = random.normal(mean, spread, (calls, CALL_ROWS))
        return np.round(np.clip(noise + of_trouble * trouble, 0.0, None), 2).ravel()

    loss_in = np.round(random.binomial(50, np.clip(0.002 + 0.06 * trouble, 0.0, 1.0)) / 50, 3).ravel()
    rtt, jitter = around(60.0, 5.0, 120.0), around(4.0, 1.0, 15.0)
    codec = np.repeat(np.where(random.random(calls) < 0.5, "OPUS", "PCMU"), CALL_ROWS)
    mos = np.round(np.asarray(mos_of.sdk(rtt, jitter, loss_in, codec), dtype=np.float64), 3)
    report = np.tile(np.arange(CALL_ROWS) % 5, calls) + 0.5
    times = (pd.Timestamp("2026-11-01").value // 1000 + times_us.ravel()).view("M8[us]")
    frame = pd.DataFrame(
        {
            "call_uuid": pd.Categorical.from_codes(np.repeat(np.arange(calls), CALL_ROWS), ids),
            "codec": pd.Categorical(codec), "direction": pd.Categorical(["sendrecv"] * rows),
            "interval_s": 1.0, "rtt_ms": rtt, "rtt_age_s": report, "report_age_s": report,
            "jitter_in_ms": jitter, "jitter_out_ms": around(4.0, 1.0, 15.0), "loss_in": loss_in,
            "loss_out": np.round(0.1 * loss_in, 3), "mos": mos, "mos_g107": mos,
            "level_in_dbfs": around(30.0, 8.0, 0.0) * -1.0, "level_out_dbfs": around(30.0, 8.0, 0.0) * -1.0,
            "packets_in": 50.0, "packets_out": 50.0, "packets_expected_in": 50.0,
            "packets_expected_out": 50.0, "source_bytes": 4000.0, "concealed_ms": 0.0, "loop_lag_ms": 1.5,
        },
        index=pd.DatetimeIndex(times, tz="UTC"),
    )  # fmt: skip
    return conformed("samples", frame)


class _Use:
    """What this process and its children take: greatest resident memory, and CPU time of each."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._cpu_s: dict[int, float] = {}
        self._began_s = 0.0

    def look(self, processes: list[psutil.Process]) -> None:
        total = 0
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
                times = process.cpu_times()
                self._cpu_s[process.pid] = times.user + times.system
        self.peak_bytes = max(self.peak_bytes, total)

    def begin(self) -> None:
        """Count CPU time from here on: what it took to start the processes is left out."""
        self._began_s = sum(self._cpu_s.values())

    @property
    def cpu_s(self) -> float:
        return sum(self._cpu_s.values()) - self._began_s


@contextlib.contextmanager
def watched() -> Iterator[_Use]:
    """Look at the processes each 0.1 s."""
    use, over = _Use(), threading.Event()
    me = psutil.Process(os.getpid())

    def look() -> None:
        while not over.wait(0.1):
            use.look([me, *me.children(recursive=True)])

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield use
    finally:
        over.set()
        thread.join()


def measure(folder: Path, workers: int, size: int) -> Run:
    """Figures and replay over the samples in a folder."""
    with (
        watched() as use,
        LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=":0", memory_limit=0
        ) as cluster,
        Client(cluster),
    ):
        time.sleep(0.5)  # until the workers have been looked at
        use.begin()
        begun = time.perf_counter()
        calls = plivo_nb.read(folder, engine="dask")
        read = time.perf_counter()
        table = calls.calls
        figures = time.perf_counter()
        events = replay(calls.samples, "v2.1")
        end = time.perf_counter()
        rows = int(table["samples"].sum())
    return Run(
        rows,
        workers,
        read - begun,
        figures - read,
        end - figures,
        use.cpu_s,
        use.peak_bytes,
        len(table),
        len(events),
        size,
    )


def show(run: Run) -> None:
    print(
        f"{run.rows / 1e6:8.2f} M rows  {run.calls:7,} calls  {run.events:9,} events  "
        f"{run.workers} workers  read {run.read_s:6.1f} s  figures {run.figures_s:6.1f} s  "
        f"replay {run.replay_s:6.1f} s  in all {run.total_s:6.1f} s  CPU {run.cpu_s:6.1f} s  "
        f"{run.rows / run.total_s / 1e3:6.0f} k rows/s  {run.peak_bytes / 1e9:5.2f} GB  "
        f"{run.bytes_stored / 1e6:7.0f} MB stored",
        flush=True,
    )


def draw(runs: list[Run], path: Path) -> None:
    """Time and memory over rows, a line for each number of workers."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for workers in sorted({run.workers for run in runs}):
        mine = sorted((run for run in runs if run.workers == workers), key=lambda run: run.rows)
        million = [run.rows / 1e6 for run in mine]
        words = "1 worker" if workers == 1 else f"{workers} workers"
        [line] = left.plot(million, [run.total_s for run in mine], "o-", label=words)
        cpu_s = [run.cpu_s for run in mine]
        left.plot(million, cpu_s, "x:", color=line.get_color(), label=f"{words}, CPU of all processes")
        right.plot(million, [run.peak_bytes / 1e9 for run in mine], "o-", label=words)
    left.axhline(LIMIT_S, color="grey", linestyle="--")
    right.axhline(LIMIT_BYTES / 1e9, color="grey", linestyle="--")
    for axes, label in ((left, "seconds: read, figures, replay"), (right, "GB resident, all processes")):
        axes.set(xscale="log", xlabel="million samples", ylabel=label)
        axes.grid(alpha=0.3)
        axes.legend()
    left.set_yscale("log")
    right.set_ylim(bottom=0)
    figure.savefig(path, dpi=120)
    print(f"drawn: {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--million", type=float, nargs="+", default=[0.5, 2.0, 10.0, 50.0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", type=Path, default=Path("scale.png"), help="the picture")
    options = parser.parse_args()
    runs = []
    with tempfile.TemporaryDirectory(prefix="plivo-nb-scale-") as folder:
        for million in sorted(options.million):
            begun = time.perf_counter()
            size = write_dataset(Path(folder), round(million * 1e6))  # what is there already stays
            print(f"{million:g} M rows written in {time.perf_counter() - begun:.0f} s", flush=True)
            for workers in options.workers:
                runs.append(measure(Path(folder), workers, size))
                show(runs[-1])
    draw(runs, options.out)
    largest = [run for run in runs if run.rows == max(run.rows for run in runs)]
    held = all(run.peak_bytes <= LIMIT_BYTES and run.total_s <= LIMIT_S for run in largest)
    print(f"within 3 GB and 15 minutes: {'yes' if held else 'NO'}")
    raise SystemExit(not held)


if __name__ == "__main__":
    main()
