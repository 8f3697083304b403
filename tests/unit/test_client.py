"""Client: names in both spellings, help, and options as keywords; over no server."""

import ast
import inspect
import logging
import re
import subprocess
import sys
from typing import get_args

import pytest
from call_world import MemoryEngine, client_of

from plivo_nb import Client, InvalidState, NoRunningLoop, Plivo
from plivo_nb.events import EVENT_NAMES
from plivo_nb.lab import Lab
from plivo_nb.options import OPTION_NAMES, DebugLevel, Options
from plivo_nb.testing import FakeServer
from plivo_nb.widgets.app import app

ALIASES = {
    "send_dtmf": "sendDtmf",
    "get_peer_connection": "getPeerConnection",
    "get_call_uuid": "getCallUUID",
    "get_last_call_uuid": "getLastCallUUID",
    "send_quality_feedback": "sendQualityFeedback",
    "set_ring_tone": "setRingTone",
    "set_ring_tone_back": "setRingToneBack",
    "set_connect_tone": "setConnectTone",
    "set_debug": "setDebug",
    "is_logged_in": "isLoggedIn",
    "webrtc": "webRTC",
}


@pytest.mark.parametrize(("name", "alias"), ALIASES.items())
def test_plivos_name_is_the_next_statement_after_the_pep8_name(name: str, alias: str) -> None:
    assert inspect.getattr_static(Client, name) is inspect.getattr_static(Client, alias)
    body = ast.parse(inspect.getsource(Client)).body[0].body  # type: ignore[attr-defined]
    place = next(n for n, item in enumerate(body) if getattr(item, "name", None) == name)
    assert ast.unparse(body[place + 1]) == f"{alias} = {name}"


def test_client_is_one_class_without_mixins() -> None:
    assert Client.__bases__ == (object,)


def test_help_lists_every_event_with_its_arguments_and_the_corrections_of_plivos_page() -> None:
    text = inspect.getdoc(Client) or ""
    for name in EVENT_NAMES:
        assert re.search(rf"^ +{name} +\S", text, re.MULTILINE), name
    assert re.search(r"onCallFailed +cause, callInfo\n", text)
    assert re.search(r"onIncomingCall +callerID, extraHeaders, callInfo\n", text)
    for slip in ("no_microphone_acesss", "`dec`", "`Type`"):
        assert slip in text


@pytest.mark.parametrize("function", [Client, Plivo, Lab.client, Lab.options, FakeServer.client, app])
def test_the_signature_names_every_option_with_its_default(function) -> None:
    parameters = inspect.signature(function).parameters
    pep8 = set(OPTION_NAMES.values())
    assert pep8 <= set(parameters)
    assert {name: parameters[name].default for name in pep8} == {
        name: getattr(Options(), name) for name in pep8
    }


def test_completion_offers_the_options_of_a_client() -> None:
    from IPython.core.completer import IPCompleter

    completer = IPCompleter(namespace={"Client": Client})
    completer.text_until_cursor = completer.line_buffer = "Client(perm"
    assert "perm_on_click=" in completer.python_func_kw_matches("perm")


def test_a_client_needs_a_running_loop() -> None:
    with pytest.raises(NoRunningLoop):
        Client(sound="none")


@pytest.mark.parametrize("level", get_args(DebugLevel))
def test_set_debug_sets_the_level_and_refuses_another(
    level: DebugLevel, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("plivo_nb")
    Client.set_debug(level)
    order = ("ALL", "DEBUG", "INFO", "WARN", "ERROR", "OFF")
    assert logger.level == (5, 10, 20, 30, 40, 60)[order.index(level)]
    logger.setLevel(logging.INFO)
    Client.setDebug("LOUD")  # type: ignore[arg-type]
    assert logger.level == logging.INFO
    assert "'LOUD' is not a level" in caplog.text


async def test_every_method_of_a_closed_client_says_that_it_is_closed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = MemoryEngine(seed=1)
    client = await client_of(engine, "alice")
    await client.close()
    logging.getLogger("plivo_nb").setLevel(logging.WARNING)
    closed = "this client is closed; make a new Client"
    for name, operation in {
        "login": client.login("alice", "x"),
        "call": client.call("echo"),
        "answer": client.answer(),
        "hangup": client.hangup(),
        "reject": client.reject(),
        "ignore": client.ignore(),
        "sendDtmf": client.send_dtmf("1"),
    }.items():
        with pytest.raises(InvalidState, match=f"^{name}: {closed}"):
            await operation
    assert client.mute() is False
    assert f"mute: {closed}" in caplog.text
    with pytest.raises(InvalidState, match="the client was closed"):
        await client.wait_for("onLogin")
    assert [event async for event in client.events()] == []
    await engine.close()


WITHOUT = """
import asyncio, importlib.abc, sys

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from plivo_nb import Client, LoginFailed

async def main():
    client, told = Client(sound="none"), []
    client.on("onWebrtcNotSupported", lambda: told.append("onWebrtcNotSupported"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    print(client.webRTC(), *told)
    try:
        await client.login("alice", "x")
    except LoginFailed as error:
        print(error)
    await client.close()

asyncio.run(main())
"""


@pytest.mark.spec("3 webRTC", "4 onWebrtcNotSupported")
@pytest.mark.parametrize("module", ["aiortc", "aioice", "av", "pylibsrtp"])
def test_where_the_media_stack_does_not_load_the_client_says_so(module: str) -> None:
    command = [sys.executable, "-c", WITHOUT, module]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    first, second = result.stdout.splitlines()
    assert first == "False onWebrtcNotSupported", result.stderr
    assert "does not load" in second
    assert f"No module named '{module}" in result.stderr
