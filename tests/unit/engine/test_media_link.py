"""MediaLink: what is set before the session opens applies from the start; states as last reported."""

from typing import Any

import pytest
from call_world import MemoryEngine

from plivo_nb import MediaError, Silence
from plivo_nb.audio_types import nonblocking
from plivo_nb.engine.media_link import MediaLink, session_config
from plivo_nb.media.audio.sinks import Tee
from plivo_nb.options import read_options
from plivo_nb.plane import wire


class Recording(MemoryEngine):
    """A memory engine that keeps its commands, and answers some as told."""

    def __init__(self) -> None:
        super().__init__(1)
        self.commands: list[wire.Command] = []
        self.failing: dict[type, MediaError] = {}

    def post(self, command: Any, **values: Any) -> Any:
        self.commands.append(command(id=0, **values))
        future = super().post(command, **values)
        if command in self.failing:
            future = self.loop.create_future()
            future.set_exception(self.failing[command])
        return future

    def kinds(self) -> list[str]:
        return [type(command).__name__ for command in self.commands]


@nonblocking
class Ear:
    def open(self, rate: int) -> None: ...

    def write(self, frame: Any) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
async def engine() -> Any:
    engine = Recording()
    yield engine
    await engine.close()


def link(engine: Recording, reports: list[wire.Report] | None = None) -> MediaLink:
    return MediaLink(engine, wire.SessionConfig(), [].append if reports is None else reports.append)


def test_the_options_become_a_session_config() -> None:
    options = read_options(None, {
        "codecs": ["PCMU"], "ice_servers": [{"urls": "turn:x", "username": "u", "credential": "c"}],
        "ice_transport_policy": "relay", "ice_gathering_timeout": 3, "dscp": False,
        "jitter_min_ms": 30, "sample_interval": 0.5,
        "strict": True,
    })  # fmt: skip
    config = session_config(options)
    assert config.codecs == options.codecs == ("PCMU",)
    assert config.ice_servers == (wire.IceServer(("turn:x",), "u", "c"),)
    assert config.relay_only
    assert (config.ice_gathering_timeout_s, config.dscp) == (3, False)
    assert (config.jitter_min_ms, config.sample_interval_s) == (30, 0.5)


async def test_what_is_set_before_it_opens_is_sent_right_after(engine: Recording) -> None:
    media = link(engine)
    media.set_muted(True)
    media.set_source(Silence())
    media.add_sink(Ear())
    assert engine.commands == []
    await media.open()
    assert engine.kinds() == ["OpenSession", "SetMuted", "SetSource", "SetSink"]
    assert media.is_open
    await media.close()


async def test_several_sinks_share_what_is_received(engine: Recording) -> None:
    media = link(engine)
    await media.open()
    one, other = Ear(), Ear()
    media.add_sink(one)
    media.add_sink(other)
    media.remove_sink(one)
    media.remove_sink(other)
    sinks = [command.sink for command in engine.commands if isinstance(command, wire.SetSink)]
    assert sinks[0] is one
    assert isinstance(sinks[1], Tee)
    assert sinks[2] is other
    assert len(sinks) == 4
    await media.close()


async def test_reports_change_states_and_levels_and_are_passed_on(engine: Recording) -> None:
    reports: list[wire.Report] = []
    heard: list[wire.Report] = []
    media = link(engine, reports)
    media.listeners.append(heard.append)
    for state in ("checking", "connected"):
        media._report(wire.SessionState(1, "ice", state, 0.0, ""))
    media._report(wire.Level(1, -20.0, -30.0))
    assert (media.states["ice"], media.previous_states["ice"]) == ("connected", "checking")
    assert media.levels == (-20.0, -30.0)
    assert reports == heard
    assert len(heard) == 3


async def test_digits_that_were_not_negotiated_are_false_and_other_errors_are_errors(
    engine: Recording,
) -> None:
    media = link(engine)
    await media.open()
    assert await media.send_digits("1")
    engine.failing[wire.SendDtmf] = MediaError("No telephone-event.", "NotNegotiated")
    assert not await media.send_digits("1")
    engine.failing[wire.SendDtmf] = MediaError("Gone.", "NoSession")
    with pytest.raises(MediaError, match="Gone"):
        await media.send_digits("1")
    await media.close()


async def test_closing_twice_is_closing_once_and_statistics_stay(engine: Recording) -> None:
    media = link(engine)
    assert await media.stats() == {}
    await media.close()
    await media.open()
    await media.close()
    await media.close()
    assert engine.kinds() == ["OpenSession", "CloseSession"]
    media.final_stats = {"transport": {"packetsReceived": 7}}
    assert await media.stats() == media.final_stats
    media.set_muted(True)
    assert engine.kinds() == ["OpenSession", "CloseSession"], "nothing is sent after the end"


async def test_what_may_wait_is_refused(engine: Recording) -> None:
    class Slow(Ear):
        def read(self, samples: int) -> None: ...

    media = link(engine)
    with pytest.raises(TypeError, match="Slow may wait"):
        media.add_sink(Slow())
    with pytest.raises(TypeError, match=r"Call\.play"):
        media.set_source(Slow())
    assert (media.sinks, media.source) == ([], None)


async def test_samples_go_to_every_sample_sink_before_the_loop_has_them(engine: Recording) -> None:
    media = link(engine)
    one: list[Any] = []
    other: list[Any] = []
    media.add_sample_sink(one.append)
    assert engine.commands == []
    await media.open()
    media.add_sample_sink(other.append)
    sent = [command.sink for command in engine.commands if isinstance(command, wire.SetSampleSink)]
    row: Any = object()
    sent[0](row)
    assert one == other == [row]
    assert len(sent) == 2
    await media.close()
