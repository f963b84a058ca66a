"""Settings that all tests share."""

from hypothesis import settings

# Machines are shared and slow at times: how long an example takes says nothing.
settings.register_profile("reviewml", deadline=None)
settings.load_profile("reviewml")
