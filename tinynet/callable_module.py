"""Packages that are also functions: ``tn.backends()`` beside ``tinynet.backends.kernels``, and ``tn.explain(loss)``.

Importing a submodule makes Python set its name on the package, over a function of the same name. So the package itself
answers the call.
"""

from types import ModuleType
from typing import Any


class CallableModule(ModuleType):
    """A module that calls the function it names ``call``; ``sys.modules[__name__].__class__ = CallableModule``."""

    call: Any

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self.call(*args, **kwargs)
