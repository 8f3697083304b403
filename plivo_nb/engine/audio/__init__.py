"""Which device, tone and source a client uses, and when."""
