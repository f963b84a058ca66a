"""Serving: a model that answers over HTTP.

::

    request → body → rows → Batcher → Served.predict → answer
                              ↑
    registry → Champion ──────┘  which version, looked up again and again

The same app runs in one process and in the replicas of Ray Serve.
"""

from reviewml.serve.app import create_app
from reviewml.serve.limits import Limits

__all__ = ["Limits", "create_app"]
