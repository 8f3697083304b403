"""After the call: pictures (`plots`), files (`store`), and whether the sound came back (`compare`).

Imported late by the command line and by notebooks, never by the engine.
"""
