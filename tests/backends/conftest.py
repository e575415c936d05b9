"""The cupy backend for the tests of this folder: on the strict stand-in always, on a GPU where there is one."""

import pytest
from strict_backend import strict_cupy_in_charge

from tinynet import get_backend


@pytest.fixture
def strict():
    """The cupy backend on the stand-in, under the name "cupy"."""
    with strict_cupy_in_charge() as backend:
        yield backend


@pytest.fixture(params=["stand-in", pytest.param("GPU", marks=pytest.mark.gpu)])
def cupy(request):
    """The cupy backend under the name "cupy", on the stand-in and on a GPU."""
    if request.param == "GPU":
        yield get_backend("cupy")
    else:
        with strict_cupy_in_charge() as backend:
            yield backend
