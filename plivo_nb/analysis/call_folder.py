"""The folder that `Client.record_to` writes: a folder a day (UTC), in it a file a call.

``day=2026-11-25/181203-5ff0fa1e-3d5c.parquet`` is a call that began at 18:12:03 UTC; with the ending
``.arrows`` it goes on, or its process was killed; ``.opus`` is its sound. Programs that know such folders
(Hive partitioning) have ``day`` as a column.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from plivo_nb.analysis import store
from plivo_nb.analysis.call_file import PARQUET, SOUND, STREAM

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DAY = re.compile(r"day=(\d{4}-\d\d-\d\d)")
_FILE = re.compile(r"\d{6}-[A-Za-z0-9._-]+\.(parquet|arrows|opus)")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9.-]+")
_ID_LENGTH = 60


def day_of(folder: Path) -> dt.date | None:
    """The day (UTC) that a folder is for; None if it is no such folder."""
    found = _DAY.fullmatch(folder.name)
    with contextlib.suppress(ValueError):
        return dt.date.fromisoformat(found.group(1)) if found else None
    return None


def reserve(folder: Path, began_s: float, call_id: str) -> Path:
    """Create the empty stream file of a call, under a name that no other call has or gets.

    Args:
        folder: that of all days.
        began_s: when the call began, in seconds since 1970.
        call_id: of the call; what does not belong into file names is replaced.

    Returns:
        The path of the stream.

    Raises:
        OSError: it cannot be created.
    """
    began = dt.datetime.fromtimestamp(began_s, dt.UTC)
    day = folder / f"day={began:%Y-%m-%d}"
    day.mkdir(parents=True, exist_ok=True)
    name = _NOT_IN_NAMES.sub("_", call_id)[:_ID_LENGTH] or "call"
    number = 1
    while True:
        path = day / f"{began:%H%M%S}-{name}{f'_{number}' if number > 1 else ''}{STREAM}"
        number += 1
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            continue
        if not path.with_suffix(PARQUET).exists():  # else a call of that name has ended already
            return path
        path.unlink()


def files_of_calls(
    folder: Path, since: dt.datetime | None = None, until: dt.datetime | None = None
) -> Iterator[Path]:
    """The files in a folder and those below it, but sounds and hidden ones; those of a call that ended once.

    Args:
        folder: where to look.
        since: leave out days before that of this time.
        until: leave out days from this time on.
    """
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.suffix == SOUND or any(part.startswith(".") for part in parts) or not path.is_file():
            continue
        day = day_of(path.parent)
        if day is not None and since is not None and day < since.astimezone(dt.UTC).date():
            continue
        if day is not None and until is not None and day > until.astimezone(dt.UTC).date():
            continue
        if path.suffix == STREAM and path.with_suffix(PARQUET).exists():
            continue  # the process ended between writing the one and removing the other
        yield path


def delete_old(folder: Path, before: dt.date) -> list[Path]:
    """Delete the calls of the days before this one, with their sounds, and nothing else.

    Only files with the names and the content of calls are deleted, only in folders of days, and such a folder
    only once it is empty. Links are not followed.

    Returns:
        The files deleted.

    Raises:
        OSError: a file cannot be deleted.
    """
    deleted: list[Path] = []
    for day_folder in sorted(folder.glob("day=*")):
        day = day_of(day_folder)
        if day is None or day >= before or day_folder.is_symlink() or not day_folder.is_dir():
            continue
        own = [path for path in day_folder.iterdir() if _FILE.fullmatch(path.name) and not path.is_symlink()]
        for path in own:
            if path.suffix != SOUND and _is_of_call(path):
                for part in (path.with_suffix(SOUND), path):  # the call last: what is left names the rest
                    if part.is_file() and not part.is_symlink():
                        part.unlink()
                        deleted.append(part)
        with contextlib.suppress(OSError):  # it is not empty
            day_folder.rmdir()
    return deleted


def _is_of_call(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        if path.suffix == PARQUET:
            schema = pq.read_schema(str(path))
        elif path.stat().st_size == 0:
            return True  # a name that was reserved by a process that was killed then
        else:
            with pa.OSFile(str(path)) as file:
                schema = pa.ipc.open_stream(file).schema
    except (pa.ArrowException, OSError):
        return False
    return store.KEY in (schema.metadata or {})
