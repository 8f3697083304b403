"""Makes the reference of the package from its docstrings, with pdoc; a warning is an error.

python tests/reference.py [FOLDER]
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import warnings
from pathlib import Path

import plivo_nb

#: What users touch; everything else is told by docstrings where it is.
MODULES = (
    "plivo_nb",
    "plivo_nb.client",
    "plivo_nb.call",
    "plivo_nb.events",
    "plivo_nb.errors",
    "plivo_nb.options",
    "plivo_nb.operation",
    "plivo_nb.call_archive",
    "plivo_nb.preflight",
    "plivo_nb.testing",
    "plivo_nb.lab",
    "plivo_nb.lab.remote",
    "plivo_nb.engine.engine",
    "plivo_nb.engine.audio.devices",
    "plivo_nb.engine.audio.kept_audio",
    "plivo_nb.engine.peer_connection",
    "plivo_nb.media.audio.sources",
    "plivo_nb.media.audio.sinks",
    "plivo_nb.media.audio.recorder",
    "plivo_nb.quality.frames",
    "plivo_nb.quality.mos",
    "plivo_nb.quality.rules",
    "plivo_nb.analysis.call_frames",
    "plivo_nb.analysis.clip",
    "plivo_nb.analysis.comparison",
    "plivo_nb.analysis.listening",
    "plivo_nb.analysis.ladder",
    "plivo_nb.analysis.figures",
    "plivo_nb.analysis.plots",
    "plivo_nb.analysis.store",
    "plivo_nb.widgets",
)


def make(folder: Path) -> int:
    """Write the reference into `folder`; gives how many pages there are."""
    import pdoc

    for name in plivo_nb.__all__:
        getattr(plivo_nb, name)  # pdoc sees what has been used: names are loaded at their first use
    warnings.simplefilter("error")
    # A TypedDict does not keep its bases at run time, so pdoc cannot tell which keys are inherited.
    warnings.filterwarnings("ignore", r"Cannot determine where plivo_nb\.options\.OptionKeywords\.")
    pdoc.render.configure(docformat="google", search=True)
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.chdir(folder):  # where a folder has the package's name, pdoc wonders which one is meant
        pdoc.pdoc(*MODULES, output_directory=folder)
    return len(list(folder.rglob("*.html")))


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="plivo-nb-reference-"))
    print(f"{make(target)} pages, without a warning, in {target}")
