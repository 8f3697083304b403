"""The test of each module is found by its name: plivo_nb/sip/digest.py, tests/unit/sip/test_digest.py."""

from pathlib import Path

TESTS = Path(__file__).parents[1]
PACKAGE = TESTS.parent / "plivo_nb"
LEVELS = ("unit", "integration", "browser")
NOT_MODULES = {"__init__", "__main__", "_version"}

#: Modules without a test file of their own, and where they are tested. The list may only become shorter.
WITHOUT: dict[str, str] = {}


def modules() -> list[Path]:
    """Every module of the package, relative to it."""
    found = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
    return [path for path in found if path.stem not in NOT_MODULES]


def files_for(module: Path) -> list[Path]:
    places = [TESTS / level / module.parent / f"test_{module.stem}.py" for level in LEVELS]
    return [place for place in places if place.is_file()]


def test_every_module_has_a_test_file_of_its_name() -> None:
    missing = [str(path) for path in modules() if not files_for(path) and str(path) not in WITHOUT]
    assert missing == [], "add tests/unit/<package>/test_<module>.py (or integration, or browser)"


def test_the_exceptions_are_modules_that_have_no_test_file() -> None:
    needless = [name for name in WITHOUT if not (PACKAGE / name).is_file() or files_for(Path(name))]
    assert needless == [], "take these out of WITHOUT"
