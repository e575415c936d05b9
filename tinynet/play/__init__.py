"""``tinynet play``: a page on which numbers are edited, and every other number is computed anew by the engine.

A *session* (``session.py``) holds what is played with: an expression, points and a network, or a drawn digit. It takes
acts, plain dictionaries, and tells its state, another one. The server (``server.py``) carries both between the session
and one person's browser, and nobody else's. Neither knows the other's trade, and the page computes nothing.
"""

from tinynet.play.digits import DigitsSession
from tinynet.play.expression import ExpressionSession
from tinynet.play.points import PointsSession
from tinynet.play.serving import serve
from tinynet.play.session import Session

__all__ = ["Session", "ExpressionSession", "PointsSession", "DigitsSession", "serve"]
