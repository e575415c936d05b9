"""The engines. `kernels/` holds every kernel once; the other files hold what differs, each with its reason.

Called, ``tn.backends()``, it says which of them can run here.
"""

import sys

from tinynet.callable_module import CallableModule
from tinynet.registry import backends as call

__all__ = ["call"]

sys.modules[__name__].__class__ = CallableModule
