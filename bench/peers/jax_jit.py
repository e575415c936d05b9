"""JAX: the whole step one compiled function of parameters and batch, which hands its parameters' memory on."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from tinynet.bench.contenders import Step
from tinynet.bench.peers.jax_models import MODELS
from tinynet.bench.workload import Workload
from tinynet.bench.workloads import read


def touch() -> None:
    """Take a tiny step: what the library loads late and its threads are then there."""
    make(read("mlp-quick")).run()


def make(workload: Workload) -> Step:
    """The step, which is done when it returns; the first call compiles it."""
    step = launched(workload)

    def run() -> Any:
        loss = step.run()
        step.wait()
        return loss

    return Step(run, step.weights)


def launched(workload: Workload, **choices: Any) -> Step:
    """The step, which may still be under way when it returns.

    Args:
        choices: what the family's model leaves open.
    """
    forward = MODELS[workload.family](workload, **choices)
    x, y = map(jnp.asarray, workload.given())
    held = {"parameters": {name: jnp.asarray(array) for name, array in workload.weights().items()}}
    rate, decay = workload.learning_rate, workload.weight_decay
    cost = _hinge if workload.family == "moons" else _entropy

    @partial(jax.jit, donate_argnums=0)
    def step(parameters: Any, x: Any, y: Any) -> Any:
        loss, gradients = jax.value_and_grad(lambda p: cost(forward(p, x), y))(parameters)
        return jax.tree.map(lambda p, g: p - rate * (g + decay * p), parameters, gradients), loss

    def run() -> Any:
        held["parameters"], loss = step(held["parameters"], x, y)
        return loss

    return Step(run, lambda: dict(held["parameters"]), wait=lambda: jax.block_until_ready(held["parameters"]))


def _entropy(logits: Any, y: Any) -> Any:
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), y[..., None], axis=-1)
    return -chosen.mean()


def _hinge(scores: Any, sides: Any) -> Any:
    return jax.nn.relu(1 - sides * scores.reshape(-1)).mean()
