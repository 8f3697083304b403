"""`plivo-nb report`: a report of stored calls, as one HTML file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plivo_nb

if TYPE_CHECKING:
    from pathlib import Path


def run(path: Path, out: Path, *, mask: bool = True, sound: bool = False) -> tuple[str, ...]:
    """Write the report.

    Args:
        path: a file or folder that `plivo_nb.read` reads.
        out: the HTML file.
        mask: replace numbers, addresses and names by pseudonyms.
        sound: add the recording of the only call.

    Returns:
        What could not be read, a sentence each.

    Raises:
        ValueError: `path` is no file of calls, or has none; or there is no such recording.
        OSError: it cannot be read, or `out` cannot be written.
    """
    calls = plivo_nb.read(path)
    calls.report(out, mask=mask, sound=sound)
    return calls.warnings
