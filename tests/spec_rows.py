"""The rows of the contract, the tests that name them, and whether those pass.

    python tests/spec_rows.py            runs every test that names a row and prints the table
    python tests/spec_rows.py --list     only looks whether each row has a test

A test names its rows with ``@pytest.mark.spec("3 login", "4 onLogin")``. The number is the contract's
section: 1 names, 2 options, 3 methods, 4 events, 5 several incoming calls, 6 mediaMetrics.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

ROWS: dict[str, str] = {
    "1 entry": "Plivo(options).client and Client(options) are the same object",
    "1 aliases": "each method has its PEP 8 name and Plivo's",
    "1 keywords": "options as a dict with Plivo's keys or as keywords in PEP 8 names",
    # 2
    "2 debug": "level of the plivo_nb logger; ALL logs every SIP message, masked",
    "2 permOnClick": "when the microphone is asked for",
    "2 audioConstraints": "what cannot be done is named in one warning",
    "2 enableTracking": "mediaMetrics, statistics and feedback, or none of them",
    "2 dscp": "media packets are marked EF, or not",
    "2 allowMultipleIncomingCalls": "section 5",
    "2 clientRegion": "X-ClientRegion of each INVITE",
    "2 preDetectOwa": "a lost device is told, also before a call",
    "2 registrationDomainSocket": "servers tried in turn",
    "2 iceServers": "STUN and TURN; what is too many is named",
    "2 iceTransportPolicy": "through a relay only, or any way",
    "2 iceGatheringTimeout": "gathering does not hold a call up",
    "2 loopbackCandidates": "127.0.0.1 among the candidates, or not",
    "2 jitterMinMs, jitterMaxMs": "bounds of the play-out delay",
    "2 sampleInterval": "seconds between samples",
    "2 rules": "a preset or rules of your own",
    "2 codecs": "what is offered, in order of preference",
    "2 maxAverageBitrate": "of Opus, told in the SDP",
    "2 statsUrl, insightsUrl": "where the statistics service is",
    "2 sound": "device, browser or none",
    "2 strict": "raise instead of warn",
    "2 unknown option": "one warning that names option, value and what is allowed; the default is used",
    # 3
    "3 awaitables": "methods return at once; awaiting gives the result or raises",
    "3 ignored failure": "a forgotten await loses no call, an ignored failure throws nowhere",
    "3 wrong state": "warning, and InvalidState with a sentence that says what to call instead",
    "3 login": "registers; onLogin or onLoginFailed(cause)",
    "3 login, empty": "onLoginFailed('Username and password must be filled out')",
    "3 login, during a call": "onLoginFailed('Cannot login when there is an ongoing call')",
    "3 login, same user": "succeeds with no second onLogin",
    "3 login, another user": "logs the first out",
    "3 logout": "hangs up, un-registers, closes; onLogout",
    "3 call": "the sequence of events of a call",
    "3 call, checks": "logged in, no call, no ringing call",
    "3 extraHeaders": "names and values; others are dropped with a warning each",
    "3 answer": "by id; none or unknown: the most recent",
    "3 hangup": "CANCEL before an answer, BYE after; a ringing one is rejected with a warning",
    "3 reject": "486; chosen as by answer",
    "3 ignore": "keeps ringing for the caller, cannot be answered, 408 in the end",
    "3 sendDtmf": "0-9 * #, a string in order; INFO; anything else refused whole",
    "3 mute, unmute": "silence, RTP goes on; holds from before the call; ends with it",
    "3 setRingTone": "built-in, none, a file or URL",
    "3 setRingToneBack": "built-in, early media, a file or URL",
    "3 setConnectTone": "dial tone until the first 18x, or none",
    "3 setDebug": "as the option debug",
    "3 getPeerConnection": "{'status', 'pc'}",
    "3 sendQualityFeedback": "call, score and comment checked; current or last call; only with tracking",
    "3 getCallUUID": "active from call or answer to the end",
    "3 getLastCallUUID": "set when answered, kept after",
    "3 webRTC": "True where the media stack loads",
    "3 version, isLoggedIn": "the package's version; registered or not",
    "3 audio.availableDevices": "by kind, with stable ids",
    "3 audio.revealAudioDevices": "opens the microphone once",
    "3 audio.microphoneDevices": "set, get, reset; moves the live call",
    "3 audio.speakerDevices": "remote audio, DTMF, ring-back; media()",
    "3 audio.ringtoneDevices": "the ring tone",
    # 4
    "4 on, once, off": "callbacks, also async, also as a decorator",
    "4 a callback that raises": "is logged with its event's name and breaks nothing",
    "4 onLogin": "no argument",
    "4 onLogout": "no argument",
    "4 onCalling": "no argument",
    "4 onWebrtcNotSupported": "no argument",
    "4 onLoginFailed": "cause",
    "4 onCallRemoteRinging": "callInfo, ringing",
    "4 onCallAnswered": "callInfo, answered; both directions",
    "4 onCallTerminated": "callInfo, ended, with originator and reason; both directions",
    "4 onIncomingCall": "callerID, extraHeaders, callInfo",
    "4 onIncomingCallCanceled": "callInfo, canceled",
    "4 onIncomingCallIgnored": "callInfo, ignored",
    "4 onCallFailed": "cause, callInfo: failed, rejected or canceled",
    "4 onMediaPermission": "status, stream or error",
    "4 mediaMetrics": "one object with Plivo's keys",
    "4 onAudioDeviceChange": "change, device",
    "4 onConnectionChange": "connected; disconnected with the real close code; not at logout",
    "4 onDtmfReceived": "tone, duration",
    "4 callInfo": "keys, src and dest by direction, a snapshot",
    "4 callUUID": "X-CallUUID, else the Call-ID; never changes once told",
    "4 causes": "the SDK's words for codes, Reason headers and reasons of our own",
    # 5
    "5 one call only": "a second incoming call is rejected silently, also while one is dialled",
    "5 several": "onIncomingCall for each; answering one hangs up and rejects the others",
    "5 several, the others": "rejecting or ignoring one leaves the others alone",
    "5 fifty": "more are rejected silently",
    "5 never two": "never two answered calls at once",
    # 6
    "6 high_jitter": "over 30 ms",
    "6 high_rtt": "over 400 ms",
    "6 high_packetloss": "over 10 % Opus, 20 % PCMU",
    "6 low_mos": "under 3",
    "6 no_audio_received": "-70 dBFS, 5 of 5",
    "6 no_microphone_access": "fewer than 80 bytes in 3 s",
    "6 ice_timeout": "gathering over 2 s, never cleared",
    "6 dead direction": "loss 1 and MOS 1 while packets are due and none arrives; a pause is not sent",
    "6 far-end reports": "a window of five reports; missing after 2.5 report intervals",
    "6 ice_connection": "disconnected or failed; cleared when back",
    "6 three of five": "raised at 3 of 5, cleared once when none of 5",
    "6 sdk-2.2": "the published packages' rule",
    "6 MOS": "the SDK's formula",
}


class Ledger:
    """A pytest plugin that notes which test names which row, and how each ended."""

    def __init__(self) -> None:
        self.tests: dict[str, list[str]] = defaultdict(list)
        self.unknown: list[str] = []
        self.outcome: dict[str, str] = {}

    def pytest_collection_modifyitems(self, config, items) -> None:
        named = []
        for item in items:
            rows = [row for mark in item.iter_markers("spec") for row in mark.args]
            if rows:
                named.append(item)
            for row in rows:
                (self.tests[row] if row in ROWS else self.unknown).append(item.nodeid)
        config.hook.pytest_deselected(items=[item for item in items if item not in named])
        items[:] = named

    def pytest_runtest_logreport(self, report) -> None:
        if report.failed or report.skipped or self.outcome.get(report.nodeid) is None:
            self.outcome[report.nodeid] = report.outcome

    def passing(self, row: str) -> bool:
        """Whether every test of this row passed."""
        return all(self.outcome.get(test) == "passed" for test in self.tests[row])


def run(ledger: Ledger, only_list: bool) -> str | None:
    """Collect and run what names a row; gives what went wrong besides tests, if anything did."""
    import pytest

    here = Path(__file__).parent
    arguments = [str(here / "unit"), str(here / "integration"), "-q", "--no-header"]
    try:
        code = pytest.main([*arguments, *(["--collect-only"] if only_list else [])], plugins=[ledger])
    except Exception as error:  # such as a warning at the very end: the table is printed all the same
        return f"pytest ended with {error!r}"
    collected = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    return None if code in collected else f"pytest ended with {code!r}"


def main(arguments: list[str]) -> int:
    """Run, unless only listing, and print the table."""
    ledger = Ledger()
    only_list = "--list" in arguments
    problem = run(ledger, only_list)
    counts = {"MISSING": 0, "FAILS": 0, "tested": 0, "passes": 0}
    for row, text in ROWS.items():
        tests = len(ledger.tests[row])
        if not tests:
            word = "MISSING"
        elif only_list:
            word = "tested"
        else:
            word = "passes" if ledger.passing(row) else "FAILS"
        counts[word] += 1
        print(f"{word:>8}  {tests:>2} tests  {row:32} {text}")
    for test in ledger.unknown:
        print(f"names a row that does not exist: {test}")
    if problem is not None:
        print(problem)
    passing = "not run" if only_list else f"{counts['passes']} passing"
    print(f"\n{len(ROWS)} rows, {len(ROWS) - counts['MISSING']} tested, {passing}.")
    return 1 if counts["MISSING"] or counts["FAILS"] or ledger.unknown or problem else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
