"""Generates 00_from_the_browser_sdk.ipynb from one table: JavaScript examples, and the same in Python.

    python notebooks/from_the_browser_sdk.py && jupyter execute --inplace notebooks/00_from_the_browser_sdk.ipynb

Every method and event of the SDK has a row; a test compares the table with the code.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path

TARGET = Path(__file__).with_name("00_from_the_browser_sdk.ipynb")


@dataclass(frozen=True)
class Row:
    """A row of the table. `names` are the methods and events that it shows; `text` is a remark."""

    names: tuple[str, ...]
    javascript: str
    python: str
    text: str = ""


@dataclass(frozen=True)
class Part:
    """Rows under a heading; their Python code is one cell."""

    title: str
    text: str
    rows: tuple[Row, ...]


PARTS = (
    Part(
        "Create a client",
        "Options have Plivo's keys. They can also be keyword arguments, in either spelling: `Client(perm_on_click=True)`. "
        "The first three lines are needed for this notebook only: they start a lab and replace the sound card.",
        (
            Row(
                ("Plivo", "client"),
                "const options = {debug: 'INFO', permOnClick: true,\n  enableTracking: true};\n"
                "const plivo = new window.Plivo(options);\nconst client = plivo.client;",
                "lab = await plivo_nb.Lab(seed=3).start()\nsound = FakeSound()\n"
                "here = lab.options(sound=sound)  # where the lab is; leave it out to reach Plivo\n"
                'options = {"debug": "INFO", "permOnClick": True, "enableTracking": True}\n'
                "plivo = plivo_nb.Plivo({**options, **here})\nclient = plivo.client",
            ),
        ),
    ),
    Part(
        "Listen to events",
        "Names and arguments are Plivo's. A callback may be a coroutine function, and `@client.on(...)` is a "
        "decorator. `await client.wait_for(name)` and `async for event in client.events()` need no callback.",
        (
            Row(
                ("on", "onLogin"),
                "client.on('onLogin', () => note('in'));",
                'client.on("onLogin", lambda: note("onLogin"))',
            ),
            Row(
                ("onLoginFailed",),
                "client.on('onLoginFailed', cause => note(cause));",
                'client.on("onLoginFailed", lambda cause: note("onLoginFailed", cause))',
            ),
            Row(
                ("onLogout",),
                "client.on('onLogout', () => note('out'));",
                'client.on("onLogout", lambda: note("onLogout"))',
            ),
            Row(
                ("onCalling",),
                "client.on('onCalling', () => note('calling'));",
                'client.on("onCalling", lambda: note("onCalling"))',
            ),
            Row(
                ("onCallRemoteRinging",),
                "client.on('onCallRemoteRinging', info => note(info));",
                'client.on("onCallRemoteRinging", lambda info: note("onCallRemoteRinging", info.state))',
            ),
            Row(
                ("onCallAnswered",),
                "client.on('onCallAnswered', info => note(info));",
                'client.on("onCallAnswered", lambda info: note("onCallAnswered", info.state))',
            ),
            Row(
                ("onCallTerminated",),
                "client.on('onCallTerminated', info => note(info));",
                'client.on("onCallTerminated", lambda info: note("onCallTerminated", info.state))',
                "callInfo is the first argument, as documented; it also contains originator and reason.",
            ),
            Row(
                ("onCallFailed",),
                "client.on('onCallFailed', (cause, info) => note(cause));",
                'client.on("onCallFailed", lambda cause, info: note("onCallFailed", cause))',
            ),
            Row(
                ("onIncomingCall",),
                "client.on('onIncomingCall',\n  (callerID, extraHeaders, info) => note(callerID));",
                'client.on("onIncomingCall", lambda caller_id, headers, info: note("onIncomingCall", info.state))',
            ),
            Row(
                ("onIncomingCallCanceled",),
                "client.on('onIncomingCallCanceled', info => note(info));",
                'client.on("onIncomingCallCanceled", lambda info: note("onIncomingCallCanceled", info.state))',
            ),
            Row(
                ("onIncomingCallIgnored",),
                "client.on('onIncomingCallIgnored', info => note(info));",
                'client.on("onIncomingCallIgnored", lambda info: note("onIncomingCallIgnored", info.state))',
            ),
            Row(
                ("onMediaPermission",),
                "client.on('onMediaPermission', event => note(event));",
                'client.on("onMediaPermission", lambda event: note("onMediaPermission", event["status"]))',
            ),
            Row(
                ("mediaMetrics",),
                "client.on('mediaMetrics', metric => warn(metric));",
                'client.on("mediaMetrics", metrics.append)',
            ),
            Row(
                ("onAudioDeviceChange",),
                "client.on('onAudioDeviceChange', event => note(event));",
                'client.on("onAudioDeviceChange", lambda event: note("onAudioDeviceChange", event["change"]))',
            ),
            Row(
                ("onConnectionChange",),
                "client.on('onConnectionChange', event => note(event));",
                'client.on("onConnectionChange", lambda event: note("onConnectionChange", event["state"]))',
            ),
            Row(
                ("onWebrtcNotSupported",),
                "client.on('onWebrtcNotSupported', () => note('no'));",
                'client.on("onWebrtcNotSupported", lambda: note("onWebrtcNotSupported"))',
            ),
            Row(
                ("onDtmfReceived",),
                "// none: plivo_nb's own",
                'client.on("onDtmfReceived", lambda event: note("onDtmfReceived", event["tone"]))',
            ),
            Row(
                ("onMediaError",),
                "// none: plivo_nb's own",
                'client.on("onMediaError", lambda error, info: note("onMediaError", error["message"]))',
            ),
            Row(
                ("once",),
                "client.once('onLogin', hello);",
                'client.once("onLogin", lambda: note("hello"))',
            ),
            Row(("off",), "client.off('onLogin', hello);", 'client.off("onDtmfReceived")'),
        ),
    ),
    Part(
        "Log in",
        "A method returns at once, and events report its result. If you await it, it returns its result or raises an "
        "exception of this package with the cause.",
        (
            Row(("webRTC",), "client.webRTC();", "client.webRTC()"),
            Row(
                ("login",),
                "client.login(username, password);",
                'await client.login("alice", lab.password("alice"))',
            ),
            Row(("isLoggedIn",), "client.isLoggedIn;", "client.isLoggedIn"),
            Row(("version",), "client.version;", "client.version"),
            Row(("setDebug",), "client.setDebug('DEBUG');", 'client.setDebug("INFO")'),
        ),
    ),
    Part(
        "Sound",
        "The ids of devices do not change. `set` during a call switches the call to the device.",
        (
            Row(("setRingTone",), "client.setRingTone(true);", "client.setRingTone(True)"),
            Row(("setRingToneBack",), "client.setRingToneBack(false);", "client.setRingToneBack(False)"),
            Row(("setConnectTone",), "client.setConnectTone(false);", "client.setConnectTone(False)"),
            Row(
                ("audio", "availableDevices"),
                "const mics = await client.audio\n  .availableDevices('input');",
                'mics = await client.audio.availableDevices("input")\n'
                'speakers = await client.audio.availableDevices("output")',
            ),
            Row(
                ("revealAudioDevices",),
                "client.audio.revealAudioDevices();",
                "await client.audio.revealAudioDevices()",
            ),
            Row(
                ("speakerDevices",),
                "client.audio.speakerDevices.set(speakers[0].deviceId);\n"
                "client.audio.speakerDevices.media('dtmf').play();",
                "await client.audio.speakerDevices.set(speakers[0].deviceId)\n"
                'client.audio.speakerDevices.media("dtmf")',
            ),
            Row(
                ("ringtoneDevices",),
                "client.audio.ringtoneDevices.reset();",
                "await client.audio.ringtoneDevices.reset()",
            ),
            Row(
                ("microphoneDevices",),
                "client.audio.microphoneDevices.set(mics[0].deviceId);\nclient.audio.microphoneDevices.get();",
                "await client.audio.microphoneDevices.set(mics[0].deviceId)\nclient.audio.microphoneDevices.get()",
            ),
        ),
    ),
    Part(
        "Call",
        "`extraHeaders` are X-PH headers. The result is a `Call` with `.info`, `.samples`, `.play(file)`, "
        "`.record(file)`, `.audio()`, `.ladder()`, `await call.ended`.",
        (
            Row(
                ("call",),
                "const extraHeaders = {'X-PH-Test1': 'test1'};\nclient.call('echo', extraHeaders);",
                'extraHeaders = {"X-PH-Test1": "test1"}\ncall = await client.call("echo", extraHeaders)',
            ),
            Row(("sendDtmf",), "client.sendDtmf('1');", 'await client.sendDtmf("1")  # or a string: "123#"'),
            Row(("mute",), "client.mute();", "client.mute()"),
            Row(("unmute",), "client.unmute();", "client.unmute()"),
            Row(
                ("getPeerConnection",),
                "client.getPeerConnection();",
                'stats = await client.getPeerConnection()["pc"].getStats()',
                "States and W3C statistics of the call, with the names that browsers use.",
            ),
            Row(
                ("getCallUUID",),
                "client.getCallUUID();",
                "uuid = client.getCallUUID()  # the same as call.info.callUUID",
            ),
            Row(
                ("hangup",),
                "client.hangup();",
                "ended = await client.hangup()\nended.direction, ended.state, ended.originator",
            ),
        ),
    ),
    Part(
        "Rate the call",
        "For the current or the last call: a score from 1 to 5 and one of the documented comments.",
        (
            Row(
                ("getLastCallUUID", "sendQualityFeedback"),
                "client.sendQualityFeedback(\n  client.getLastCallUUID(), 5, 'audio-latency');",
                'await client.sendQualityFeedback(client.getLastCallUUID(), 5, "audio-latency")\n'
                'int(client.calls["feedback_score"].iloc[-1])',
            ),
        ),
    ),
    Part(
        "Receive calls",
        "The lab's robots can call any user.",
        (
            Row(
                ("answer",),
                "client.answer(callUUID);",
                'await lab.call("alice")\nincoming = await client.answer(client.incoming_calls[-1].call_uuid)\n'
                "await client.hangup()",
            ),
            Row(
                ("reject",),
                "client.reject(callUUID);",
                'await lab.call("alice")\n(await client.reject()).state',
            ),
            Row(
                ("ignore",),
                "client.ignore(callUUID);",
                'await lab.call("alice")\n(await client.ignore()).state',
                "The caller still hears ringing.",
            ),
        ),
    ),
    Part(
        "Log out",
        "`close` logs out and ends everything that the client started; `async with` calls it automatically.",
        (Row(("logout",), "client.logout();", "await client.logout()"),),
    ),
)
INTRO = (
    "# From the Browser SDK\n\nThis notebook shows every method and event of Plivo's Browser SDK: JavaScript on the left, the "
    "same in Python on the right. The cell below each table runs the Python code. Both spellings work, `sendDtmf` and "
    "`send_dtmf`.\n\n"
    "The calls go to the *lab*, a small telephone service that is part of `plivo_nb`; nothing leaves this computer."
)
SETUP = (
    "import plivo_nb\nfrom plivo_nb.testing import FakeSound\n\nheard, metrics = [], []\n\n\n"
    'def note(*words):\n    heard.append(" ".join(words))'
)
OUTRO = (
    "sorted({line.split()[0] for line in heard})",
    "await client.close()\nawait lab.close()",
)


def table_of(part: Part) -> str:
    """The table of a part, as HTML, because cells of Markdown tables cannot contain several lines of code."""
    rows = []
    for row in part.rows:
        cells = "".join(
            f'<td style="text-align:left; vertical-align:top"><pre>{html.escape(code)}</pre></td>'
            for code in (row.javascript, row.python)
        )
        rows.append(f"<tr>{cells}</tr>")
        if row.text:
            rows.append(
                f'<tr><td colspan="2" style="text-align:left"><em>{html.escape(row.text)}</em></td></tr>'
            )
    head = '<tr><th style="text-align:left">JavaScript</th><th style="text-align:left">Python</th></tr>'
    return f"## {part.title}\n\n{part.text}\n\n<table>\n{head}\n" + "\n".join(rows) + "\n</table>"


def cells() -> list[tuple[str, str]]:
    """Kind and source of every cell."""
    made = [("markdown", INTRO), ("code", SETUP)]
    for part in PARTS:
        made.append(("markdown", table_of(part)))
        made.append(("code", "\n".join(row.python for row in part.rows)))
    made.append(
        ("markdown", "## The events\n\nEvery callback called `note`. Then close the client and the lab.")
    )
    made += [("code", source) for source in OUTRO]
    made.append(("markdown", "Next: [Your first call](01_first_call.ipynb)."))
    return made


def main() -> None:
    """Write the notebook, without outputs."""
    import nbformat
    from nbformat import v4

    made = [
        v4.new_markdown_cell(source, id=f"cell-{number}")
        if kind == "markdown"
        else v4.new_code_cell(source, id=f"cell-{number}")
        for number, (kind, source) in enumerate(cells())
    ]
    notebook = v4.new_notebook(
        cells=made,
        metadata={
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
    )
    nbformat.write(notebook, TARGET)


if __name__ == "__main__":
    main()
