"""Analysis after the call: plots, files (`store`), SIP ladders, and comparison of sounds (`compare`).

The engine does not import this package; its users import it when they need it.
"""
