"""Sound cards of this machine: devices, streams and the thread that manages them."""
