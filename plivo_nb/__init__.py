"""The softphone that lives in a notebook: the Plivo Browser SDK V2.1 in Python."""

__version__ = "0.1.0"
