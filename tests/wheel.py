"""What must hold where only the wheel is installed; tests/run.sh runs this file there, outside the clone."""

import importlib
import pkgutil
from importlib.metadata import metadata, version
from pathlib import Path

import plivo_nb

assert "site-packages" in Path(plivo_nb.__file__).parts, plivo_nb.__file__
assert version("plivo-nb") == plivo_nb.__version__
assert metadata("plivo-nb").get_all("Project-URL"), "the wheel names its repository"
for name in plivo_nb.__all__:
    getattr(plivo_nb, name)
for module in pkgutil.walk_packages(plivo_nb.__path__, "plivo_nb."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
package = Path(plivo_nb.__file__).parent
for file in ("py.typed", "data/speech.opus", "widgets/styles/base.css"):
    assert (package / file).is_file(), f"{file} is not in the wheel"
assert Path(plivo_nb.speech_path()).is_file()
