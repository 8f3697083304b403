"""What calls send: chosen in the phone, or by code; with real clients over a switch in memory."""

from __future__ import annotations

import asyncio

import pytest
from waiting import until

from plivo_nb import AudioFile, Silence, SourceError, Tone, speech_path
from plivo_nb.testing import FakeSound
from plivo_nb.widgets.code_log import code_log_of
from plivo_nb.widgets.loop_tasks import LoopTasks
from plivo_nb.widgets.sound_source import SoundSource


@pytest.fixture
async def alice(in_memory):
    return await in_memory("alice")


@pytest.fixture
async def bob(in_memory):
    return await in_memory("bob")


@pytest.fixture
async def shown_for(shown):
    """Makes a selector that is refreshed at events as the phone does it."""
    made = []

    def make(client, source="microphone") -> SoundSource:
        selector = SoundSource(client, LoopTasks(client.loop, shown.append, "test"), source)
        for name in ("onCalling", "onCallAnswered", "onCallTerminated", "onIncomingCall"):
            client.on(name, lambda *_: selector.refresh())
        selector.refresh()
        made.append(selector)
        return selector

    yield make
    for selector in made:
        selector.close()
        selector._loop_tasks.close()


def note(selector: SoundSource) -> str:
    return selector._note.value.split('title="')[1].split('"')[0].replace("&#x27;", "'")


async def test_the_speech_sample_is_sent_in_each_call_until_another_is_chosen(
    alice, bob, shown_for, talk
) -> None:
    selector = shown_for(alice, "speech")
    assert note(selector) == "No sound device is used (sound='none'): calls play the speech sample."
    call, _ = await talk(alice, bob)
    assert isinstance(call.source, AudioFile)
    assert (call.source.path, call.source.loop) == (speech_path(), True)
    await call.hangup()
    selector._select.value = "tone"
    await until(lambda: selector.chosen == "tone")
    theirs, _ = await talk(bob, alice)
    call = alice.current_call
    assert isinstance(call.source, Tone)
    selector._select.value = "silence"
    await until(lambda: isinstance(call.source, Silence))
    selector._select.value = "microphone"
    await until(lambda: selector.chosen == "microphone")
    assert isinstance(call.source, Silence)  # there is none
    assert note(selector).endswith("calls send silence until you choose another sound.")
    await theirs.hangup()


async def test_what_code_plays_is_left_alone_and_shown(alice, bob, shown_for, talk) -> None:
    selector = shown_for(alice, "speech")
    operation = alice.call("bob")
    tone = Tone(1000)
    operation.call.play(tone)
    await until(lambda: bob.incoming_calls)
    await bob.answer()
    call = await operation
    assert call.source is tone
    selector.refresh()
    assert selector._select.value == "code"
    assert selector._select.label == "Set by code"
    assert "your code chooses" in note(selector)
    assert selector.chosen == "speech"
    selector._select.value = "silence"
    await until(lambda: isinstance(call.source, Silence))
    assert [name for _, name in selector._select.options].count("code") == 0
    await call.hangup()
    selector.refresh()
    assert selector._select.value == "silence"


async def test_a_source_that_code_set_before_the_phone_saw_the_call_is_left_alone(
    alice, bob, shown_for, talk
) -> None:
    call, _ = await talk(alice, bob)
    tone = Tone(1000)
    call.play(tone)
    selector = shown_for(alice, "speech")
    assert call.source is tone
    assert selector._select.value == "code"


async def test_a_file_is_asked_for_and_a_wrong_one_is_said(
    alice, bob, shown_for, talk, tmp_path, shown
) -> None:
    selector = shown_for(alice)
    call, _ = await talk(alice, bob)
    selector._select.value = "file"
    await until(lambda: selector.chosen == "file")
    assert selector._path.layout.display == ""
    assert "enter the path" in note(selector)
    assert call.source is None
    selector._path.value = str(tmp_path / "no <such> file.wav")
    selector._path._handle_custom_msg({"event": "submit"}, [])
    await until(lambda: shown[-1:] and "There is no audio file" in shown[-1])
    assert "<such>" not in selector._note.value
    selector.choose("file", str(speech_path()))
    assert code_log_of(alice).lines[-1] == f"phone.controls.source.choose('file', {str(speech_path())!r})"
    assert isinstance(call.source, AudioFile)
    assert "plays the audio file" in note(selector) or "play the audio file" in note(selector)
    await call.hangup()
    with pytest.raises(SourceError):
        (await talk(alice, bob))[0].play("/nowhere")


async def test_a_file_that_is_gone_at_the_next_call_is_said_and_breaks_nothing(
    alice, bob, shown_for, talk, tmp_path
) -> None:
    selector = shown_for(alice)
    selector.choose("file", str(tmp_path / "gone.wav"))
    call, _ = await talk(alice, bob)
    assert call.source is None
    assert "There is no audio file" in note(selector)
    selector.choose("silence")
    assert "There is no audio file" not in note(selector)


async def test_a_microphone_is_sent_without_a_word_and_another_source_until_it_is_chosen_again(
    in_memory, bob, shown_for, talk
) -> None:
    alice = await in_memory("alice", sound=FakeSound())
    await alice.audio.available_devices()
    selector = shown_for(alice)
    call, _ = await talk(alice, bob)
    assert call.sends_microphone
    assert note(selector) == ""
    selector.choose("tone")
    assert note(selector) == "Calls send a tone until you choose another sound."
    selector.choose("microphone")
    assert call.sends_microphone
    tone = Tone(500)
    call.play(tone)
    selector.refresh()
    assert note(selector) == "Your code chooses what this call sends."


async def test_a_machine_without_sound_is_named(in_memory, shown_for) -> None:
    sound = FakeSound((), ())
    sound.missing = True
    alice = await in_memory("alice", sound=sound)
    await alice.audio.available_devices()
    await until(lambda: alice.audio.mode == "none")
    assert note(shown_for(alice, "speech")) == (
        "This machine has no sound device: calls play the speech sample."
    )


async def test_a_source_that_does_not_exist_is_refused(alice, loop_tasks) -> None:
    with pytest.raises(ValueError, match="source is one of microphone"):
        SoundSource(alice, loop_tasks, "radio")  # type: ignore[arg-type]
    await asyncio.sleep(0)
