"""The SIP side of the lab: switch, proxy, registrar and the sockets that serve them."""
