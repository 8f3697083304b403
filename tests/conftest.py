"""What holds for every test."""

import logging
import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# A shell ignores Ctrl-C on behalf of what it runs in the background, and so would every process that a test
# starts and then interrupts. With a handler of Python's own here, they start with the default.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says more about the machine than about the code. Tests that set no number of
# examples take this one; HYPOTHESIS_PROFILE=thorough takes more, for a night.
settings.register_profile(
    "any machine", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("thorough", settings.get_profile("any machine"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "any machine"))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "alone: measures time or uses all cores; run.sh runs no test beside it"
    )


@pytest.fixture(autouse=True)
def level_of_the_package_logger() -> Iterator[None]:
    """The option debug of a client sets the level for the whole process; put it back after each test."""
    logger = logging.getLogger("plivo_nb")
    before = logger.level
    yield
    logger.setLevel(before)
