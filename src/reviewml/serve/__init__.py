"""Serving: a model that answers over HTTP.

::

    request → Intake → rows → Batcher → Served.predict → answer
                                ↑
    registry → Champion ────────┘  which version, looked up again and again

The same app runs in one process and in the replicas of Ray Serve.
"""

from reviewml.serve.app import create_app
from reviewml.serve.limits import Limits
from reviewml.serve.server import configure_server

__all__ = ["Limits", "configure_server", "create_app"]
