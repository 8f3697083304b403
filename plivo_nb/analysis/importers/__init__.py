"""Calls that other programs recorded, read into the frames of this package."""

from plivo_nb.analysis.importers.formats import read_foreign

__all__ = ["read_foreign"]
