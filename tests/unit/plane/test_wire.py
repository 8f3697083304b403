"""The messages between kernel and plane: values, without secrets in their repr."""

import dataclasses
import inspect
import pickle

import pytest

from plivo_nb.plane import wire

COMMANDS = [
    item
    for item in vars(wire).values()
    if inspect.isclass(item) and issubclass(item, wire.Command) and not item.__subclasses__()
]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_frozen_and_begins_with_its_id_and_subject(command: type) -> None:
    names = [field.name for field in dataclasses.fields(command)]
    assert names[0] == "id"
    assert names[1] in ("socket", "session")
    assert command.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert not hasattr(command, "__dict__") or "__slots__" in vars(command)


def test_reports_can_cross_to_another_process() -> None:
    for report in (
        wire.Ok(1, {"codec": {"id": "codec"}}),
        wire.Failed(2, "Timeout", "It did not answer."),
        wire.SocketState(3, "closed", 1006, "", 7.0),
        wire.Received(3, "OPTIONS", 7.0),
        wire.SessionState(4, "ice", "connected", 7.0),
        wire.Level(4, -20.0, -100.0),
        wire.Digit(4, "5", 100),
        wire.Fault(4, "WebRTCError", "It failed."),
        wire.PlaneOverload(True, 0.5, 40),
        wire.PlaneEffort(True, 40),
        wire.PlaneDead("It ended."),
    ):
        assert pickle.loads(pickle.dumps(report)) == report


def test_no_repr_shows_a_secret_or_a_message() -> None:
    server = wire.IceServer(("turn:turn.example.com",), "user", "s3cret")
    texts = [
        wire.OpenSession(1, 1, wire.SessionConfig(ice_servers=(server,))),
        wire.SendText(1, 1, "Authorization: s3cret"),
        wire.SetRemote(1, 1, "offer", "a=ice-pwd:s3cret"),
        wire.Received(1, "Authorization: s3cret", 7.0),
    ]
    assert not [text for text in map(repr, texts) if "s3cret" in text]
