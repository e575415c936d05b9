"""How long products of matrices take on a GPU, by cuBLAS and by kernels for small ones, and which way the rule goes.

``backends/cuda/gemm.py`` holds the rule; its constants are to be set so that it is right where it matters. Times are of
one product among many in a CUDA graph, as replays run them; beside them one call from Python, ours and CuPy's.

    python3 -m tinynet.bench.gemm_rates [--dtype float32] [--json rates.json]
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tinynet.bench.clock import in_graph, least
from tinynet.dtypes import FLOATS, check_dtype
from tinynet.registry import get_backend

AT_ONCE = 50  # products of a graph
SECONDS = 0.02  # for each way of each
OWN_UP_TO = 1 << 24  # multiplications; beyond, the kernels for small products are not tried
# (batch, inputs, outputs) of dense layers: each is three products, the result's and its two gradients'
LAYERS = (
    (32, 784, 16), (32, 16, 16), (32, 16, 10), (10, 784, 30), (10, 30, 10), (100, 2, 16), (100, 16, 1), (64, 64, 64),
    (64, 784, 100), (128, 784, 128), (32, 128, 512), (256, 256, 256), (768, 128, 384), (1024, 1024, 1024),
)  # fmt: skip
# (batch, heads, length, width) of attention: the product of queries and keys
HEADS = ((12, 4, 64, 32), (2, 4, 16, 8), (32, 8, 128, 64))
Row = dict[str, Any]


def cases(backend: Any, dtype: str) -> Iterator[tuple[str, Any, Any]]:
    """What is multiplied: a label and two arrays, laid out as a training step has them."""
    random = np.random.default_rng(0)

    def made(*shape: int) -> Any:
        return backend.array(random.uniform(-1, 1, shape), dtype)

    for batch, inputs, outputs in LAYERS:
        x, w, g = made(batch, inputs), made(outputs, inputs), made(batch, outputs)
        told = f"{inputs} -> {outputs}, batch {batch}"
        yield f"{told}: result", x, w.T
        yield f"{told}: weights", g.T, x
        yield f"{told}: inputs", g, w
    for batch, heads, length, width in HEADS:
        q, k = made(batch, length, heads, width), made(batch, length, heads, width)
        told = f"attention, batch {batch}, {heads} heads of {width}, length {length}"
        yield told, q.transpose(0, 2, 1, 3), k.transpose(0, 2, 3, 1)


def measured(dtype: str) -> Iterator[Row]:
    """For each case the microseconds by way, and the way that the rule takes."""
    from tinynet.backends.cuda.gemm import by_warps, fits, small_product
    from tinynet.backends.cuda.layout import stacked

    backend: Any = get_backend("cupy")
    products = backend.products
    for label, x, y in cases(backend, dtype):
        out = products.matmul(x, y)
        stack, multiplications = stacked(x, y, out), out.size * x.shape[-1]
        ways: dict[str, Callable[[], Any]] = {"cublas": partial(products.blas.gemm, x, y, out)}
        chosen = "cublas"
        if fits(stack, None, x.dtype) and multiplications <= OWN_UP_TO:
            for way, warps in (("warps", True), ("tiles", False)):
                ways[way] = partial(small_product, products.module, stack, x, y, out, warps=warps)
            if multiplications <= products.small:
                chosen = "warps" if by_warps(stack, out.size // (stack.m * stack.n)) else "tiles"
        graph = {way: in_graph(run, AT_ONCE, backend, SECONDS) * 1e6 for way, run in ways.items()}
        call = {
            who: least([product] * AT_ONCE, AT_ONCE, backend.synchronize, SECONDS) * 1e6
            for who, product in (
                ("ours", partial(products.matmul, x, y, out=out)),
                ("cupy", partial(backend.xp.matmul, x, y)),
            )
        }
        yield {"label": label, "multiplications": multiplications, "graph_us": graph, "call_us": call, "rule": chosen}


def reach(rows: Sequence[Row]) -> int:
    """The most multiplications at which a kernel of our own is as fast as cuBLAS, and at all smaller ones tried."""
    most = 0
    for row in sorted(rows, key=lambda row: int(row["multiplications"])):
        own = [us for way, us in row["graph_us"].items() if way != "cublas"]
        if own and min(own) > row["graph_us"]["cublas"]:
            break
        most = row["multiplications"] if own else most
    return most


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each product; where the rule takes the slower way, what that costs."""
    parser = argparse.ArgumentParser(prog="tinynet.bench.gemm_rates", description="Times of products on a GPU.")
    parser.add_argument("--dtype", default="float32", choices=FLOATS)
    parser.add_argument("--json", type=Path, help="where to write the times")
    given = parser.parse_args(arguments)
    ways, rows = ("cublas", "warps", "tiles"), []
    print(f"{given.dtype}, µs {'':44} {''.join(f'{way:>9}' for way in ways)}  call: ours    CuPy  rule")
    for row in measured(check_dtype(given.dtype)):
        rows.append(row)
        graph, call, rule = row["graph_us"], row["call_us"], row["rule"]
        times = "".join(f"{graph[way]:9.1f}" if way in graph else f"{'-':>9}" for way in ways)
        lost = graph[rule] / min(graph.values()) - 1
        slower = f", {lost:.0%} slower" if lost > 0.05 else ""
        print(f"{row['label']:56} {times}  {call['ours']:10.1f} {call['cupy']:7.1f}  {rule}{slower}")
    print(f"Kernels of our own are as fast as cuBLAS up to {reach(rows):,} multiplications (SMALL in cuda/gemm.py).")
    if given.json:
        given.json.write_text(json.dumps({"dtype": given.dtype, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
