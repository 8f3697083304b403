"""What Binder does with the repository: an environment from binder/, JupyterLab, and notebook 01 in a page.

No container runs here, so this does what repo2docker would: a new virtual environment, the requirements, and
postBuild in a copy of the repository. The microphone of the page is Chromium's fake one, which speaks a file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser.conftest import Notebook, Server, _server_options, free_port, serving
from page_sound import RECORD, record, write_spoken
from playwright.sync_api import expect, sync_playwright

REPOSITORY = Path(__file__).parents[2]
CHROMIUM = "/usr/bin/chromium"
PACKAGE_OF = {"portaudio": "libportaudio2", "opus": "libopus0"}
SHARE = 0.3  # of the windows in which what was said is recognised
ASKED = """
import ctypes.util, sys
asked, find = set(), ctypes.util.find_library
ctypes.util.find_library = lambda name: asked.add(name) or find(name)
import plivo_nb.client, plivo_nb.media.codecs, sounddevice
print("libraries", *sorted(asked), sys.prefix)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository's files, and an environment beside it, built as binder/ says."""
    place = tmp_path_factory.mktemp("binder")
    listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        if (REPOSITORY / name).is_file():
            (place / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, place / "copy" / name)
    venv.create(place / "env", with_pip=True)
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "MPLBACKEND")}
    environment["PATH"] = f"{place / 'env' / 'bin'}{os.pathsep}{environment['PATH']}"
    quiet = ["--quiet", "--disable-pip-version-check"]
    install = [sys.executable, "-m", "pip"]
    install[0] = str(place / "env" / "bin" / "python")
    requirements = [*install, "install", *quiet, "-r", "binder/requirements.txt"]
    for command in (requirements, ["bash", "binder/postBuild"]):
        subprocess.run(command, cwd=place / "copy", env=environment, check=True, timeout=400)
    return place


def test_debian_packages_are_those_of_the_libraries_that_are_loaded(place: Path) -> None:
    python = place / "env" / "bin" / "python"
    found = subprocess.run(
        [python, "-c", ASKED],
        cwd=place,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    asked = set(found.stdout.split()) & set(PACKAGE_OF)
    assert "portaudio" in asked
    assert str(place / "env") in found.stdout
    packages = (REPOSITORY / "binder" / "apt.txt").read_text().split()
    assert {PACKAGE_OF[name] for name in asked} <= set(packages) <= set(PACKAGE_OF.values())


@pytest.fixture
def server(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """JupyterLab of that environment, in the copy."""
    for name in ("PYTHONPATH", "MPLBACKEND", "COVERAGE_PROCESS_START"):
        monkeypatch.delenv(name, raising=False)
    home, root, port = tmp_path / "home", place / "copy", free_port()
    home.mkdir()
    command = [str(place / "env" / "bin" / "python"), "-m", "jupyterlab", *_server_options(port, root)]
    command.append("--LabApp.expose_app_in_browser=True")
    with serving(home, root, command, port, "/api/status") as running:
        yield running


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Any]:
    """A page whose microphone speaks a file; what it hears is recorded."""
    spoken = write_spoken(tmp_path / "spoken.wav")
    arguments = [
        "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream", f"--use-file-for-fake-audio-capture={spoken}",
    ]  # fmt: skip
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        context = browser.new_context(permissions=["microphone"], viewport={"width": 1360, "height": 900})
        context.set_default_timeout(30_000)
        context.add_init_script(RECORD)
        yield context.new_page()
        browser.close()


def test_a_visitor_talks_to_the_echo_robot_and_runs_all_of_01(server: Server, page: Any) -> None:
    notebook = Notebook(page, server, "notebooks/01_first_call.ipynb").open()
    sources = page.evaluate(
        """() => window.jupyterapp.shell.currentWidget.content.widgets.map(
            ({model}) => model.sharedModel.getSource())"""
    )
    login, phone, close = (
        next(at for at, source in enumerate(sources) if words in source)
        for words in ("plivo_nb.Lab(", "plivo_nb.Phone(", "client.close()")
    )
    notebook.run(login)
    notebook.run(phone)
    notebook.phone.box.click(position={"x": 4, "y": 4})  # a page that was not clicked gets no microphone
    notebook.wait_for("client.audio.mode", "browser", seconds=20)
    notebook.phone.click("Call")
    notebook.phone.expect_state("In call")
    page.wait_for_timeout(4_000)
    share = max(record(page, 6.0).recognised()[0] for _ in range(2))
    assert share > SHARE
    assert notebook.evaluate("client.audio.transport in ('webrtc', 'comm')")
    notebook.phone.click("Hang up")
    expect(notebook.phone.box).to_contain_text("Ended")
    notebook.run(close)

    notebook.command_at(0, "notebook:run-all-cells", wait=True)
    assert notebook.errors() == []
    assert all(cell.execution_count for cell in notebook.saved().cells if cell.cell_type == "code")
    assert notebook.evaluate("lab.running") is False
