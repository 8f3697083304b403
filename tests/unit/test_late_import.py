"""late_import: modules that are loaded in a thread."""

import gc
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from waiting import wait_until

from plivo_nb.late_import import _link, _Loader, import_in_thread


def test_a_module_is_loaded_when_the_future_is_done() -> None:
    sys.modules.pop("this_is_never_there", None)
    assert import_in_thread("colorsys").result(10) is sys.modules["colorsys"]


def test_who_waits_may_give_up() -> None:
    loading = import_in_thread("colorsys")
    assert not loading.cancel()
    assert loading.result(10).__name__ == "colorsys"


def test_a_module_that_is_not_there_is_an_error_of_the_future() -> None:
    with pytest.raises(ModuleNotFoundError):
        import_in_thread("this_is_never_there").result(10)


def test_what_is_loaded_already_is_there_at_once() -> None:
    assert import_in_thread("threading").result(0) is threading


@pytest.fixture
def slow_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Modules first_slow, which is not loaded before the event is set, and second_slow."""
    monkeypatch.syspath_prepend(tmp_path)
    may_go_on = threading.Event()
    monkeypatch.setattr(threading, "may_go_on", may_go_on, raising=False)
    code = "import threading\nthread = threading.current_thread()\nthreading.may_go_on.wait(20)\n"
    for name in ("first_slow", "second_slow"):
        (tmp_path / f"{name}.py").write_text(code)
        monkeypatch.delitem(sys.modules, name, raising=False)
    return may_go_on


def test_one_thread_loads_all_in_their_order_and_ends(slow_modules: threading.Event) -> None:
    loader = _Loader()
    first, second = loader.load("first_slow", None), loader.load("second_slow", None)
    assert loader.load("first_slow", None) is first, "it is loaded once"
    assert not first.done()
    assert not second.done()
    slow_modules.set()
    assert second.result(10).thread is first.result(10).thread
    wait_until(lambda: not first.result().thread.is_alive())


def test_the_interpreter_is_as_before_once_all_is_loaded(slow_modules: threading.Event) -> None:
    frozen, interval = gc.get_freeze_count(), sys.getswitchinterval()
    loader = _Loader()
    loader.load("first_slow", None)
    wait_until(lambda: "first_slow" in sys.modules)
    assert gc.get_freeze_count() > frozen, "what was there is not collected meanwhile"
    assert sys.getswitchinterval() < interval
    slow_modules.set()
    loader.wait()
    assert (gc.get_freeze_count(), sys.getswitchinterval()) == (frozen, interval)


def test_at_exit_what_is_being_loaded_is_waited_for_and_the_rest_is_not_loaded(
    slow_modules: threading.Event,
) -> None:
    loader = _Loader()
    first, second = loader.load("first_slow", None), loader.load("second_slow", None)
    wait_until(lambda: "first_slow" in sys.modules)
    threading.Timer(0.1, slow_modules.set).start()
    loader.stop()
    assert first.done()
    assert not second.done()
    assert "second_slow" not in sys.modules


def test_a_library_that_is_not_there_is_left_to_the_import() -> None:
    _link("this_is_never_there", "lib")
    _link("wsgiref", "lib")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_forked_meanwhile_can_import_the_same() -> None:
    code = """
import os, plivo_nb.late_import
plivo_nb.late_import.import_in_thread("pandas", links=("pyarrow", "lib"))
child = os.fork()
import pandas
os.write(1, b"%d " % pandas.Series([1, 2]).sum())
if not child:
    os._exit(0)
os.waitpid(child, 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.stdout.split(), done.stderr) == (["3", "3"], "")


def test_a_process_that_ends_at_once_ends_well() -> None:
    code = """
import asyncio, plivo_nb
async def main():
    plivo_nb.Client(sound="none", debug="OFF")
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
