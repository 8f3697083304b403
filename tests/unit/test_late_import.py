"""late_import: modules that are loaded in a thread."""

import sys

import pytest

from plivo_nb.late_import import import_in_thread


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
