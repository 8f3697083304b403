"""Frames in partitions: functions applied to a pandas frame, or to each partition of a Dask one.

A call is never split: all its samples are in one partition. So what is computed of single calls is computed
in the partitions by the same function that computes it in memory, and is exact; what is computed of many
calls is computed in pandas, of the rows that the partitions give.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from plivo_nb.errors import PlivoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd


def is_dask(frame: object) -> bool:
    """Whether this is a frame or series of Dask; does not import Dask."""
    return type(frame).__module__.partition(".")[0] == "dask"


def dask_dataframe() -> Any:
    """The module `dask.dataframe`.

    Raises:
        PlivoError: it is not installed.
    """
    try:
        return import_module("dask.dataframe")
    except ImportError as error:
        raise PlivoError(
            f"engine='dask' needs Dask ({error}); install it with: pip install 'plivo-nb[scale]'"
        ) from None


def of_partitions(
    function: Callable[..., Any],
    frame: Any,
    *aligned: Any,
    columns: Sequence[str] | None = None,
) -> list[Any]:
    """What a function gives for each partition; a pandas frame is a single one.

    The partitions are computed where Dask's scheduler computes: in the workers of the current
    `distributed.Client`, or in threads.

    Args:
        function: takes the partition, as a pandas frame, and those of `aligned`. It can be pickled.
        frame: a frame of pandas or Dask.
        aligned: frames and series with the same partitions.
        columns: those of the frame that the function needs; others are not read. None: all.
    """
    if not is_dask(frame):
        return [function(frame, *aligned)]
    if columns is not None:
        frame = frame[[name for name in frame.columns if name in set(columns)]]
    parts = [item.to_delayed() for item in (frame, *aligned)]
    # What the function carries, such as the table of calls, is sent to each worker once, and not once a task.
    shared = _dask().delayed(_Shared(function), traverse=False)
    return computed(_applied, [(shared, *of_one) for of_one in zip(*parts, strict=True)])


def computed(function: Callable[..., Any], arguments: Iterable[Sequence[Any]]) -> list[Any]:
    """What a function gives for each of these arguments, computed where Dask computes."""
    work = _dask().delayed(function, pure=False)
    return list(_dask().compute(*[work(*given) for given in arguments]))


def unknown_categories(empty: pd.DataFrame) -> pd.DataFrame:
    """A frame for Dask to tell the columns by, where each partition has categories of its own."""
    dask_dataframe()
    utils: Any = import_module("dask.dataframe.utils")
    cleared: pd.DataFrame = utils.clear_known_categories(empty)
    return cleared


def _dask() -> Any:
    return import_module("dask")


@dataclass(frozen=True, slots=True)
class _Shared:
    """A function as data of a graph."""

    function: Callable[..., Any]


def _applied(shared: _Shared, *parts: Any) -> Any:
    return shared.function(*parts)


def check_whole(ids: Iterable[Iterable[Any]]) -> None:
    """Check that no call is in two partitions.

    Args:
        ids: the calls of each partition.

    Raises:
        ValueError: one is; the message says which and what to do.
    """
    seen: set[Any] = set()
    for of_one in ids:
        here = set(of_one)
        twice = sorted(map(str, seen & here))
        if twice:
            raise ValueError(
                f"The samples of call {twice[0]!r} are in more than one partition; its figures need them "
                "together: read the files with plivo_nb.read(path, engine='dask'), or shuffle the frame by "
                "call_uuid, frame.shuffle('call_uuid')."
            )
        seen |= here
