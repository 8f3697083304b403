"""Call quality while a call is up: scores, samples, the frames they fill, and the mediaMetrics rules.

- `mos`: scores. `sampler`: the numbers of an interval. `frames`: what they are kept in.
- `rules`: when a mediaMetrics event is due, as data. `judge`: applies them to a call.

What runs live stands here and knows nothing of SIP, media or plots; it gets plain numbers.
"""
