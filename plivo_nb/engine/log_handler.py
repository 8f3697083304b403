"""Where the log records of this package go while the application has not configured `logging`.

Python shows such records only from WARNING on. The option `debug` shows more, but not below cells that did
not ask for it.
"""

from __future__ import annotations

import contextvars
import logging
import os
import sys


class LogHandler(logging.Handler):
    """Writes to standard error, and stays silent once the application has configured the root logger.

    In a notebook records below WARNING go to the kernel process's own standard error, as the terminal of the
    server shows it. After `show_in_cell` all records are output of the cell that asked for them.
    """

    def __init__(self) -> None:
        super().__init__()
        self._cell: contextvars.Context | None = None
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))

    def show_in_cell(self) -> None:
        """From now on, show all records as output of the current cell."""
        self._cell = contextvars.copy_context()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        if _is_configured():
            return  # the application's handlers do that
        if not _in_kernel():
            self._write(record)
        elif self._cell is not None:
            self._cell.copy().run(self._write, record)
        elif record.levelno >= logging.WARNING:
            if logging.lastResort is not None:
                logging.lastResort.handle(record)  # as without this handler: a sentence for the user
        else:
            self._write_to_terminal(record)

    def _write(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(self.format(record) + "\n")
        except Exception:
            self.handleError(record)

    def _write_to_terminal(self, record: logging.LogRecord) -> None:
        # ipykernel turns file descriptor 2 into output of a cell, and keeps a copy of the original.
        terminal = getattr(sys.stderr, "_original_stdstream_copy", None)
        try:
            os.write(2 if terminal is None else terminal, f"{self.format(record)}\n".encode())
        except OSError:
            self.handleError(record)


def _is_configured() -> bool:
    own = logging.getLogger("plivo_nb").handlers
    return bool(logging.getLogger().handlers) or any(not isinstance(item, LogHandler) for item in own)


def _in_kernel() -> bool:
    return type(sys.stderr).__module__.partition(".")[0] == "ipykernel"


_handler = LogHandler()


def install(*, show_in_cell: bool) -> None:
    """Let the logger `plivo_nb` have the handler, once.

    Args:
        show_in_cell: the user asked for log records in this cell.
    """
    logging.getLogger("plivo_nb").addHandler(_handler)  # a second time it does nothing
    if show_in_cell:
        _handler.show_in_cell()
