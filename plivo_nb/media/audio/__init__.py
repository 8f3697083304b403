"""Sources and sinks of sound, recordings, and the buffers between threads."""
