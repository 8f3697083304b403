"""The switch interval: shortened by the first who needs it, put back by the last."""

import sys

import pytest

from plivo_nb.switch_interval import SwitchInterval


def test_the_switch_interval_is_put_back_by_the_last() -> None:
    before = sys.getswitchinterval()
    switching = SwitchInterval()
    switching.change(1)
    switching.change(1)
    assert sys.getswitchinterval() == pytest.approx(0.0005)
    switching.change(-1)
    assert sys.getswitchinterval() == pytest.approx(0.0005)
    switching.change(-1)
    assert sys.getswitchinterval() == before
