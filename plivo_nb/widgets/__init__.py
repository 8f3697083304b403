"""What is shown in a notebook: views on what the engine already keeps.

    phone.py          Phone: dial, answer, mute, tones; whatever a click does a line of code does too
    dashboard.py      Dashboard: four live panels and the key figures, once a second
    knobs.py          Knobs: sliders of a lab's network
    app.py            app(): lab, client, phone and dashboard in one line
    layout.py         SideBySide: phone and dashboard next to each other
    render_worker.py  the kernel's end of the drawing process
    figure.py         the drawing process itself: stands alone, never imported by the package
    chores.py         how a click on any thread becomes work on the client's loop
    theme.py          colours, words and CSS

Nobody imports this room but a notebook. It reaches the engine through the client's public surface only.
"""

from plivo_nb.quality.limits import verdict
from plivo_nb.widgets.dashboard import Dashboard
from plivo_nb.widgets.knobs import Knobs
from plivo_nb.widgets.layout import SideBySide
from plivo_nb.widgets.phone import Phone

__all__ = ["Dashboard", "Knobs", "Phone", "SideBySide", "verdict"]
