"""The folder of a run: the plan, what was attempted, and a file for each call that has a result.

    calls/part=000/000017.parquet    call 17, as `Client.record_to` writes calls; .opus is its sound
    .campaign/run.json               which campaign this is
    .campaign/plan.parquet           its plan
    .campaign/attempts/000017-1.json written before call 17 was dialled for the first time
    .campaign/problems/0001.json     what happened to workers and files, a sentence each

`plivo_nb.read` reads the calls; what is below ``.campaign`` is for resuming. The name of a call's file is its
place in the plan, so that no call can have two results.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from plivo_nb._version import __version__
from plivo_nb.atomic_file import replaced
from plivo_nb.errors import PlivoError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plivo_nb.fleet.plan import Plan

_ABOUT = ".campaign"
_ATTEMPT = re.compile(r"(\d+)-(\d+)\.json")
_CALL = re.compile(r"(\d+)\.parquet")
_PER_PART = 1000


class RunError(PlivoError):
    """A campaign cannot be run, or stopped before its end; the message says what to do."""


class RunFolder:
    """A run's folder on this machine, or at a URL that fsspec knows, such as ``memory://x`` or ``s3://b/x``.

    Every method blocks.

    Args:
        out: the path or URL; the folder is created with the first file.

    Raises:
        RunError: there is no file system for such a URL.
    """

    def __init__(self, out: str | os.PathLike[str]) -> None:
        self.url = os.fspath(out)
        self._local: Path | None = None
        self._fs: Any = None
        if "://" in self.url and not self.url.startswith("file://"):
            try:
                import fsspec

                self._fs, self._root = fsspec.core.url_to_fs(self.url)
            except (ImportError, ValueError) as error:
                raise RunError(f"{self.url} cannot be used: {error}") from None
        else:
            self._local = Path(self.url.removeprefix("file://")).absolute()
            self._root = str(self._local)

    @property
    def local(self) -> Path | None:
        """The path on this machine; None: it is elsewhere."""
        return self._local

    # ------------------------------------------------------------ files

    def _write(self, name: str, data: bytes) -> None:
        """Write a file as a whole.

        Raises:
            OSError: it cannot be written.
        """
        if self._local is not None:
            path = self._local / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with replaced(path) as new:
                new.write_bytes(data)
        else:
            path_there = f"{self._root}/{name}"
            self._fs.makedirs(path_there.rpartition("/")[0], exist_ok=True)
            self._fs.pipe_file(path_there, data)

    def _read(self, name: str) -> bytes | None:
        if self._local is not None:
            with contextlib.suppress(FileNotFoundError):
                return (self._local / name).read_bytes()
            return None
        with contextlib.suppress(FileNotFoundError):
            return bytes(self._fs.cat_file(f"{self._root}/{name}"))
        return None

    def _names(self, folder: str) -> list[str]:
        """The paths of the files in a folder and those below it."""
        if self._local is not None:
            return [str(path) for path in (self._local / folder).rglob("*") if path.is_file()]
        with contextlib.suppress(FileNotFoundError):
            return [str(path) for path in self._fs.find(f"{self._root}/{folder}")]
        return []

    # ------------------------------------------------------------ the run

    def open(self, plan: Plan, server: str) -> bool:
        """Begin a run here, or find the one that is here.

        Args:
            plan: its plan.
            server: ``lab``, or the URL of the server.

        Returns:
            Whether there is a run, which goes on.

        Raises:
            RunError: the run that is here has another plan or server, or goes on in another process.
            OSError: the folder cannot be used.
        """
        stored = self._read(f"{_ABOUT}/run.json")
        if stored is None:
            about = {"version": __version__, "plan": plan.fingerprint, "rows": len(plan), "server": server}
            self._write(f"{_ABOUT}/plan.parquet", _parquet(plan.frame()))
            self._write(f"{_ABOUT}/run.json", json.dumps(about).encode())
        else:
            about = json.loads(stored)
            if about["plan"] != plan.fingerprint:
                raise RunError(
                    f"{self.url} has a run of another plan ({about['rows']} rows): give the same plan to go "
                    "on with it, or another folder."
                )
            if about["server"] != server:
                raise RunError(f"{self.url} has a run against {about['server']}, not {server}.")
        self._lock()
        return stored is not None

    def _lock(self) -> None:
        """Say that this process runs it.

        Raises:
            RunError: another process of this machine does.
        """
        name, own = f"{_ABOUT}/running.json", {"host": socket.gethostname(), "pid": os.getpid()}
        stored = self._read(name)
        if stored is not None:
            other = json.loads(stored)
            import psutil  # distributed needs it

            here = other["host"] == own["host"] and other["pid"] != own["pid"]
            if here and psutil.pid_exists(other["pid"]):
                raise RunError(
                    f"{self.url} is being run by the process {other['pid']}; wait for its end, or end it."
                )
        self._write(name, json.dumps(own).encode())

    def unlock(self) -> None:
        """Say that nobody runs it any more."""
        with contextlib.suppress(OSError):
            if self._local is not None:
                (self._local / _ABOUT / "running.json").unlink()
            else:
                self._fs.rm_file(f"{self._root}/{_ABOUT}/running.json")

    def plan(self) -> pd.DataFrame:
        """The plan of the run that is here.

        Raises:
            RunError: there is no run.
        """
        stored = self._read(f"{_ABOUT}/plan.parquet")
        if stored is None:
            raise RunError(f"{self.url} has no run of a campaign.")
        frame: pd.DataFrame = pq.read_table(pa.BufferReader(stored)).to_pandas()
        return frame

    # ------------------------------------------------------------ calls

    def write_attempt(self, number: int, attempt: int, worker: str) -> None:
        """Write down that a call is going to be dialled.

        Raises:
            OSError: it cannot be written.
        """
        entry = {"worker": worker, "at": pd.Timestamp.now("UTC").isoformat()}
        self._write(f"{_ABOUT}/attempts/{number:06}-{attempt}.json", json.dumps(entry).encode())

    def attempts(self) -> dict[int, int]:
        """How often each call was attempted, by number; those that never were are missing."""
        found: dict[int, int] = {}
        for path in self._names(f"{_ABOUT}/attempts"):
            match = _ATTEMPT.fullmatch(Path(path).name)
            if match:
                number, attempt = int(match[1]), int(match[2])
                found[number] = max(attempt, found.get(number, 0))
        return found

    def write_call(self, number: int, data: bytes, sound: bytes | None = None) -> None:
        """Write the result of a call.

        Args:
            number: its place in the plan.
            data: the content of its Parquet file.
            sound: the content of its recording.

        Raises:
            OSError: it cannot be written.
        """
        name = f"calls/part={number // _PER_PART:03}/{number:06}"
        if sound is not None:
            self._write(f"{name}.opus", sound)
        self._write(f"{name}.parquet", data)

    def finished(self) -> set[int]:
        """The numbers of the calls that have a result."""
        matches = (_CALL.fullmatch(Path(path).name) for path in self._names("calls"))
        return {int(match[1]) for match in matches if match}

    # ------------------------------------------------------------ problems

    def write_problem(self, sentence: str, worker: str | None = None) -> None:
        """Write down what happened; an error of the disk is ignored."""
        entry = {"time": pd.Timestamp.now("UTC").isoformat(), "worker": worker, "problem": sentence}
        with contextlib.suppress(OSError):
            number = 1 + len(self._names(f"{_ABOUT}/problems"))
            self._write(f"{_ABOUT}/problems/{number:04}.json", json.dumps(entry).encode())

    def problems(self) -> pd.DataFrame:
        """What happened to workers and files: worker and problem, indexed by UTC time."""
        entries = [json.loads(self._read_path(path)) for path in sorted(self._names(f"{_ABOUT}/problems"))]
        frame = pd.DataFrame(entries, columns=["time", "worker", "problem"])
        frame["time"] = pd.to_datetime(frame["time"], utc=True)
        return frame.set_index("time")

    def _read_path(self, path: str) -> bytes:
        return Path(path).read_bytes() if self._local is not None else bytes(self._fs.cat_file(path))

    @contextlib.contextmanager
    def as_local(self) -> Iterator[Path]:
        """The path of the folder, or of a copy of its calls on this machine while the block lasts."""
        if self._local is not None:
            yield self._local
            return
        with tempfile.TemporaryDirectory(prefix="plivo-nb-run-") as copy:
            for path in self._names("calls"):
                target = Path(copy, *Path(path).parts[-2:])
                target.parent.mkdir(exist_ok=True)
                target.write_bytes(self._read_path(path))
            yield Path(copy)


def _parquet(frame: pd.DataFrame) -> bytes:
    """A frame as Parquet; values of a column of mixed types as text."""
    plain = frame.copy()
    for name in [name for name in frame.columns if pd.api.types.is_object_dtype(frame[name])]:
        plain[name] = [None if pd.isna(value) else str(value) for value in frame[name]]
    target = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pandas(plain), target, compression="zstd")
    return bytes(target.getvalue())
