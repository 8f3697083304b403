"""Widgets for notebooks. They use the public methods and events of the client only.

    phone.py           Phone: its parts, and a method for each button
    phone_view.py      the dial field, the pad and the texts
    screen.py          what the screen shows, as a function of the client's state
    event_words.py     the client's events in plain words
    dial_string.py     what is dialled for a text that was typed or pasted
    account.py         AccountForm: who is logged in, and the connection to the server
    incoming.py        IncomingCalls: the calls that are ringing here
    call_controls.py   CallControls: score, recording, meters and keys in a call; then its rating
    meters.py, .js     LevelMeters: how loud the call is in each direction
    sound_source.py    SoundSource: selects what calls send
    browser_sound.py   BrowserSoundPanel: the sound of the page that displays the phone; the JavaScript is in
                       browser_sound.js, sound_worklets.js and page_peer.js
    audio_settings.py  AudioSettings: selects devices, sets the volume
    feedback.py        Feedback: rates the call that was answered last
    history.py, .js    History: the calls that have ended
    dashboard.py       Dashboard, LiveDashboard: panels and the latest values
    dashboard_view.py  its ipywidgets
    panels.py, .js     Panels: four panels on a canvas in the page
    call_series.py     CallSeries: the values of a call that are drawn, in bounded memory
    stills.py          Stills: pictures of a call, and the output of the cell that keeps one
    page_probe.py      PageProbe: finds out whether a page has opened the widgets
    call_quality.py    CallQuality: tiles and banner of the client's call
    quality_view.py    their ipywidgets
    key_figures.py     the figures in the tiles: now, of a whole call, none
    plain_warnings.py  the words of mediaMetrics warnings
    replay.py          Replay: a call to go through again
    replay_view.py     its ipywidgets
    recorded_call.py   RecordedCall: a call from a frame, a file or a Call
    export.py          a call to files: PNG, SVG, Parquet, WAV
    export_bar.py      ExportBar: a button for each
    code_log.py        CodeLog: what was clicked, as Python
    copy_code.py       CopyCode: a button that copies it; the JavaScript is copy_code.js
    knobs.py           Knobs: controls for a lab's network
    lab_drawer.py      LabDrawer: knobs, scenarios and robots of a lab, below phone and dashboard
    true_loss.py       TrueLoss: the packets that a lab's network really dropped
    app.py             app(): lab, client, phone and dashboard in one call; SideBySide
    render_worker.py   RenderWorker: the drawing process as seen from the kernel
    figure.py          the drawing process; run as a script, imports nothing from the package
    loop_tasks.py      LoopTasks: tasks of a widget on the client's event loop
    theme.py           colours and CSS

No other package imports this one.
"""

from plivo_nb.quality.limits import verdict
from plivo_nb.widgets.app import SideBySide
from plivo_nb.widgets.dashboard import Dashboard, LiveDashboard
from plivo_nb.widgets.knobs import Knobs
from plivo_nb.widgets.lab_drawer import LabDrawer
from plivo_nb.widgets.phone import Phone
from plivo_nb.widgets.replay import Replay

__all__ = ["Dashboard", "Knobs", "LabDrawer", "LiveDashboard", "Phone", "Replay", "SideBySide", "verdict"]
