"""Pictures inside a page."""

from __future__ import annotations

import base64
import html
import io

from reviewml.errors import MissingExtra
from reviewml.evaluation import Evaluation
from reviewml.explanation import Explanation


def render_picture(what: Evaluation | Explanation) -> str:
    """Render a plot as an image element; the text is empty when matplotlib is missing."""
    try:
        import matplotlib

        # Otherwise the same picture would have other bytes each time.
        with matplotlib.rc_context({"svg.hashsalt": "reviewml"}):
            figure = what.plot()
            written = io.BytesIO()
            figure.savefig(written, format="svg", metadata={"Date": None})
    except (ImportError, MissingExtra):
        return ""
    # As data of its own, the picture can neither clash with the page's names nor run anything.
    encoded = base64.b64encode(written.getvalue()).decode()
    alt_text = html.escape(f"{type(what).__name__} as a picture; the figures are in the tables")
    return f'<figure><img alt="{alt_text}" src="data:image/svg+xml;base64,{encoded}"></figure>'
