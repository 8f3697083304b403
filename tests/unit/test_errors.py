"""The tree of exceptions is the one in the docstring, and each carries what it says."""

import re

import pytest

import plivo_nb
from plivo_nb import errors
from plivo_nb.errors import CallFailed, InvalidOption, LoginFailed, MediaError, PlivoError, SourceError
from plivo_nb.events import CallInfo

CLASSES = {
    name: item
    for name, item in vars(errors).items()
    if isinstance(item, type) and issubclass(item, PlivoError)
}


def test_the_docstring_draws_each_exception_under_its_base() -> None:
    lines = re.findall(r"^([ │├└─]*)(\w+) *(?:  .*)?$", errors.__doc__ or "", re.MULTILINE)
    drawn = [(len(indent), name) for indent, name in lines if name in CLASSES]
    assert [name for _, name in drawn] == list(dict.fromkeys(name for _, name in drawn))
    assert {name for _, name in drawn} == set(CLASSES)
    for number, (indent, name) in enumerate(drawn[1:], 1):
        base = next(above for depth, above in reversed(drawn[:number]) if depth < indent)
        assert CLASSES[name].__bases__[0] is CLASSES[base], name


@pytest.mark.parametrize("name", sorted(set(CLASSES)))
def test_each_is_public(name: str) -> None:
    assert getattr(plivo_nb, name) is CLASSES[name]


def test_a_wrong_option_is_a_value_error_too() -> None:
    assert issubclass(InvalidOption, ValueError)


def test_failures_carry_cause_call_info_and_code() -> None:
    info = CallInfo("u-1", "OUTGOING", "sip:alice@phone.plivo.com", "bob", "failed", code=486)
    failed = CallFailed("Busy", info)
    assert (failed.cause, failed.call_info, str(failed)) == ("Busy", info, "Call failed: Busy.")
    assert str(CallFailed("Busy", sentence="Bob is busy; call later.")) == "Bob is busy; call later."
    login = LoginFailed("Authentication Error")
    assert (login.cause, str(login)) == ("Authentication Error", "Login failed: Authentication Error.")
    assert MediaError("No microphone.", "NotFoundError").code == "NotFoundError"
    assert SourceError("No such file.").code == "SourceError"
