"""Analysis after the call: plots, files, SIP ladders, clips, reports, diagnosis, rules replayed.

The engine does not import this package; its users import it when they need it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plivo_nb.analysis.diagnosis import diagnose
    from plivo_nb.analysis.rule_comparison import compare_rules, sweep, sweep_figure
    from plivo_nb.analysis.rule_replay import replay

# A module is imported when one of its functions is first used (PEP 562): each needs other large libraries.
_MODULE_OF = {
    "compare_rules": "plivo_nb.analysis.rule_comparison",
    "diagnose": "plivo_nb.analysis.diagnosis",
    "replay": "plivo_nb.analysis.rule_replay",
    "sweep": "plivo_nb.analysis.rule_comparison",
    "sweep_figure": "plivo_nb.analysis.rule_comparison",
}

__all__ = ["compare_rules", "diagnose", "replay", "sweep", "sweep_figure"]


def __getattr__(name: str) -> object:
    if name in _MODULE_OF:
        from importlib import import_module

        value = globals()[name] = getattr(import_module(_MODULE_OF[name]), name)
        return value
    raise AttributeError(f"module 'plivo_nb.analysis' has no attribute {name!r}")
