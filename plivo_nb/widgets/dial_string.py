"""What is dialled for a text that was typed or pasted into the dial field."""

from __future__ import annotations

import re
import unicodedata

# A number as people write it: digits, with a plus in front, separated by spaces, dots, dashes, slashes or
# brackets (ITU-T E.123); * and # are the other keys of a telephone.
_WRITTEN_NUMBER = re.compile(r"\+?[0-9*#\s().\-/]*[0-9*#][\s().\-/]*")
_DASHES = re.compile("[\u2010-\u2015\u2212]")
_SEPARATORS = re.compile(r"[\s().\-/]")


def dial_string(text: str) -> str:
    """The number, user name or SIP address that is dialled for this text.

    A number loses its separators; so does one behind ``tel:`` (RFC 3966). ``(0)`` behind a country code is
    left out, as it is dialled only without the code. Any other text is only stripped.

    Example:
        >>> dial_string("+1 (415) 555-0100"), dial_string("+44 (0)20 7946 0958"), dial_string(" echo ")
        ('+14155550100', '+442079460958', 'echo')
    """
    shown = "".join(character for character in text if unicodedata.category(character) != "Cf").strip()
    number = _DASHES.sub("-", unicodedata.normalize("NFKC", shown))
    if number.lower().startswith("tel:"):
        number = number[4:].partition(";")[0]
    number = number.lstrip("( ") if number.startswith("(+") else number
    if not _WRITTEN_NUMBER.fullmatch(number):
        return shown
    if number.startswith("+"):
        number = number.replace("(0)", "", 1)
    return _SEPARATORS.sub("", number)
