"""Files that are replaced as a whole, or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def replaced(path: Path | str) -> Iterator[Path]:
    """Give the path of a new file to write, which takes the place of `path` at the end of the block.

    Until then the old file is as it was. So it stays after an exception, which removes the new file, after a
    crash, and when the disk is full.

    Args:
        path: the file to replace or create; of a symbolic link, the file that it points to.

    Raises:
        OSError: the folder cannot be written.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> target = Path(folder.name, "numbers.txt")
        >>> with replaced(target) as new:
        ...     _ = new.write_text("1 2 3")
        >>> target.read_text()
        '1 2 3'
        >>> folder.cleanup()
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():  # a device or pipe cannot be replaced
        yield target
        return
    new = target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")
    try:
        yield new
        if target.exists():
            shutil.copymode(target, new)
        _sync(new)
        os.replace(new, target)
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink()
        raise


def _sync(path: Path) -> None:
    """Wait until the disk has the file: the error of a full disk may come only then."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
