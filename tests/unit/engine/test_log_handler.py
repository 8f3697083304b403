"""engine.log_handler: standard error, the terminal of the server, or the cell that asked."""

import logging
import os
import sys

import pytest

from plivo_nb.engine.log_handler import LogHandler, install


class CellStream:
    """Stands for the stream that ipykernel puts in place of standard error."""

    def __init__(self, terminal: int) -> None:
        self._original_stdstream_copy = terminal
        self.shown = ""

    def write(self, text: str) -> None:
        self.shown += text

    def flush(self) -> None: ...


CellStream.__module__ = "ipykernel.iostream"


def unconfigure(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the test itself: pytest adds its own handlers after the fixtures."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])


def record(level: int, text: str) -> logging.LogRecord:
    return logging.LogRecord("plivo_nb.x", level, "", 1, text, None, None)


def test_in_a_script_records_are_on_standard_error(monkeypatch, capsys) -> None:
    unconfigure(monkeypatch)
    LogHandler().handle(record(logging.INFO, "onLogin"))
    assert capsys.readouterr().err.endswith("INFO plivo_nb.x: onLogin\n")


def test_handlers_of_the_application_are_enough(capsys) -> None:
    assert logging.getLogger().handlers, "pytest's"
    LogHandler().handle(record(logging.ERROR, "onLogin"))
    assert capsys.readouterr().err == ""


def test_a_cell_shows_warnings_and_what_was_asked_for(monkeypatch) -> None:
    unconfigure(monkeypatch)
    reading, writing = os.pipe()
    stream, handler = CellStream(writing), LogHandler()
    monkeypatch.setattr(sys, "stderr", stream)
    handler.handle(record(logging.INFO, "onLogin"))
    assert stream.shown == ""
    assert os.read(reading, 1000).endswith(b"INFO plivo_nb.x: onLogin\n")
    handler.handle(record(logging.WARNING, "Careful."))
    assert stream.shown == "Careful.\n"
    handler.show_in_cell()
    handler.handle(record(logging.DEBUG, "a detail"))
    assert stream.shown.endswith("DEBUG plivo_nb.x: a detail\n")
    os.close(reading)
    os.close(writing)


def test_a_handler_of_this_package_alone_is_enough_too(monkeypatch, capsys) -> None:
    unconfigure(monkeypatch)
    monkeypatch.setattr(logging.getLogger("plivo_nb"), "handlers", [logging.NullHandler()])
    LogHandler().handle(record(logging.ERROR, "onLogin"))
    assert capsys.readouterr().err == ""


def test_it_is_installed_once() -> None:
    install(show_in_cell=False)
    install(show_in_cell=False)
    handlers = [item for item in logging.getLogger("plivo_nb").handlers if isinstance(item, LogHandler)]
    assert len(handlers) == 1
