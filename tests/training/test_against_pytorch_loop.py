"""The Trainer against a loop written in PyTorch: the same weights, the same batches, float64."""

import numpy as np
import pytest
from training_runs import MOONS, mlp, weights

from tinynet import Trainer, nn, optim

pytestmark = pytest.mark.torch

L2, LR, BATCH, EPOCHS = 0.7, 0.2, 8, 5

LOSSES = {
    "cross-entropy": (nn.CrossEntropyLoss(), 2, lambda f, out, y: f.cross_entropy(out, y)),
    "mean squares": (
        nn.MSELoss(), 2, lambda f, out, y: f.mse_loss(out, f.one_hot(y, 2).double())
    ),
    "quadratic": (
        nn.QuadraticCost(), 2, lambda f, out, y: ((out - f.one_hot(y, 2).double()) ** 2).sum() / (2 * len(y))
    ),
    "binary": (
        nn.BCEWithLogitsLoss(), 1, lambda f, out, y: f.binary_cross_entropy_with_logits(out[:, 0], y.double())
    ),
}  # fmt: skip


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("l2", [0.0, L2])
@pytest.mark.parametrize("clip_norm", [None, 0.05])
def test_the_trainer_is_the_loop_one_would_write(loss: str, l2: float, clip_norm: float | None) -> None:
    import torch

    cost, outputs, torch_cost = LOSSES[loss]
    model = mlp(2, 5, 4, outputs, dtype="float64")
    twin = torch.nn.Sequential(
        torch.nn.Linear(2, 5), torch.nn.Tanh(), torch.nn.Linear(5, 4), torch.nn.Tanh(), torch.nn.Linear(4, outputs)
    ).double()
    twin.load_state_dict({name: torch.tensor(w) for name, w in weights(model).items()})

    history = Trainer(model, cost, optim.SGD(lr=LR), l2=l2, clip_norm=clip_norm).fit(
        MOONS, epochs=EPOCHS, batch_size=BATCH, seed=3, progress=False
    )

    n, losses = len(MOONS), []
    optimizer = torch.optim.SGD(twin.parameters(), lr=LR)
    for epoch in range(EPOCHS):
        order, total = np.random.default_rng([3, epoch]).permutation(n), 0.0
        for start in range(0, n, BATCH):
            rows = order[start : start + BATCH]
            x, y = torch.tensor(MOONS.x[rows].astype(float)), torch.tensor(MOONS.y[rows])
            data_loss = torch_cost(torch.nn.functional, twin(x), y)
            penalty = l2 / (2 * n) * sum((w**2).sum() for name, w in twin.named_parameters() if "weight" in name)
            optimizer.zero_grad()
            (data_loss + penalty).backward()
            if clip_norm:
                torch.nn.utils.clip_grad_norm_(twin.parameters(), clip_norm)
            optimizer.step()
            total += data_loss.item() * len(rows)
        losses.append(total / n)

    # float64 throughout; the order of sums differs, 35 steps enlarge that to about 1e-13.
    assert history["loss"] == pytest.approx(losses, rel=1e-10)
    for name, w in twin.state_dict().items():
        np.testing.assert_allclose(weights(model)[name], w.numpy(), rtol=1e-10, err_msg=name)
