"""pjsua2 in the rows of CPU, memory, set-up, loss and echo: both ends of each call in one process, PCMU.

    PEERS-PYTHON -m bench.peers.pjsip cost '{"codec": "PCMU", "calls": 10, "seconds": 10}'

The wheel holds four ends of calls in a process, so ten calls are five processes. There is no sound card: its
null device keeps the time. SIP goes over TCP, and RTP without encryption. It runs in the environment of the
peers, so it imports nothing of this package.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pjsua2 as pj
import psutil

from bench.peers import speech
from bench.peers.dropper import Dropper

RATE = 8_000
ACTIVE = pj.PJSUA_CALL_MEDIA_ACTIVE
LIVING: list[Any] = []  # objects that end in another order than pjsua2 expects abort the process


class Call(pj.Call):
    """A call whose state is kept with its times, and whose description goes through a line, if it has one."""

    def __init__(self, account: Account, number: int = pj.PJSUA_INVALID_ID) -> None:
        super().__init__(account, number)
        self.role = "speaker" if number == pj.PJSUA_INVALID_ID else "listener"
        self.line: Dropper | None = None
        self.times: dict[str, float] = {}
        self.audio: Any = None

    def onCallState(self, prm: Any) -> None:
        state = self.getInfo().stateText
        self.times.setdefault(state, time.monotonic())

    def onCallSdpCreated(self, prm: Any) -> None:
        if self.line is not None:
            prm.sdp.wholeSdp = self.line.reroute_plain(self.role, prm.sdp.wholeSdp)

    def has_audio(self) -> bool:
        """Whether its sound can be connected; then `audio` is it."""
        info = self.getInfo()  # its media are gone when it is
        if self.audio is None and self.hasMedia() and info.media[0].status == ACTIVE:
            self.audio = self.getAudioMedia(0)
        return self.audio is not None

    def packets(self) -> int:
        try:
            stat = self.getStreamStat(0)  # as above
            return int(stat.rtcp.rxStat.pkt)
        except pj.Error:  # no stream yet
            return 0


class Account(pj.Account):
    """An account; calls to it ring, and are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.line: Dropper | None = None
        self.calls: list[Call] = []
        self.registered = False

    def onRegState(self, prm: Any) -> None:
        self.registered = prm.code == 200

    def onIncomingCall(self, prm: Any) -> None:
        call = Call(self, prm.callId)
        call.line = self.line
        self.calls.append(call)
        call.answer(_code(180))


def _code(number: int) -> Any:
    prm = pj.CallOpParam()
    prm.statusCode = number
    return prm


class Phone:
    """The endpoint of the process."""

    def __init__(self) -> None:
        LIVING.append(self)
        self.endpoint = pj.Endpoint()
        self.endpoint.libCreate()
        config = pj.EpConfig()
        config.logConfig.level = config.logConfig.consoleLevel = 0
        config.uaConfig.maxCalls = 4
        config.uaConfig.threadCnt = 1
        config.medConfig.noVad = True
        config.medConfig.clockRate = config.medConfig.sndClockRate = RATE
        config.medConfig.ecOptions = config.medConfig.ecTailLen = 0
        self.endpoint.libInit(config)
        self.endpoint.audDevManager().setNullDev()
        transport = pj.TransportConfig()
        transport.boundAddress = "127.0.0.1"
        self._transport = self.endpoint.transportCreate(pj.PJSIP_TRANSPORT_TCP, transport)
        self.endpoint.libStart()
        for codec in self.endpoint.codecEnum2():
            self.endpoint.codecSetPriority(codec.codecId, 255 if codec.codecId.startswith("PCMU") else 0)
        self.port = int(self.endpoint.transportGetInfo(self._transport).localName.rpartition(":")[2])
        self._direct: Account | None = None  # there may be eight at the most
        self._kept: list[Any] = []

    def account(self, user: str, server: str | None = None) -> Account:
        config = pj.AccountConfig()
        config.idUri = f"sip:{user}@" + ("phone.plivo.com" if server else f"127.0.0.1:{self.port}")
        config.mediaConfig.transportConfig.boundAddress = "127.0.0.1"
        if server:
            proxy = f"sip:{server};transport=tcp;lr"
            config.regConfig.registrarUri = "sip:phone.plivo.com;transport=tcp"
            config.sipConfig.proxies.append(proxy)
            config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", user, 0, f"{user}-secret"))
        account = Account()
        account.create(config)
        return account

    def call(self, caller: Account, target: str, line: Dropper | None = None) -> Call:
        call = Call(caller)
        call.line = line
        call.makeCall(target, pj.CallOpParam(True))
        return call

    def direct(self, line: Dropper | None = None) -> tuple[Call, Call]:
        """An answered call of the process with itself, without a server."""
        if self._direct is None:
            self._direct = self.account("user")
        account = self._direct
        account.line = line
        call = self.call(account, f"sip:user@127.0.0.1:{self.port};transport=tcp", line)
        wait(lambda: account.calls, "no call came in")
        taken = account.calls.pop()
        taken.answer(_code(200))
        wait(lambda: call.has_audio() and taken.has_audio(), "no media")
        self._kept += [call, taken]
        return call, taken

    def play(self, file: str, loop: bool = False) -> Any:
        player = pj.AudioMediaPlayer()
        player.createPlayer(file, 0 if loop else pj.PJMEDIA_FILE_NO_LOOP)
        self._kept.append(player)
        return player

    def speaker(self) -> Any:
        return self.endpoint.audDevManager().getPlaybackDevMedia()


def wait(condition: Callable[[], Any], what: str, timeout_s: float = 10.0) -> None:
    """Wait until the condition holds; pjsua2's own threads do the work."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"pjsua2: {what} in {timeout_s:g} s")
        time.sleep(0.0005)


def recorded(file: str) -> speech.Pcm:
    """What a recorder has written so far: the lengths in the file's head are 0 until the process ends."""
    return np.frombuffer(Path(file).read_bytes(), np.int16, offset=44)


def cost(codec: str, calls: int, seconds: float) -> dict[str, float]:
    """CPU seconds an endpoint-minute, and memory of the process."""
    phone = Phone()
    with tempfile.TemporaryDirectory() as folder:
        tone = str(Path(folder, "tone.wav"))
        wave = 3000 * np.sin(np.arange(RATE) * 2 * np.pi * 440 / RATE)
        speech.write(Path(tone), wave.astype(np.int16), RATE)
        ends = [end for _ in range(calls) for end in phone.direct()]
        for end in ends:
            phone.play(tone, loop=True).startTransmit(end.audio)
            end.audio.startTransmit(phone.speaker())
        time.sleep(2)
        packets, used = sum(end.packets() for end in ends), time.process_time()
        time.sleep(seconds)
        used = time.process_time() - used
        carried = (sum(end.packets() for end in ends) - packets) / (50 * seconds * 2 * calls)
        memory = psutil.Process().memory_info().rss / 1e6  # five processes share pages: not uss
    return {"cpu": used * 60 / seconds / (2 * calls), "memory_mb": memory, "carried": carried}


def setup(server: str, count: int, user: str) -> dict[str, list[float]]:
    """Times of logins and calls through a server, ms."""
    phone = Phone()
    found: dict[str, list[float]] = {"login": [], "ringing": [], "rtp": []}
    for n in range(count):
        began = time.monotonic()
        alice = phone.account(f"{user}a{n}", server)
        LIVING.append(alice)
        wait(lambda one=alice: one.registered, "no login")
        found["login"].append(1000 * (time.monotonic() - began))
        bob = phone.account(f"{user}b{n}", server)
        LIVING.append(bob)
        wait(lambda one=bob: one.registered, "no login")
        began = time.monotonic()
        call = phone.call(alice, f"sip:{user}b{n}@phone.plivo.com;transport=tcp")
        LIVING.append(call)
        wait(lambda one=call: "EARLY" in one.times, "no ringing")
        found["ringing"].append(1000 * (call.times["EARLY"] - began))
        taken = bob.calls[0]
        began = time.monotonic()
        taken.answer(_code(200))
        wait(lambda one=taken: one.packets() > 0, "no RTP")
        found["rtp"].append(1000 * (time.monotonic() - began))
        phone.endpoint.hangupAllCalls()
        alice.shutdown()
        bob.shutdown()
    return found


def loss(codec: str, shares: list[float], seed: int, said: str, folder: str) -> dict[str, Any]:
    """Calls at the same time, one for each share of loss: what was not played, files of what was heard."""
    phone = Phone()
    lines = [Dropper(seed) for _ in shares]
    calls = [phone.direct(line) for line in lines]
    time.sleep(2)
    recorders, before = [], []
    for share, line, (speaker, listener) in zip(shares, lines, calls, strict=True):
        line.loss = share
        before.append(listener.getStreamStat(0))
        recorder = pj.AudioMediaRecorder()
        recorder.createRecorder(str(Path(folder, f"pjsua2-{codec}-{share}.wav")))
        listener.audio.startTransmit(recorder)
        phone.play(said).startTransmit(speaker.audio)
        recorders.append(recorder)
    frames = len(speech.read(Path(said))) / (RATE / 50)
    time.sleep(frames / 50 + 0.5)
    found: dict[str, Any] = {}
    for share, then, recorder, (_, listener) in zip(shares, before, recorders, calls, strict=True):
        now = listener.getStreamStat(0)
        listener.audio.stopTransmit(recorder)
        missing = sum(getattr(now.jbuf, name) - getattr(then.jbuf, name) for name in ("lost", "empty"))
        file = Path(folder, f"pjsua2-{codec}-{share}.wav")
        speech.write(file, recorded(str(file)), RATE)
        found[str(share)] = {"unplayed": missing / (frames + 25), "heard": str(file)}
    LIVING.extend((calls, recorders))
    return found


def echo(codec: str, seconds: float) -> dict[str, float]:
    """Mouth to ear through a far end whose conference bridge sends what it hears, ms."""
    phone = Phone()
    near, far = phone.direct()
    far.audio.startTransmit(far.audio)
    time.sleep(2)
    with tempfile.TemporaryDirectory() as folder:
        beeps, *files = (str(Path(folder, name)) for name in ("beeps.wav", "said.wav", "heard.wav"))
        speech.write(Path(beeps), speech.bursts(RATE, seconds), RATE)
        said, heard = pj.AudioMediaRecorder(), pj.AudioMediaRecorder()
        said.createRecorder(files[0])
        heard.createRecorder(files[1])
        player = phone.play(beeps)
        near.audio.startTransmit(heard)
        player.startTransmit(said)
        player.startTransmit(near.audio)
        time.sleep(seconds + 0.5)
        onsets = [speech.onsets(recorded(file), RATE) for file in files]
    LIVING.extend((said, heard))
    delays = speech.delays_ms(*onsets)
    return {"delay_ms": float(np.median(delays)), "bursts": len(delays)}


if __name__ == "__main__":
    run = {"cost": cost, "setup": setup, "loss": loss, "echo": echo}[sys.argv[1]]
    try:
        print(json.dumps(run(**json.loads(sys.argv[2]))), flush=True)
    except BaseException as error:
        traceback.print_exc()
        if isinstance(error, pj.Error):
            print(error.info(), file=sys.stderr)
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)  # pjsua2 aborts the process when its objects outlive its endpoint
