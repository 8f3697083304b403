"""A call works on a machine without sound devices, or with devices that another program uses."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from sound_server import SoundServer, peaks_hz, sine, sound_server
from waiting import until

from plivo_nb import Lab

pytestmark = pytest.mark.asyncio(loop_scope="session")

# A phone in a process of its own: it calls, says what it was told, and that the echo came back.
_PHONE = """
import asyncio, json, logging, sys
from plivo_nb import Client, MediaError, Tone

told = {"permission": [], "log": [], "state": None, "heard": None, "sound": None}


class Keep(logging.Handler):
    def emit(self, record):
        told["log"].append(record.getMessage())


async def main():
    logging.getLogger("plivo_nb.sound").addHandler(Keep())
    options = json.loads(sys.argv[1])
    client = Client(options)
    client.on("onMediaPermission", told["permission"].append)
    await client.login("bob", sys.argv[2])
    told["devices"] = len(await client.audio.available_devices())
    try:
        await client.audio.reveal_audio_devices()
        told["revealed"] = None
    except MediaError as error:
        told["revealed"] = error.code
    second = Client(options)
    call = await client.call("echo")
    call.play(Tone(440.0))
    told["heard"] = False
    async with asyncio.timeout(10):
        while not told["heard"]:
            await asyncio.sleep(0.05)
            told["heard"] = call.levels_dbfs[0] > -40
    told["state"] = call.info.state
    told["sound"] = client.audio.mode
    await call.hangup()
    await second.close()
    await client.close()
    print(json.dumps(told))


asyncio.run(main())
"""


async def phone(lab: Lab, folder: Path, environment: dict[str, str], **options: object) -> tuple[dict, str]:
    """Run the phone; returns its events and what it wrote to standard error."""
    script = folder / "phone.py"
    script.write_text(textwrap.dedent(_PHONE))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        json.dumps({**lab.options(), "sound": None, **options}),
        lab.password("bob"),
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, errors.decode()
    return json.loads(out), errors.decode()


@pytest.fixture
def no_portaudio(tmp_path: Path) -> dict[str, str]:
    """An environment in which the dynamic linker does not know PortAudio."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import ctypes.util\n"
        "find = ctypes.util.find_library\n"
        "ctypes.util.find_library = lambda name: None if name == 'portaudio' else find(name)\n"
    )
    return {"PYTHONPATH": str(hidden)}


async def test_without_portaudio_calls_go_on_and_it_is_said_once_what_to_install(
    lab: Lab, tmp_path: Path, no_portaudio: dict[str, str]
) -> None:
    told, errors = await phone(lab, tmp_path, no_portaudio)
    assert told["permission"] == [{"status": "failure", "error": "NotFoundError"}]
    assert (told["devices"], told["revealed"], told["sound"]) == (0, "NotFoundError", "none")
    assert (told["state"], told["heard"]) == ("answered", True)
    [said] = told["log"]
    assert "apt install libportaudio2" in said
    assert "sound='none'" in said
    assert "Traceback" not in errors
    assert not [line for line in errors.splitlines() if "WARN" in line or "ERROR" in line]


async def test_sound_that_was_asked_for_and_is_missing_is_a_warning(
    lab: Lab, tmp_path: Path, no_portaudio: dict[str, str]
) -> None:
    told, _ = await phone(lab, tmp_path, no_portaudio, sound="device")
    assert told["permission"] == [{"status": "failure", "error": "NotFoundError"}]
    assert told["heard"] is True
    assert len(told["log"]) == 2, "two clients asked for it"


async def test_portaudio_without_any_device(lab: Lab, tmp_path: Path) -> None:
    told, errors = await phone(lab, tmp_path, {"PULSE_SERVER": f"unix:{tmp_path}/nothing"})
    assert told["permission"] == [{"status": "failure", "error": "NotFoundError"}]
    assert (told["devices"], told["revealed"]) == (0, "NotFoundError")
    assert (told["state"], told["heard"]) == ("answered", True)
    assert "no sound device" in told["log"][0]
    assert "ALSA lib" not in errors


@pytest.mark.spec("2 sound")
async def test_sound_none_loads_nothing_and_asks_nobody(lab: Lab, tmp_path: Path, no_portaudio) -> None:
    told, _ = await phone(lab, tmp_path, no_portaudio, sound="none")
    assert len(told["permission"]) == 1, "only revealAudioDevices asked"
    assert (told["log"], told["sound"], told["heard"]) == ([], "none", True)


async def test_a_script_that_forgets_to_close_ends_soon_and_without_a_word(
    lab: Lab, server: SoundServer, tmp_path: Path
) -> None:
    script = tmp_path / "forgetful.py"
    script.write_text(
        "import asyncio, json, sys\n"
        "from plivo_nb import Client\n"
        "async def main():\n"
        "    global client\n"
        "    client = Client(json.loads(sys.argv[1]))\n"
        "    await client.login('carol', sys.argv[2])\n"
        "    await client.call('echo')\n"
        "    while not client.audio.latency_ms:\n"
        "        await asyncio.sleep(0.01)\n"
        "    await asyncio.sleep(0.3)\n"
        "loop = asyncio.new_event_loop()\n"
        "loop.run_until_complete(main())\n"
    )
    options = json.dumps({**lab.options(), "sound": "device", "debug": "WARN"})
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), options, lab.password("carol"), stderr=subprocess.PIPE
    )
    _, errors = await asyncio.wait_for(process.communicate(), 30)
    assert errors.decode() == ""
    assert process.returncode == 0

    async def hung_up() -> bool:
        return not (await lab.status())["calls"]

    await until(hung_up, timeout_s=5, interval_s=0.05)


@contextlib.contextmanager
def crowd(server: SoundServer) -> Iterator[None]:
    """Take all connections that PulseAudio has, so that it refuses the next one."""
    path = server.address.removeprefix("unix:")
    with contextlib.ExitStack() as stack:
        for _ in range(64):
            taken = stack.enter_context(socket.socket(socket.AF_UNIX))
            taken.connect(path)
        yield


@pytest.mark.spec("4 onMediaPermission")
async def test_a_device_that_cannot_be_had_is_not_allowed_and_the_call_goes_on(
    lab: Lab, server: SoundServer, talkers
) -> None:
    client = talkers(permOnClick=True, preDetectOwa=True)
    permissions: list[dict] = []
    metrics: list[dict] = []
    client.on("onMediaPermission", permissions.append)
    client.on("mediaMetrics", metrics.append)
    await client.login("alice", lab.password("alice"))
    assert await client.audio.available_devices("input")
    await asyncio.sleep(0.3)  # the one who listens for changes is connected too
    with crowd(server):
        call = await client.call("echo")
        await until(lambda: permissions and metrics)
        assert permissions == [{"status": "failure", "error": "NotAllowedError"}]
        assert call.info.state == "answered"
    lost = [m for m in metrics if m["type"] == "no_microphone_access"]
    assert (lost[0]["active"], lost[0]["desc"]) == (True, "lost access to microphone")
    # once the other program has gone, the microphone is there by itself
    await until(lambda: server.streams()["in"] == {"mic"})
    await call.hangup()


async def test_a_sound_server_that_is_restarted_in_a_call_is_found_again(
    lab: Lab, server: SoundServer, tmp_path: Path, clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pulse"
    changes: list[str] = []
    monkeypatch.setenv("PULSE_SERVER", f"unix:{folder}/native")  # the other server is out of sight
    with sound_server(folder, leave=True):
        client = clients(sound="device")
        client.on("onAudioDeviceChange", lambda event: changes.append(event["change"]))
        await client.login("alice", lab.password("alice"))
        call = await client.call("echo")
        await until(lambda: len(client.audio.latency_ms) == 2)
    await until(lambda: changes == ["removed"] * 4)
    assert await client.audio.available_devices() == []
    (folder / "native").unlink(missing_ok=True)
    with sound_server(folder) as again, again.playing(sine(440, -18)), again.recording() as speaker:
        await until(lambda: again.streams() == {"in": {"mic"}, "out": {"speaker"}}, 15.0)
        await until(lambda: changes[4:] == ["added"] * 4)
        await until(lambda: peaks_hz(speaker.last(0.5)) == pytest.approx([440], abs=6))
        assert call.info.state == "answered"
        await call.hangup()
        await client.close()
