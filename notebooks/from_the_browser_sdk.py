"""Makes 00_from_the_browser_sdk.ipynb from one table: what a page says in JavaScript, and the same in Python.

    python notebooks/from_the_browser_sdk.py && jupyter execute --inplace notebooks/00_from_the_browser_sdk.ipynb

Every method and every event of the SDK has a row; a test holds the table against the code.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path

TARGET = Path(__file__).with_name("00_from_the_browser_sdk.ipynb")


@dataclass(frozen=True)
class Row:
    """One line of the table. `names`: methods and events that it shows; `text`: what a reader should know."""

    names: tuple[str, ...]
    javascript: str
    python: str
    text: str = ""


@dataclass(frozen=True)
class Part:
    """Some rows under a heading; their Python is one cell, which can be run."""

    title: str
    text: str
    rows: tuple[Row, ...]


PARTS = (
    Part(
        "Make a client",
        "Options have Plivo's keys. Keywords work too, in either spelling: `Client(perm_on_click=True)`. The first "
        "three lines are this notebook's own: a lab to call in, and a sound card that exists only here.",
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
        "decorator. `await client.wait_for(name)` and `async for event in client.events()` listen without one.",
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
                "Here callInfo comes first, as documented; it carries originator and reason too.",
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
                "// none: this kit's own",
                'client.on("onDtmfReceived", lambda event: note("onDtmfReceived", event["tone"]))',
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
        "A method returns at once and can be ignored: events tell the rest. Or await it, and it gives its result or "
        "raises this package's exception with the cause.",
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
        "Devices have ids that stay. `set` during a call moves the call.",
        (
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
                ("microphoneDevices",),
                "client.audio.microphoneDevices.set(mics[0].deviceId);\nclient.audio.microphoneDevices.get();",
                "await client.audio.microphoneDevices.set(mics[0].deviceId)\nclient.audio.microphoneDevices.get()",
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
            Row(("setRingTone",), "client.setRingTone(true);", "client.setRingTone(True)"),
            Row(("setRingToneBack",), "client.setRingToneBack(false);", "client.setRingToneBack(False)"),
            Row(("setConnectTone",), "client.setConnectTone(false);", "client.setConnectTone(False)"),
        ),
    ),
    Part(
        "Call",
        "`extraHeaders` are X-PH headers. The awaited call is a `Call`: `.info`, `.samples`, `.play(file)`, "
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
                "States and W3C statistics of the call, under the browsers' names.",
            ),
            Row(
                ("getCallUUID",),
                "client.getCallUUID();",
                "uuid = client.getCallUUID()  # the same as call.info.callUUID",
            ),
            Row(("hangup",), "client.hangup();", "(await client.hangup()).state"),
        ),
    ),
    Part(
        "Rate it",
        "For the current call or the last one; score 1 to 5, and one of the documented comments.",
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
        "Be called",
        "The lab's robots ring whom you like.",
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
                "It goes on ringing for the caller.",
            ),
        ),
    ),
    Part(
        "Log out",
        "`close` also ends what the client started; `async with` does it by itself.",
        (Row(("logout",), "client.logout();", "await client.logout()"),),
    ),
)
INTRO = (
    "# From the Browser SDK\n\nYou have Plivo's Browser SDK page open, or code that was written with it. Here is every "
    "method and every event of it: JavaScript on the left, the same in Python on the right, and below a cell that "
    "runs what stands on the right. Both spellings work, `sendDtmf` and `send_dtmf`.\n\n"
    "The calls go to the *lab*, a small telephone company that comes with `plivo_nb`; nothing leaves this computer."
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
    """The two columns, as HTML in Markdown: Jupyter's Markdown tables hold no lines of code."""
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
    """(kind, source) of every cell."""
    made = [("markdown", INTRO), ("code", SETUP)]
    for part in PARTS:
        made.append(("markdown", table_of(part)))
        made.append(("code", "\n".join(row.python for row in part.rows)))
    made.append(("markdown", "## What was heard\n\nEvery event went through `note`; close what was opened."))
    made += [("code", source) for source in OUTRO]
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
