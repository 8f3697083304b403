"""Notebook 00 is made from one table; the table has every method and event, and nothing that is not there."""

import ast
import importlib.util
import json
import pathlib
import sys
from types import ModuleType

import pytest

import plivo_nb
from plivo_nb import Client
from plivo_nb.engine.audio.devices import AudioDevices
from plivo_nb.events import EVENT_NAMES

NOTEBOOKS = pathlib.Path(__file__).parents[3] / "notebooks"
METHODS = {
    *("login", "logout", "call", "answer", "hangup", "reject", "ignore", "sendDtmf", "mute", "unmute"),
    *("setRingTone", "setRingToneBack", "setConnectTone", "setDebug", "getPeerConnection", "webRTC"),
    *("sendQualityFeedback", "getCallUUID", "getLastCallUUID", "version", "isLoggedIn", "on", "once", "off"),
    "audio",
}
SOUND = {"availableDevices", "revealAudioDevices", "microphoneDevices", "speakerDevices", "ringtoneDevices"}


@pytest.fixture(scope="module")
def table() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "from_the_browser_sdk", NOTEBOOKS / "from_the_browser_sdk.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_every_method_and_event_has_a_row_and_every_row_exists(table: ModuleType) -> None:
    named = {name for part in table.PARTS for row in part.rows for name in row.names}
    assert named == METHODS | SOUND | EVENT_NAMES | {"Plivo", "client"}
    for name in METHODS:
        assert hasattr(Client, name), name
    for name in SOUND:
        assert hasattr(AudioDevices, name), name
    assert plivo_nb.Plivo is not None


def test_each_row_uses_what_it_names_on_both_sides(table: ModuleType) -> None:
    for part in table.PARTS:
        for row in part.rows:
            for name in row.names:
                assert name in row.python, name
                assert name in row.javascript or "own" in row.javascript, name
            ast.parse(f"async def cell():\n    {row.python.replace(chr(10), chr(10) + '    ')}")


def test_the_notebook_is_the_one_that_the_table_makes(table: ModuleType) -> None:
    notebook = json.loads((NOTEBOOKS / "00_from_the_browser_sdk.ipynb").read_text(encoding="utf-8"))
    shown = [(cell["cell_type"], "".join(cell["source"])) for cell in notebook["cells"]]
    assert shown == table.cells()
