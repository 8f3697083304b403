"""Header fields: order, repetition, upper and lower case, injection."""

from __future__ import annotations

import pytest

from plivo_nb.sip.headers import Headers


def test_headers_are_a_multi_dict_without_case() -> None:
    headers = Headers([("Via", "1"), ("X-Ph-Test1", "a"), ("via", "2")])
    assert headers.get("VIA") == "1"
    assert headers.get_all("Via") == ["1", "2"]
    assert headers.items() == [("Via", "1"), ("X-Ph-Test1", "a"), ("via", "2")]
    headers.set("VIA", "3")
    assert headers.items() == [("VIA", "3"), ("X-Ph-Test1", "a")]
    headers.add_first("Via", "0")
    assert headers.remove_first("via") == "0"
    assert headers.remove_first("Nothing") is None
    headers.remove("via")
    assert list(headers) == ["X-Ph-Test1"]
    assert len(headers) == 1
    assert "x-ph-TEST1" in headers
    assert "Via" not in headers
    copy = headers.copy()
    copy.add("Via", "9")
    assert len(headers) == 1
    assert "a" not in repr(headers).replace("Headers", "")


@pytest.mark.parametrize(
    ("name", "value"), [("A\r\nB", "x"), ("A:", "x"), ("", "x"), ("A", "x\r\nB: 1"), ("A", "\n"), ("A", "\0")]
)
def test_nothing_is_injected_into_headers(name: str, value: str) -> None:
    for method in ("add", "set", "add_first"):
        with pytest.raises(ValueError):
            getattr(Headers(), method)(name, value)
