"""The SIP side of the lab: switch, proxy, registrar and their WebSocket server."""
