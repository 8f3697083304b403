"""Imports that take long, away from the event loop."""

from __future__ import annotations

import concurrent.futures
import importlib
import threading
from typing import Any


def import_in_thread(name: str) -> concurrent.futures.Future[Any]:
    """Import a module in a daemon thread; an ``import`` statement after that finds it loaded.

    Returns:
        A future of the module. It has the exception if the module cannot be imported.

    Example:
        >>> import_in_thread("json").result().__name__
        'json'
    """
    future: concurrent.futures.Future[Any] = concurrent.futures.Future()
    future.set_running_or_notify_cancel()  # who waits may be cancelled; the import is not

    def work() -> None:
        try:
            future.set_result(importlib.import_module(name))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=work, name=f"plivo_nb import of {name}", daemon=True).start()
    return future
