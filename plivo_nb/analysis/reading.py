"""`plivo_nb.read`: calls from files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from plivo_nb.analysis import store
from plivo_nb.analysis.call_frames import CallFrames
from plivo_nb.analysis.call_set import CallSet

if TYPE_CHECKING:
    import os

_PARQUET = b"PAR1"


def read(path: str | os.PathLike[str]) -> CallSet:
    """Read calls from a file.

    Args:
        path: a Parquet file that `plivo_nb.analysis.store.save` or the dashboard's export wrote.

    Returns:
        The calls.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file has no calls.
    """
    file = Path(path)
    with file.open("rb") as opened:
        head = opened.read(4)
    if head != _PARQUET:
        raise ValueError(f"{str(path)!r} is no such file: give a Parquet file that plivo_nb wrote.")
    about = store.about(file)
    frame = store.load(file)
    if about.get("frame") == "media_metrics":
        return CallSet(CallFrames.of(calls=calls_of(frame), media_metrics=frame))
    if about.get("frame") == "calls":
        return CallSet(CallFrames.of(calls=frame))
    return CallSet(CallFrames.of(calls=calls_of(frame), samples=frame))


def calls_of(samples: pd.DataFrame) -> pd.DataFrame:
    """A row for each call of the samples, with nothing but its id and when it begins."""
    firsts = samples[~samples["call_uuid"].duplicated() & samples["call_uuid"].notna()]
    return pd.DataFrame({"call_uuid": firsts["call_uuid"].astype("str")}, index=firsts.index)
