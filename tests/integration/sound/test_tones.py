"""Tones as a sound card gets them: the frequencies and cadences of E.180 and Q.23, at the right moments."""

import asyncio
import contextlib
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from sound_server import RATE, Recording, SoundServer, bursts, level_dbfs, peaks_hz, sine
from waiting import until

from plivo_nb import CallFailed, Client, Lab
from plivo_nb.audio_types import Pcm
from plivo_nb.dtmf_table import DTMF_HZ

pytestmark = pytest.mark.asyncio(loop_scope="session")

# A busy machine swallows a block now and then, and PulseAudio begins again a little later.
DROPOUT_S = 0.25
SLACK_S = 0.25


async def whole_bursts(speaker: Recording, count: int, gap_s: float) -> tuple[Pcm, list[tuple[float, float]]]:
    """Wait for so many bursts and the pause after them; gives the sound and its bursts."""

    def heard() -> tuple[Pcm, list[tuple[float, float]]] | None:
        pcm = speaker.pcm
        spans = bursts(pcm, gap_s=gap_s)
        ended = len(spans) >= count and len(pcm) / RATE - spans[count - 1][1] > gap_s
        return (pcm, spans) if ended else None

    return await until(lambda: asyncio.to_thread(heard), interval_s=0.1)  # the bursts take long to find


async def steady(speaker: Recording, seconds: float, since_s: float = 0.0) -> Pcm:
    """Wait until there is sound without a pause for so long, after `since_s`; gives what was recorded."""

    def heard() -> tuple[Pcm] | None:
        pcm = speaker.pcm
        spans = bursts(pcm, gap_s=DROPOUT_S)
        return (pcm,) if spans and spans[-1][1] - max(spans[-1][0], since_s) >= seconds else None

    return (await until(lambda: asyncio.to_thread(heard), interval_s=0.1))[0]


def cut(pcm: Pcm, span: tuple[float, float]) -> Pcm:
    """The sound of a burst, without its edges."""
    return pcm[round((span[0] + 0.01) * RATE) : round((span[1] - 0.01) * RATE)]


@pytest.mark.spec("3 setRingToneBack")
async def test_ring_back_is_two_seconds_of_440_and_480_hz_each_six(
    server: SoundServer, talker: Client
) -> None:
    talker.setConnectTone(False)
    with server.recording() as speaker:
        operation = talker.call("no-answer")
        await until(lambda: operation.call.phase == "ringing")
        pcm, rings = await whole_bursts(speaker, 2, DROPOUT_S)
        await talker.hangup()
        with pytest.raises(CallFailed):
            await operation
        await until(lambda: level_dbfs(speaker.last(0.3)) == -100, timeout_s=2)  # it ends with the call
    assert len(rings) == 2, rings
    assert rings[0][1] - rings[0][0] == pytest.approx(2.0, abs=SLACK_S)
    assert rings[1][0] - rings[0][0] == pytest.approx(6.0, abs=2 * SLACK_S)
    assert peaks_hz(cut(pcm, rings[0]), 2) == pytest.approx([440, 480], abs=3)


@pytest.mark.spec("3 setConnectTone")
async def test_dial_tone_is_350_and_440_hz_without_a_pause(server: SoundServer, talker: Client) -> None:
    with server.recording() as speaker:
        talker.audio.tones.play("connect")
        heard = (await steady(speaker, 2.0))[-round(1.5 * RATE) :]
        talker.audio.tones.pause("connect")
    assert peaks_hz(heard, 2) == pytest.approx([350, 440], abs=3)
    assert level_dbfs(heard) > -25


@pytest.mark.spec("3 setRingTone", "3 audio.ringtoneDevices")
async def test_the_ring_tone_is_heard_on_its_own_device_until_it_is_ignored(
    lab: Lab, server: SoundServer, talker: Client
) -> None:
    headset = next(d for d in await talker.audio.available_devices("output") if d.label == "Headset")
    await talker.audio.ringtoneDevices.set(headset.deviceId)
    with server.recording("headset") as ringer, server.recording() as speaker:
        await lab.call("alice")
        await until(lambda: talker.incoming_calls)
        pcm, rings = await whole_bursts(ringer, 2, DROPOUT_S)
        await talker.ignore()
        await until(lambda: level_dbfs(ringer.last(0.3)) == -100, timeout_s=2)
        assert level_dbfs(speaker.pcm) == -100, "nothing of it comes out of the speaker"
    assert len(rings) == 2, rings
    assert rings[0][1] - rings[0][0] == pytest.approx(1.0, abs=SLACK_S)
    assert rings[1][0] - rings[0][0] == pytest.approx(3.0, abs=2 * SLACK_S)
    assert peaks_hz(cut(pcm, rings[0]), 2) == pytest.approx([1000, 1250], abs=4)


@pytest.mark.spec("3 setRingTone")
async def test_set_ring_tone_false_is_silent(lab: Lab, server: SoundServer, talker: Client) -> None:
    assert talker.setRingTone(False) is True
    with server.recording() as speaker:
        await lab.call("alice")
        await until(lambda: talker.incoming_calls)
        await asyncio.sleep(1.0)
        assert level_dbfs(speaker.pcm) == -100
        await talker.reject()


@pytest.mark.spec("3 sendDtmf")
async def test_sent_digits_are_heard_as_q23_has_them(server: SoundServer, talker: Client) -> None:
    call = await talker.call("silence")
    await asyncio.sleep(0.5)
    with server.recording() as speaker:
        await call.send_dtmf("159#")
        pcm, digits = await whole_bursts(speaker, 4, 0.03)
    await call.hangup()
    assert len(digits) == 4
    for digit, span in zip("159#", digits, strict=True):
        assert peaks_hz(cut(pcm, span), 2) == pytest.approx(sorted(DTMF_HZ[digit]), abs=12)
        assert span[1] - span[0] == pytest.approx(0.100, abs=0.03)
    assert digits[1][0] - digits[0][0] == pytest.approx(0.170, abs=0.06)


@pytest.fixture
def jingle(tmp_path: Path) -> Path:
    path = tmp_path / "jingle.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(sine(700, -18, 0.5).tobytes())
    return path


@contextlib.asynccontextmanager
async def web_server(path: Path) -> Iterator[str]:
    """Serve a file by HTTP; anything else is 404."""

    async def give(_: web.Request) -> web.FileResponse:
        return web.FileResponse(path)

    application = web.Application()
    application.router.add_get("/jingle.wav", give)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    finally:
        await runner.cleanup()


async def heard_before_the_answer(server: SoundServer, client: Client) -> Pcm:
    """What the speaker plays while a far end that sends 1000 Hz as early media has not answered."""
    with server.recording() as speaker:
        operation = client.call("early-media")
        await until(lambda: operation.call.phase == "ringing")
        pcm = (await steady(speaker, 1.2, speaker.seconds))[-round(0.8 * RATE) :]
        assert operation.call.phase == "ringing"
    call = await operation
    await call.hangup()
    return pcm


@pytest.mark.spec("3 setRingToneBack")
async def test_ring_back_true_plays_the_tone_and_keeps_early_media_away(server: SoundServer, talker) -> None:
    assert talker.setRingToneBack(True) is True
    assert peaks_hz(await heard_before_the_answer(server, talker), 2) == pytest.approx([440, 480], abs=4)


@pytest.mark.spec("3 setRingToneBack")
async def test_ring_back_false_lets_early_media_be_heard(server: SoundServer, talker) -> None:
    assert talker.set_ring_tone_back(False) is True
    assert peaks_hz(await heard_before_the_answer(server, talker)) == pytest.approx([1000], abs=4)


async def test_a_file_as_ring_back_pauses_early_media(server: SoundServer, talker, jingle: Path) -> None:
    assert talker.setRingToneBack(str(jingle)) is True
    assert peaks_hz(await heard_before_the_answer(server, talker)) == pytest.approx([700], abs=4)
    assert talker.setRingToneBack("no such file.wav") is False
    assert talker.setRingToneBack(7) is False
    assert talker.setConnectTone("loud") is False
    assert talker.audio.speakerDevices.media("ringback").src == str(jingle), (
        "what was refused changed nothing"
    )
    with pytest.raises(ValueError, match="'dtmf' or 'ringback'"):
        talker.audio.speaker_devices.media("song")


async def test_a_url_as_ring_back_is_fetched_ahead(server: SoundServer, talker, jingle: Path, caplog) -> None:
    player = talker.audio.speaker_devices.media("ringback")
    async with web_server(jingle) as url:
        assert talker.setRingToneBack(f"{url}/jingle.wav") is True
        await until(lambda: player.src is not None)
        assert talker.setRingToneBack(f"{url}/missing.wav") is True
        await until(lambda: "cannot be downloaded" in caplog.text)
    assert peaks_hz(await heard_before_the_answer(server, talker)) == pytest.approx([700], abs=4)
