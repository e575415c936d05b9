"""One epoch of 784-16-16-10 on MNIST as most would write it in PyTorch: what ``epoch.py`` sets tinynet beside.

A script of its own, which imports nothing of tinynet: what it takes, start-up included, is PyTorch's alone.

    python bench/epoch_torch.py FOLDER        # that holds the four .gz files of MNIST
"""

import gzip
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def read(folder: Path, part: str) -> TensorDataset:
    """Images, (N, 784) in [0, 1], and digits."""
    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784)
    with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)
    return TensorDataset(torch.from_numpy(images.astype(np.float32) / 255), torch.from_numpy(labels.astype(np.int64)))


def main(folder: Path) -> None:
    """Read, train for an epoch, measure."""
    torch.manual_seed(0)
    train, test = read(folder, "train"), read(folder, "t10k")
    model = nn.Sequential(nn.Linear(784, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 10))
    loss_of = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.train()
    for x, y in DataLoader(train, batch_size=32, shuffle=True):
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
    model.eval()
    right = 0
    with torch.no_grad():
        for x, y in DataLoader(test, batch_size=1000):
            right += int((model(x).argmax(1) == y).sum())
    print(f"Test accuracy {right / len(test):.2%} ({right:,} of {len(test):,})")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
