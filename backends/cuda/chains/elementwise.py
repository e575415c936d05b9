"""Operations of single elements that the array library needs several launches for: here a chain of one, in one launch.

Launched alone and joined to others in a recorded step, they are the same formulas.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from tinynet.backend import Kernel
from tinynet.backends.cuda.chains.chain import Chain
from tinynet.backends.cuda.chains.links import linked
from tinynet.backends.cuda.module import Module
from tinynet.dtypes import FLOATS, dtype_name
from tinynet.program import Call

Array = Any
RESULTS = {"sigmoid": 1, "erf": 1, "leaky_relu": 1, "relu_gradient": 1, "where": 1, "gelu": 2}
MOST = 512  # compiled chains that are kept at hand


def kernels(cuda: Module, plain: Mapping[str, Kernel]) -> dict[str, Kernel]:
    """name -> kernel."""
    known: dict[Any, Any] = {}
    return {name: partial(_launched, cuda, plain[name], known, name) for name in RESULTS}


def _launched(
    cuda: Module, plain: Kernel, known: dict[Any, Any], name: str, *inputs: Any, out: Any = None, **params: Any
) -> Any:
    """The operation, by a chain if its inputs are floats of one type and its results lie apart from them."""
    numbers = inputs[1:] if name == "where" else inputs
    kinds = {dtype_name(x.dtype) for x in numbers if isinstance(x, cuda.xp.ndarray)}
    if len(kinds) != 1 or not kinds <= set(FLOATS):
        return plain(*inputs, out=out, **params)
    made = out
    if out is None:
        shape = np.broadcast_shapes(*[x.shape for x in inputs if isinstance(x, cuda.xp.ndarray)])
        dtype = next(x.dtype for x in numbers if isinstance(x, cuda.xp.ndarray))
        made = tuple([cuda.xp.empty(shape, dtype) for _ in range(RESULTS[name])])
        made = made if RESULTS[name] > 1 else made[0]
    link = linked(Call(name, plain, inputs, made, params), cuda.xp.ndarray)
    if link is None:
        return plain(*inputs, out=out, **params)
    order = list(link.arrays)
    roles = [order.index(x) if x in link.arrays else repr(x) for x in (*link.step.inputs, *link.step.outs)]
    key = name, link.shape, *params.items(), *[(place.dtype, place.strides) for place in order], *roles
    if key not in known:
        if len(known) >= MOST:
            known.clear()
        chain = Chain(link.shape, [link.step], set(link.step.outs))
        run = chain.compiled(cuda)
        known[key] = run, [order.index(p) for p in chain.reads], [order.index(p) for p in chain.writes]
    run, reads, writes = known[key]
    arrays = list(link.arrays.values())
    run([arrays[i] for i in reads], [arrays[i] for i in writes])
    return made
