"""Analysis after the call: plots, files (`store`), SIP ladders, diagnosis, comparison of sounds (`compare`).

The engine does not import this package; its users import it when they need it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plivo_nb.analysis.diagnosis import diagnose

# A module is imported when one of its functions is first used (PEP 562): each needs other large libraries.
_MODULE_OF = {"diagnose": "plivo_nb.analysis.diagnosis"}

__all__ = ["diagnose"]


def __getattr__(name: str) -> object:
    if name in _MODULE_OF:
        from importlib import import_module

        value = globals()[name] = getattr(import_module(_MODULE_OF[name]), name)
        return value
    raise AttributeError(f"module 'plivo_nb.analysis' has no attribute {name!r}")
