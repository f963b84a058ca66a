"""Settings that all tests share."""

import os
import tempfile

from hypothesis import settings

# Machines are shared and slow at times: how long an example takes says nothing.
settings.register_profile("reviewml", deadline=None)
settings.load_profile("reviewml")

# Before anything runs, so that no test and no process it starts touches the user's own store.
_STORE = tempfile.TemporaryDirectory(prefix="reviewml-store-")
os.environ["REVIEWML_STORE"] = _STORE.name
