"""A PulseAudio of its own for tests: null sinks as speakers, and a cable whose far end is a microphone."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pulsectl

from plivo_nb.audio_types import Pcm

RATE = 48_000
_SOON = ["nice", "-n", "-10"]  # as sound servers run; where that is not allowed it has no effect

# norewinds: a null sink else swallows two seconds at once when it begins, as no sound card does.
_SINK = (
    "load-module module-null-sink sink_name={name} rate=48000 norewinds=1 "
    "sink_properties=device.description={label}"
)
_SCRIPT = [
    "load-module module-native-protocol-unix auth-anonymous=1 socket={socket}",
    _SINK.format(name="cable", label="Cable"),
    _SINK.format(name="speaker", label="Loudspeaker"),
    _SINK.format(name="headset", label="Headset"),
    "load-module module-remap-source source_name=mic master=cable.monitor "
    "source_properties=device.description=Desk-microphone",
    "set-default-sink speaker",
    "set-default-source mic",
]


class SoundServer:
    """A PulseAudio that runs. Made by `sound_server`."""

    def __init__(self, socket: Path) -> None:
        self.address = f"unix:{socket}"
        self.plugged: list[int] = []
        self._pulse = pulsectl.Pulse("tests", server=self.address, connect=False)
        self._pulse.connect(wait=True)

    def close(self) -> None:
        self._pulse.close()

    # ------------------------------------------------------------ devices

    def plug_sink(self, name: str, label: str) -> int:
        """Add a loudspeaker; gives what `unplug` takes."""
        module, arguments = _SINK.format(name=name, label=label).removeprefix("load-module ").split(" ", 1)
        return self._plugged(self._pulse.module_load(module, arguments))

    def plug_source(self, name: str, label: str, of: str = "cable") -> int:
        """Add a microphone that hears what is played into the sink `of`."""
        arguments = f"source_name={name} master={of}.monitor source_properties=device.description={label}"
        return self._plugged(self._pulse.module_load("module-remap-source", arguments))

    def _plugged(self, module: int) -> int:
        self.plugged.append(module)
        return module

    def unplug(self, module: int) -> None:
        self.plugged.remove(module)
        self._pulse.module_unload(module)

    def unplug_all(self) -> None:
        """Remove what a test that failed has left."""
        for module in reversed(self.plugged[:]):
            self.unplug(module)

    def streams(self) -> dict[str, set[str]]:
        """Which of our own streams is where: {'in': names of sources, 'out': names of sinks}."""
        pid = str(os.getpid())
        sources = {item.index: item.name for item in self._pulse.source_list()}
        sinks = {item.index: item.name for item in self._pulse.sink_list()}
        ours_in = self._pulse.source_output_list()
        ours_out = self._pulse.sink_input_list()
        return {
            "in": {sources[s.source] for s in ours_in if s.proplist.get("application.process.id") == pid},
            "out": {sinks[s.sink] for s in ours_out if s.proplist.get("application.process.id") == pid},
        }

    # ------------------------------------------------------------ sound

    @contextlib.contextmanager
    def playing(self, pcm: Pcm, sink: str = "cable") -> Iterator[None]:
        """Play samples into a sink, over and over."""
        command = [
            *_SOON,
            "pacat",
            f"--server={self.address}",
            "--playback",
            f"--device={sink}",
            f"--rate={RATE}",
        ]
        command += ["--channels=1", "--format=s16le", "--latency-msec=40", "--raw"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            data = pcm.tobytes()

            def feed() -> None:
                assert process.stdin is not None
                with contextlib.suppress(OSError, ValueError):
                    while True:
                        process.stdin.write(data)

            thread = threading.Thread(target=feed, daemon=True)
            thread.start()
            try:
                yield
            finally:
                process.kill()
                thread.join(2.0)
                with contextlib.suppress(OSError):
                    process.stdin.close()

    @contextlib.contextmanager
    def recording(self, sink: str = "speaker") -> Iterator[Recording]:
        """Record what a sink plays. Read it in the block, or after it."""
        command = [*_SOON, "parec", f"--server={self.address}", f"--device={sink}.monitor", f"--rate={RATE}"]
        command += ["--channels=1", "--format=s16le", "--latency-msec=20", "--raw"]
        recording = Recording()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            reader = threading.Thread(target=recording.take, args=(process.stdout,), daemon=True)
            reader.start()
            try:
                assert recording.begun.wait(10.0), "parec gives nothing"
                yield recording
            finally:
                process.kill()
                reader.join(2.0)


class Recording:
    """What was recorded so far."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self._parts: list[bytes] = []
        self.began_s = 0.0

    def take(self, pipe: object) -> None:
        while data := pipe.read1(65_536):  # type: ignore[attr-defined]  # a pipe of Popen
            if not self._parts:
                self.began_s = time.monotonic()
                self.begun.set()
            self._parts.append(data)

    @property
    def pcm(self) -> Pcm:
        data = b"".join(self._parts)
        return np.frombuffer(data[: len(data) // 2 * 2], np.int16)

    @property
    def seconds(self) -> float:
        return len(self.pcm) / RATE

    def last(self, seconds: float) -> Pcm:
        return self.pcm[-round(seconds * RATE) :]


@contextlib.contextmanager
def sound_server(folder: Path, *, leave: bool = False) -> Iterator[SoundServer]:
    """Start a PulseAudio in `folder`; this process's sound goes there meanwhile, with `leave` also later."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    socket = folder / "native"
    script = folder / "start.pa"
    script.write_text("\n".join(_SCRIPT).format(socket=socket) + "\n")
    environment = {
        **os.environ,
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "PULSE_RUNTIME_PATH": str(folder),
        "PULSE_STATE_PATH": str(folder / "state"),
    }
    command = [*_SOON, "pulseaudio", "-n", "-F", str(script), "--daemonize=no", "--use-pid-file=no"]
    command += ["--exit-idle-time=-1", "--disable-shm=yes", "--high-priority=no", "--realtime=no"]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    before = os.environ.get("PULSE_SERVER")
    try:
        deadline = time.monotonic() + 15.0
        while not socket.exists():
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, "PulseAudio does not come up"
            time.sleep(0.05)
        os.environ["PULSE_SERVER"] = f"unix:{socket}"
        server = SoundServer(socket)
        try:
            yield server
        finally:
            server.close()
    finally:
        if leave:
            pass
        elif before is None:
            os.environ.pop("PULSE_SERVER", None)
        else:
            os.environ["PULSE_SERVER"] = before
        process.terminate()
        process.wait(10.0)


# ---------------------------------------------------------------- looking at sound


def sine(frequency_hz: float, level_dbfs: float, seconds: float = 1.0) -> Pcm:
    """A sine of so many dBFS (RMS); whole seconds of whole hertz join without a seam."""
    amplitude = 32767 * 10 ** (level_dbfs / 20) * 2**0.5
    time_s = np.arange(round(seconds * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.int16)


def level_dbfs(pcm: Pcm) -> float:
    """RMS of a typical 20 ms, so that a drop-out on a busy machine does not count; -100 for silence."""
    frame = RATE // 50
    frames = pcm[: len(pcm) // frame * frame].astype(np.float64).reshape(-1, frame) / 32768
    power = float(np.median(np.mean(frames**2, axis=1))) if len(frames) else 0.0
    return max(-100.0, 10 * np.log10(power)) if power > 0 else -100.0


def peaks_hz(pcm: Pcm, count: int = 1) -> list[float]:
    """The strongest frequencies, ascending; each at least 40 Hz from the others."""
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
    width = len(pcm) / RATE  # bins per hertz
    found = []
    for _ in range(count):
        index = int(spectrum.argmax())
        found.append(index / width)
        spectrum[max(0, round(index - 40 * width)) : round(index + 40 * width) + 1] = 0
    return sorted(found)


def bursts(pcm: Pcm, threshold_dbfs: float = -50.0, gap_s: float = 0.03) -> list[tuple[float, float]]:
    """From when to when there is sound, in seconds; pauses shorter than `gap_s` do not count."""
    frame = RATE // 200
    count = len(pcm) // frame
    levels = np.abs(pcm[: count * frame].astype(np.int32)).reshape(count, frame).max(axis=1)
    loud = np.flatnonzero(levels > 32768 * 10 ** (threshold_dbfs / 20))
    spans: list[tuple[float, float]] = []
    for index in loud:
        begin, end = index * frame / RATE, (index + 1) * frame / RATE
        if spans and begin - spans[-1][1] <= gap_s:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((begin, end))
    return spans
