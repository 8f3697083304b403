"""`plivo-nb report`: a report of stored calls, as one HTML file."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import plivo_nb
from plivo_nb.errors import PlivoError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from plivo_nb.analysis.call_set import CallSet


def run(
    path: Path,
    out: Path,
    *,
    mask: bool = True,
    sound: bool = False,
    by: Sequence[str] | None = None,
    workers: int = 0,
) -> tuple[str, ...]:
    """Write the report.

    Args:
        path: a file or folder that `plivo_nb.read` reads, such as the folder of a campaign's run.
        out: the HTML file.
        mask: replace numbers, addresses and names by pseudonyms.
        sound: add the recording of the only call.
        by: columns of the calls whose values make groups; None: the usual ones.
        workers: read the samples in partitions, in so many processes of Dask; 0: into the memory of this one.

    Returns:
        What could not be read, a sentence each.

    Raises:
        ValueError: `path` is no file of calls, or has none; or there is no such recording.
        OSError: it cannot be read, or `out` cannot be written.
        PlivoError: there are to be workers, and Dask is not installed.
    """
    if not workers:
        return _write(plivo_nb.read(path), out, mask=mask, sound=sound, by=by)
    try:
        distributed: Any = import_module("distributed")
    except ImportError as error:
        raise PlivoError(
            f"--workers needs Dask ({error}); install it with: pip install 'plivo-nb[scale]'"
        ) from None
    with (
        distributed.LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster),
    ):
        return _write(plivo_nb.read(path, engine="dask"), out, mask=mask, sound=sound, by=by)


def _write(calls: CallSet, out: Path, **how: Any) -> tuple[str, ...]:
    calls.report(out, **how)
    return calls.warnings
