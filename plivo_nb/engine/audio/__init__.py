"""Which device, tone and source a client uses, and when.

- `devices`: `client.audio` and its device choices. `tones`: ring, ring-back, dial and DTMF tones.
- `call_audio`: microphone, speaker and tones in the course of one call. `kept_audio`: its last seconds.
"""
