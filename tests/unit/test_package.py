"""The package: public names, its map in the docstring, what is imported when, no printing."""

import ast
import importlib
import pathlib
import subprocess
import sys

import pytest
from bench.import_time import AIM_S, CLIENT, cpu_s

import plivo_nb

PACKAGE = pathlib.Path(plivo_nb.__file__).parent
PUBLIC = [
    "AudioFile",
    "Call",
    "CallFailed",
    "CallInfo",
    "CallSet",
    "ClassBoard",
    "Client",
    "Dashboard",
    "Engine",
    "EngineError",
    "InvalidFeedback",
    "InvalidOption",
    "InvalidState",
    "Lab",
    "LabError",
    "LoginFailed",
    "MediaError",
    "NoRunningLoop",
    "Operation",
    "Phone",
    "PlaneDied",
    "Plivo",
    "PlivoError",
    "Recorder",
    "Silence",
    "SourceError",
    "Tone",
    "__version__",
    "app",
    "check",
    "read",
    "schema",
    "speech_path",
]


def test_the_public_names_are_these_and_each_can_be_imported() -> None:
    assert sorted(plivo_nb.__all__) == PUBLIC
    for name in PUBLIC:
        assert getattr(plivo_nb, name) is not None


def test_a_name_that_is_not_public_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="softphone"):
        plivo_nb.softphone  # noqa: B018  (the access is what is tested)


def test_the_package_docstring_names_every_package_and_module() -> None:
    names = {path.stem for path in PACKAGE.glob("*.py")} | {
        path.parent.stem for path in PACKAGE.glob("*/__init__.py")
    }
    names -= {"__init__", "_version"}
    assert plivo_nb.__doc__ is not None
    assert {name for name in names if name not in plivo_nb.__doc__} == set()


def loaded(statement: str, *modules: str) -> list[str]:
    """Which of these modules a fresh interpreter has loaded after this statement."""
    code = f"import sys; {statement}; print(*[name for name in {modules!r} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return shown.split()


def test_importing_the_package_imports_no_large_library() -> None:
    assert loaded("import plivo_nb", "pandas", "aiortc", "matplotlib", "ipywidgets") == []


HEAVY = (
    "pandas", "pyarrow", "av", "aiortc", "aioice", "cryptography", "websockets", "aiohttp", "matplotlib",
    "ipywidgets", "IPython", "sounddevice", "rich", "jinja2", "prometheus_client",
)  # fmt: skip


def test_the_client_imports_no_heavy_library() -> None:
    assert loaded(CLIENT, *HEAVY) == []


def test_the_client_is_imported_in_three_times_the_aim() -> None:
    assert cpu_s((CLIENT,), runs=3)[CLIENT] < 3 * AIM_S


def test_the_engine_imports_neither_pictures_nor_widgets_nor_sound() -> None:
    assert loaded("import plivo_nb.client", "matplotlib", "ipywidgets", "sounddevice") == []


def test_nothing_prints_but_the_command_line() -> None:
    printing = [
        path.relative_to(PACKAGE)
        for path in PACKAGE.rglob("*.py")
        if "cli" not in path.relative_to(PACKAGE).parts[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert printing == []


def test_every_module_can_be_imported() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path.stem == "__main__":
            continue
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        importlib.import_module(name)
