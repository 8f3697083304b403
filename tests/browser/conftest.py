"""JupyterLab and Voila on free ports of 127.0.0.1, driven in Debian's Chromium."""

from __future__ import annotations

import ast
import base64
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import psutil
import pytest
from playwright.sync_api import Browser, FloatRect, Locator, Page, expect, sync_playwright
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPOSITORY = Path(__file__).parents[2]
ARTEFACTS = REPOSITORY / "artefacts"
CHROMIUM = "/usr/bin/chromium"
CHROMIUM_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
JSSIP = Path(__file__).parent / "jssip"
JAVASCRIPT = Path(__file__).parent / "javascript"
SECONDS = 1000  # Playwright counts in milliseconds


def install_from_npm(folder: Path) -> None:
    """Install what package-lock.json in this folder pins, unless it is installed."""
    lock, installed = folder / "package-lock.json", folder / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        assert shutil.which("npm"), f"npm is not installed, and {folder.name} needs it: apt-get install npm."
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"npm could not install {folder.name}: {done.stderr}"


@pytest.fixture(scope="session")
def javascript() -> Path:
    """The folder with ESLint and axe-core in node_modules."""
    install_from_npm(JAVASCRIPT)
    return JAVASCRIPT


@pytest.fixture(scope="session")
def jssip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """JsSIP as one script, from the versions that package-lock.json pins."""
    install_from_npm(JSSIP)
    script = tmp_path_factory.mktemp("jssip") / "jssip.js"
    esbuild = JSSIP / "node_modules" / ".bin" / "esbuild"
    command = [str(esbuild), "node_modules/jssip/lib/JsSIP.js", "--bundle", "--format=iife"]
    command += ["--global-name=JsSIP", "--log-level=error", f"--outfile={script}"]
    subprocess.run(command, cwd=JSSIP, check=True, timeout=60)
    return script


@pytest.fixture
def browser() -> Iterator[Browser]:
    """Chromium, for one test: Playwright's loop must be gone when another file's asynchronous tests come."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1360, "height": 900})
    page.set_default_timeout(30 * SECONDS)
    yield page
    page.close()


@pytest.fixture(scope="module")
def module_page() -> Iterator[Page]:
    """One page for all tests of a module: they look at one app, and the server starts one kernel."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        page = browser.new_page(viewport={"width": 1360, "height": 900})
        page.set_default_timeout(30 * SECONDS)
        yield page
        browser.close()


@pytest.fixture
def axe(javascript: Path) -> Callable[[Locator], list[str]]:
    """The serious and critical findings of axe-core in an element, as sentences."""
    script = (javascript / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")

    def findings(element: Locator) -> list[str]:
        element.page.evaluate(script)
        found = element.evaluate(
            "async element => (await axe.run(element, {resultTypes: ['violations']})).violations"
        )
        return [
            f"{finding['id']}: {node['target']} {node['failureSummary']}"
            for finding in found
            if finding["impact"] in ("serious", "critical")
            for node in finding["nodes"]
        ]

    return findings


@pytest.fixture
def theme() -> Callable[[Page, str], None]:
    """Choose the light or the dark theme of JupyterLab or Notebook: ``theme(page, "dark")``."""

    def choose(page: Page, kind: str) -> None:
        page.emulate_media(color_scheme="dark" if kind == "dark" else "light")
        name = f"JupyterLab {kind.capitalize()}"
        if page.locator(f"body[data-jp-theme-name='{name}']").count():
            return
        page.evaluate(
            f"{{ jupyterapp.commands.execute('apputils:change-theme', {{theme: '{name}'}}); null }}"
        )
        page.locator(f"body[data-jp-theme-name='{name}']").wait_for(state="attached")
        page.locator("#jupyterlab-splash").wait_for(state="detached")

    return choose


@pytest.fixture
def ratio() -> Callable[..., float]:
    """The contrast (WCAG 2.2) of a colour of an element with the background behind it.

    ``ratio(element)`` is that of its text, ``ratio(element, "borderTopColor")`` that of its outline with what
    surrounds it.
    """

    def contrast(element: Locator, of: str = "color") -> float:
        return float(element.evaluate(CONTRAST, of))

    return contrast


CONTRAST = """(element, of) => {
    const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
    const backgrounds = [];
    for (let at = of === "color" ? element : element.parentElement; at; at = at.parentElement) {
        backgrounds.unshift(getComputedStyle(at).backgroundColor);
    }
    const luminance = colours => {
        canvas.fillStyle = "white";
        canvas.fillRect(0, 0, 1, 1);
        for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
        const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(
            part => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const [low, high] = [luminance(backgrounds),
        luminance([...backgrounds, getComputedStyle(element)[of]])].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05); }"""


@pytest.fixture
def shoot(page: Page, request: pytest.FixtureRequest) -> Callable[..., Path]:
    """Take a screenshot into artefacts/, named after the test; of these elements' place as another one."""
    ARTEFACTS.mkdir(exist_ok=True)

    def take(name: str, *only: Locator) -> Path:
        path = ARTEFACTS / f"{request.node.name}-{name}.png"
        page.screenshot(path=path)
        boxes = [box for box in (element.bounding_box() for element in only) if box is not None]
        if boxes:
            left, top = min(box["x"] for box in boxes), min(box["y"] for box in boxes)
            right = max(box["x"] + box["width"] for box in boxes)
            bottom = max(box["y"] + box["height"] for box in boxes)
            clip: FloatRect = {"x": left, "y": top, "width": right - left, "height": bottom - top}
            page.screenshot(path=path.with_stem(f"{path.stem}-only"), clip=clip)
        return path

    return take


class Server:
    """A running Jupyter server: its address, its folder, and what it has started."""

    def __init__(self, url: str, root: Path, data: Path, process: subprocess.Popen[bytes]) -> None:
        self.url, self.root, self.data, self.process = url, root, data, process

    def children(self) -> list[psutil.Process]:
        """Every process it started, directly or not, that is not just waiting to be reaped."""
        with contextlib.suppress(psutil.NoSuchProcess):
            found = psutil.Process(self.process.pid).children(recursive=True)
            return [child for child in found if _alive(child)]
        return []

    def kernels(self) -> list[psutil.Process]:
        return [child for child in self.children() if "ipykernel_launcher" in _command(child)]

    def workers(self) -> list[psutil.Process]:
        """The drawing processes."""
        return [child for child in self.children() if _command(child).find("widgets/figure.py") >= 0]

    def labs(self) -> list[psutil.Process]:
        return [child for child in self.children() if "plivo_nb.lab" in _command(child)]

    def notebook(self, name: str, cells: list[str], kernel: str = "python3") -> str:
        """Write a notebook of these code cells; gives its path for `Lab.open`."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
        notebook.metadata["kernelspec"] = {"name": kernel, "display_name": kernel, "language": "python"}
        nbformat.write(notebook, self.root / name)
        return name


def _alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _command(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return " ".join(process.cmdline())
    return ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_http(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"The server ended with {process.returncode}:\n{log.read_text()[-3000:]}")
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except urllib.error.HTTPError as answer:
            answer.close()
            return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(f"Nothing answers at {url}:\n{log.read_text()[-3000:]}")


@contextlib.contextmanager
def serving(home: Path, root: Path, command: list[str], port: int, probe: str) -> Iterator[Server]:
    environment = {
        **os.environ, "HOME": str(home), "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"), "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "IPYTHONDIR": str(home / "ipython"),
    }  # fmt: skip
    log = home / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, env=environment, cwd=root, start_new_session=True
        )
        server = Server(f"http://127.0.0.1:{port}", root, home / "data", process)
        try:
            wait_for_http(server.url + probe, process, log)
            yield server
        finally:
            left = server.children()
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            _, alive = psutil.wait_procs(left, timeout=5)
            for orphan in alive:
                orphan.kill()
            assert alive == [], f"left running: {[_command(orphan) for orphan in alive]}"


@pytest.fixture
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """JupyterLab, in a folder with a copy of the notebooks."""
    home, root = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("work")
    for file in [*(REPOSITORY / "notebooks").glob("*.ipynb"), *(REPOSITORY / "notebooks").glob("*.py")]:
        shutil.copy(file, root)
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    quiet = {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True}
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
    port = free_port()
    command = [sys.executable, "-m", "jupyterlab", *_server_options(port, root)]
    with serving(
        home, root, [*command, "--LabApp.expose_app_in_browser=True"], port, "/api/status"
    ) as server:
        yield server


@pytest.fixture(scope="session")
def notebook7(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Jupyter Notebook 7."""
    home, root, port = tmp_path_factory.mktemp("home7"), tmp_path_factory.mktemp("work7"), free_port()
    command = [sys.executable, "-m", "notebook", *_server_options(port, root)]
    command.append("--JupyterNotebookApp.expose_app_in_browser=True")
    with serving(home, root, command, port, "/api/status") as server:
        yield server


@pytest.fixture(scope="session")
def voila_at(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Serve a notebook with Voila: ``with voila_at(path) as server``; each page has a kernel of its own.

    Of a folder all notebooks are served, each at ``/voila/render/NAME.ipynb``. Other arguments are options of
    Voila, such as ``--theme=dark``.
    """

    @contextlib.contextmanager
    def served(path: Path, *options: str) -> Iterator[Server]:
        home, port = tmp_path_factory.mktemp("voila"), free_port()
        root = home / "root"
        if path.is_dir():
            shutil.copytree(path, root)
        else:
            root.mkdir()
            for file in (path, *path.parent.glob("*.py")):
                shutil.copy(file, root)
        served_path = "." if path.is_dir() else path.name
        command = [
            sys.executable, "-m", "voila", served_path, "--no-browser", f"--port={port}",
            "--Voila.ip=127.0.0.1", "--show_tracebacks=True", *options,
        ]  # fmt: skip
        with serving(home, root, command, port, "/static/does-not-exist") as server:
            yield server

    return served


def _server_options(port: int, root: Path) -> list[str]:
    return [
        "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0",
        "--IdentityProvider.token=", "--ServerApp.password=", "--ServerApp.disable_check_xsrf=True",
        f"--ServerApp.root_dir={root}",
    ]  # fmt: skip


@pytest.fixture(scope="session")
def kernel_of(jupyter: Server, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The name of a kernel of JupyterLab with this version of ipykernel: ``kernel_of("7.3")``.

    The version is installed beside the packages that are there.
    """
    made: dict[str, str] = {}

    def kernel(version: str) -> str:
        if version not in made:
            folder = tmp_path_factory.mktemp(f"ipykernel{version}")
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            command += ["--no-deps", f"--target={folder}", f"ipykernel=={version}.*"]
            subprocess.run(command, check=True, timeout=120)
            made[version] = name = f"ipykernel{version.replace('.', '')}"
            path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
            description = {
                "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                "display_name": f"ipykernel {version}",
                "language": "python",
                "env": {"PYTHONPATH": path},
                "metadata": {"supported_features": ["kernel subshells"] if version[0] != "6" else []},
            }
            (jupyter.data / "kernels" / name).mkdir(parents=True)
            (jupyter.data / "kernels" / name / "kernel.json").write_text(json.dumps(description))
        return made[version]

    return kernel


class Notebook:
    """A notebook open in JupyterLab, or in Notebook 7 (`folder` "notebooks")."""

    def __init__(self, page: Page, server: Server, path: str, folder: str = "lab/tree") -> None:
        self.page, self.server, self.path, self.folder = page, server, path, folder
        self.client, self.lab = "client", "lab"  # their names in the kernel
        self.task = "__import__('asyncio').ensure_future"
        self.cells = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-Cell")

    @property
    def phone(self) -> PhoneInPage:
        """The last phone in the page."""
        return PhoneInPage(self.page)

    @property
    def dashboard(self) -> DashboardInPage:
        """The last dashboard in the page."""
        return DashboardInPage(self.page)

    def open(self) -> Notebook:
        """Load the page anew and wait for the kernel."""
        self.page.goto(f"{self.server.url}/{self.folder}/{self.path}?reset")
        self.cells.first.wait_for(timeout=60 * SECONDS)
        self.page.evaluate(
            """async () => { const panel = window.jupyterapp.shell.currentWidget;
                await panel.context.ready; await panel.sessionContext.ready;
                await panel.sessionContext.session.kernel.info; }"""
        )
        self.wait_idle()
        return self

    def wait_idle(self, seconds: float = 60) -> None:
        selector = '.jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook-ExecutionIndicator[data-status="idle"]'
        self.page.locator(selector).wait_for(timeout=seconds * SECONDS)

    def type(self, keys: str) -> None:
        """Type on the keyboard, where the focus is; it must not run any command of the notebook."""
        before = self.state_of_cells()
        self.page.keyboard.type(keys, delay=30)
        self.page.wait_for_timeout(300)
        assert self.page.locator(".jp-Dialog").count() == 0, f"{keys!r} opened a dialog"
        assert self.state_of_cells() == before, f"{keys!r} changed the cells"

    def type_everywhere(self) -> None:
        """Type what a notebook has commands for; in a text field it is text, elsewhere digits are keys."""
        phone = self.phone
        dial = phone.box.locator(".plivo-dial input")
        phone.dial("")
        self.let_kernel_know()
        phone.click("5")
        expect(dial).to_have_value("5")
        self.type("00ddabxzmii*#")
        expect(dial).to_have_value("500*#")
        self.clear_dial(dial)

        dial.click()
        self.type("00ddabx")
        expect(dial).to_have_value("00ddabx")
        self.clear_dial(dial)

        phone.box.click(position={"x": 4, "y": 4})
        assert self.page.evaluate("document.activeElement.className").find("plivo-phone") >= 0
        self.type("7dd")
        expect(dial).to_have_value("7")
        self.clear_dial(dial)

        controls = self.page.locator(".plivo-dashboard :is(button:enabled, [tabindex='0'])")
        for control in controls.all()[:3]:
            control.focus()
            expect(control).to_be_focused()
            self.type("00ddab")
        expect(dial).to_have_value("")

    def clear_dial(self, dial: Locator) -> None:
        """Press Escape, and let the kernel know."""
        self.page.keyboard.press("Escape")
        expect(dial).to_have_value("")
        self.let_kernel_know()

    def let_kernel_know(self) -> None:
        """Wait until a text is in the kernel: ipywidgets sends it late while the kernel is slow."""
        for _ in range(2):
            self.page.wait_for_timeout(100)
            assert self.evaluate("'heard'") == "heard"

    def state_of_cells(self) -> Any:
        """Type and source of each cell, the active one, and the mode of the notebook."""
        return self.page.evaluate(
            """() => { const content = window.jupyterapp.shell.currentWidget.content;
                const cells = content.widgets.map(({model}) => [model.type, model.sharedModel.getSource()]);
                return [content.activeCellIndex, content.mode, cells]; }"""
        )

    def command(self, name: str) -> None:
        self.page.evaluate(f"{{ window.jupyterapp.commands.execute('{name}'); null }}")

    def command_at(self, index: int, name: str, *, wait: bool) -> None:
        """Make a cell the active one (negative numbers count from the end) and run a command there.

        Both at once: a widget that gives its focus to another one makes its own cell the active one.
        """
        self.page.evaluate(
            """async ([index, name, wait]) => { const content = window.jupyterapp.shell.currentWidget.content;
                content.activeCellIndex = (index + content.widgets.length) % content.widgets.length;
                const done = window.jupyterapp.commands.execute(name);
                if (wait) await done; }""",
            [index, name, wait],
        )

    def start(self, index: int) -> None:
        """Run one cell and do not wait for its end."""
        self.command_at(index, "notebook:run-cell", wait=False)

    def run(self, index: int) -> None:
        """Run one cell and wait for its end."""
        self.command_at(index, "notebook:run-cell", wait=True)

    def run_all_but_last(self) -> None:
        self.command_at(-1, "notebook:run-all-above", wait=True)

    def kernel(self, what: str) -> None:
        """``interrupt`` or ``restart`` the kernel."""
        self.page.evaluate(
            """async what => {
                await window.jupyterapp.shell.currentWidget.sessionContext.session.kernel[what](); }""",
            what,
        )

    def evaluate(self, expression: str) -> Any:
        """The value of a Python expression in the kernel; it must be a literal."""
        text = self.page.evaluate(
            """async expression => {
                const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                const request = {code: "", store_history: false, user_expressions: {value: expression}};
                const value = (await kernel.requestExecute(request).done).content.user_expressions.value;
                return value.status === "ok" ? value.data["text/plain"] : "'" + value.evalue + "'"; }""",
            expression,
        )
        return ast.literal_eval(text)

    def wait_for(self, expression: str, value: Any, seconds: float = 10) -> None:
        """Wait until an expression in the kernel has this value."""
        deadline = time.monotonic() + seconds
        while (found := self.evaluate(expression)) != value:
            assert time.monotonic() < deadline, f"{expression} is {found!r}, not {value!r}"
            self.page.wait_for_timeout(100)

    def wait_for_processes(self, *, workers: int, labs: int, seconds: float = 10) -> None:
        """Wait until so many drawing processes and labs run."""
        deadline = time.monotonic() + seconds
        while (found := (len(self.server.workers()), len(self.server.labs()))) != (workers, labs):
            assert time.monotonic() < deadline, f"{found} drawing processes and labs run"
            self.page.wait_for_timeout(100)

    def saved(self) -> nbformat.NotebookNode:
        """Save, and read the file."""
        self.page.evaluate("async () => { await window.jupyterapp.commands.execute('docmanager:save'); }")
        return nbformat.read(self.server.root / self.path, as_version=4)

    def errors(self) -> list[str]:
        """The errors in the saved outputs, such as ``NameError: ...``."""
        outputs = [output for cell in self.saved().cells for output in cell.get("outputs", ())]
        return [f"{output.ename}: {output.evalue}" for output in outputs if output.output_type == "error"]


class PhoneInPage:
    """The phone as displayed in the page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.box = page.locator(".plivo-phone").last
        self.state = self.box.locator(".plivo-state")
        self.timer = self.box.locator(".plivo-timer")
        self.status = self.box.locator(".plivo-status")
        self.events = self.box.locator(".plivo-events")

    def button(self, name: str) -> Locator:
        return self.box.locator("button.jupyter-button").filter(has_text=re.compile(rf"^{re.escape(name)}$"))

    def click(self, name: str) -> None:
        self.button(name).click()

    def dial(self, target: str) -> None:
        self.box.locator(".plivo-dial input").fill(target)

    def expect_state(self, words: str, seconds: float = 15) -> None:
        expect(self.state).to_have_text(words, timeout=seconds * SECONDS)


class DashboardInPage:
    """The dashboard as displayed in the page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.box = page.locator(".plivo-dashboard").last
        self.canvas = self.box.locator(".plivo-panels canvas")
        self.plot = self.box.locator(".plivo-panels-plot")
        self.title = self.box.locator(".plivo-panels-title")
        self.picture = self.box.locator("img.plivo-picture")
        self.mos = self.box.locator(".plivo-mos b")
        self.word = self.box.locator(".plivo-word")
        self.note = self.box.locator(".plivo-note")

    def png(self) -> bytes:
        """What the canvas of the live panels shows, as PNG."""
        address = self.canvas.evaluate("canvas => canvas.toDataURL()")
        return base64.b64decode(address.partition(",")[2])

    def score(self) -> float | None:
        text = self.mos.inner_text()
        return None if text == "–" else float(text)

    def wait_for_score(self, condition: Callable[[float], bool], seconds: float = 25) -> float:
        """Wait until the MOS shown meets the condition."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            score = self.score()
            if score is not None and condition(score):
                return score
            self.page.wait_for_timeout(250)
        raise AssertionError(f"The MOS shown is {self.score()} after {seconds} s.")


@pytest.fixture
def open_notebook(page: Page, jupyter: Server) -> Iterator[Callable[[str], Notebook]]:
    """Open a notebook; at the end its kernel is shut down, and must take all it started with it."""

    def opened(path: str) -> Notebook:
        return Notebook(page, jupyter, path).open()

    yield opened
    _shut_down_kernels(jupyter)


@pytest.fixture
def open_in_new_page(browser: Browser, jupyter: Server) -> Iterator[Callable[[str], Notebook]]:
    """As `open_notebook`, for several notebooks at once: each has a page of its own."""

    def opened(path: str) -> Notebook:
        page = browser.new_page(viewport={"width": 1360, "height": 900})
        page.set_default_timeout(30 * SECONDS)
        return Notebook(page, jupyter, path).open()

    yield opened
    _shut_down_kernels(jupyter)


@pytest.fixture
def open_in_notebook7(page: Page, notebook7: Server) -> Iterator[Callable[[str], Notebook]]:
    """As `open_notebook`, in Notebook 7."""

    def opened(path: str) -> Notebook:
        return Notebook(page, notebook7, path, "notebooks").open()

    yield opened
    _shut_down_kernels(notebook7)


@pytest.fixture(scope="module")
def module_notebook(module_page: Page, jupyter: Server) -> Iterator[Callable[..., Notebook]]:
    """Open a notebook of these cells in `module_page`: ``module_notebook("name.ipynb", cells)``.

    At the end of the module its kernel is shut down.
    """

    def opened(name: str, cells: list[str]) -> Notebook:
        return Notebook(module_page, jupyter, jupyter.notebook(name, cells)).open()

    yield opened
    _shut_down_kernels(jupyter)


def _shut_down_kernels(server: Server) -> None:
    with urllib.request.urlopen(f"{server.url}/api/sessions", timeout=10) as answer:
        sessions = json.load(answer)
    for session in sessions:
        request = urllib.request.Request(f"{server.url}/api/sessions/{session['id']}", method="DELETE")
        with urllib.request.urlopen(request, timeout=20):
            pass
    wait_until(
        lambda: not server.children(),
        timeout_s=8,
        describe=lambda: [_command(child) for child in server.children()],
        interval_s=0.1,
    )


@pytest.fixture
def phone(page: Page) -> PhoneInPage:
    return PhoneInPage(page)


@pytest.fixture
def dashboard(page: Page) -> DashboardInPage:
    return DashboardInPage(page)
