"""Imports that take long, away from the event loop: one thread, which loads one module after the other."""

from __future__ import annotations

import atexit
import concurrent.futures.thread
import contextlib
import ctypes
import gc
import importlib
import importlib.util
import logging
import os
import sys
import threading
from collections import deque
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plivo_nb.switch_interval import switch_interval

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST_WAIT_S = 5.0


def import_in_thread(name: str, links: tuple[str, str] | None = None) -> concurrent.futures.Future[Any]:
    """Import a module in a daemon thread; an ``import`` statement after that finds it loaded.

    Modules are loaded in the order in which they are asked for; each is loaded once, or fails.
    Meanwhile no other thread waits for the interpreter's lock for more than a few milliseconds, unless it
    imports what is being loaded.

    Args:
        name: the module's full name.
        links: package and extension module in it whose shared libraries take long to be linked, such as
            ``("pyarrow", "lib")``. An import links them with the interpreter's lock held; here that is done
            before, without it.

    Returns:
        A future of the module. It has the exception if the module cannot be imported.

    Example:
        >>> import_in_thread("json").result().__name__
        'json'
    """
    return _loader.load(name, links)


class _Loader:
    """Loads modules in a daemon thread that ends when nothing is left to load."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._futures: dict[str, concurrent.futures.Future[Any]] = {}
        self._waiting: deque[tuple[str, tuple[str, str] | None]] = deque()
        self._thread: threading.Thread | None = None  # the last one
        self._works = False

    def load(self, name: str, links: tuple[str, str] | None) -> concurrent.futures.Future[Any]:
        """The future of a module, which is loaded once."""
        with self._lock:
            future = self._futures.get(name)
            if future is not None:
                return future
            future = self._futures[name] = concurrent.futures.Future()
            module = sys.modules.get(name)
            if module is not None and not getattr(module.__spec__, "_initializing", False):
                future.set_result(module)
                return future
            future.set_running_or_notify_cancel()  # who waits may be cancelled; the import is not
            self._waiting.append((name, links))
            if not self._works:
                self._works = True
                self._thread = threading.Thread(target=self._work, name="plivo_nb imports", daemon=True)
                self._thread.start()
            return future

    def _work(self) -> None:
        while self._goes_on():
            with _unnoticed():
                while self._waiting:
                    self._load_next()

    def _goes_on(self) -> bool:
        with self._lock:
            self._works = bool(self._waiting)
            return self._works

    def _load_next(self) -> None:
        with self._lock:
            if not self._waiting:  # `stop` took it
                return
            name, links = self._waiting.popleft()
            future = self._futures[name]
        try:
            if links is not None:
                _link(*links)
            future.set_result(importlib.import_module(name))
        except BaseException as error:
            future.set_exception(error)

    def wait(self) -> None:
        """Wait until nothing is being loaded: a fork would leave the locks of a half-loaded module behind."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_LONGEST_WAIT_S)

    def stop(self) -> None:
        """Load nothing more, and wait for what is being loaded: a thread must not be in C code at exit."""
        with self._lock:
            self._waiting.clear()
        self.wait()


@contextlib.contextmanager
def _unnoticed() -> Iterator[None]:
    """Let other threads run within a millisecond or two while this one imports.

    The switch interval is short, and what there is already is kept out of garbage collections: an import
    makes enough objects to set off a full one, which takes 15 ms and more with the interpreter's lock held.
    """
    frozen = gc.get_freeze_count() == 0  # else somebody keeps objects frozen who would miss them
    switch_interval.change(1)
    if frozen:
        gc.freeze()
    try:
        yield
    finally:
        if frozen:
            gc.unfreeze()
        switch_interval.change(-1)


def _link(package: str, extension: str) -> None:
    """Link the shared libraries of an extension module; where that fails, its import says why."""
    if package in sys.modules or os.name != "posix":
        return
    with contextlib.suppress(ImportError, OSError, ValueError, AttributeError):
        spec = importlib.util.find_spec(package)
        folders = spec.submodule_search_locations if spec is not None else None
        for path in [Path(folder, extension + end) for folder in folders or () for end in EXTENSION_SUFFIXES]:
            if path.is_file():
                link = ctypes.CDLL(None).dlopen  # called as a foreign function, it does not hold the lock
                link.restype, link.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_int]
                link(os.fsencode(path), os.RTLD_NOW)
                return


# Of a module that registers hooks for forks while `wait` runs as such a hook, a part of them is run for this
# fork. pandas loads two such modules of the standard library, so they are loaded before.
assert concurrent.futures.thread
assert logging

_loader = _Loader()
atexit.register(_loader.stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_loader.wait)
