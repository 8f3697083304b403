"""Call quality while a call is up: scores (`mos`), samples (`sampler`) and the frames they fill (`frames`).

What runs live stands here and knows nothing of SIP, media or plots; it gets plain numbers.
"""
