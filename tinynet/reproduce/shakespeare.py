"""Characters of Shakespeare: an LSTM as in A. Karpathy's *char-rnn* (2015), a small GPT as in his *nanoGPT* (2022)."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tinynet import data, nn, optim, random
from tinynet.functions import zeros
from tinynet.modes import no_grad
from tinynet.recording import capture
from tinynet.reproduce.published import Effort, Published
from tinynet.tensor import Tensor

Text = NDArray[np.int64]


def text(effort: Effort, share: float) -> tuple[Text, Text, int]:
    """The text as character numbers: the first share of it, the rest, and how many different characters there are."""
    shakespeare = data.shakespeare(effort.directory)
    vocabulary = data.Characters(shakespeare)
    numbers = np.asarray(vocabulary.encode(shakespeare), np.int64)
    cut = int(share * len(numbers))
    return numbers[:cut], numbers[cut:], len(vocabulary)


# --- an LSTM that is carried along the text ---------------------------------------------------------------------------


class CharLSTM(nn.Module):
    """Two layers of LSTM over the characters' one-hot rows (an embedding is a linear map of those), and logits."""

    def __init__(self, vocabulary: int, hidden: int = 128) -> None:
        self.embedding = nn.Embedding(vocabulary, vocabulary)
        self.lstm = nn.LSTM(vocabulary, hidden, num_layers=2, batch_first=True)
        self.head = nn.Linear(hidden, vocabulary)

    def start(self, batch: int) -> tuple[Tensor, Tensor]:
        """The state before the first character."""
        shape = (self.lstm.num_layers, batch, self.lstm.hidden_size)
        return zeros(shape), zeros(shape)

    def forward(self, x: Tensor, state: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """(batch, steps), two of (layers, batch, hidden) -> logits (batch, steps, vocabulary), the state after."""
        out, (h, c) = self.lstm(self.embedding(x), tuple(state))
        return self.head(out), h, c


def rows(numbers: Text, batch: int, steps: int) -> list[tuple[Text, Text]]:
    """A text cut into ``batch`` long rows, and these into pieces of ``steps`` with their next characters."""
    length = (len(numbers) - 1) // batch // steps * steps
    x = numbers[: batch * length].reshape(batch, length)
    y = numbers[1 : batch * length + 1].reshape(batch, length)
    return [(x[:, i : i + steps], y[:, i : i + steps]) for i in range(0, length, steps)]


def char_lstm(effort: Effort) -> float:
    """char-rnn's defaults: batches of 50 × 50, RMSprop lr 0.002 falling by 3 % an epoch after the tenth, 50 epochs at
    most. The validation loss of the best epoch, as char-rnn recommends; five without a better one end the run."""
    random.manual_seed(effort.seed)
    train, valid, vocabulary = text(effort, 0.95)
    model, loss = CharLSTM(vocabulary), nn.CrossEntropyLoss(dim=-1)
    optimizer = optim.RMSprop(model.parameters(), lr=2e-3, alpha=0.95)
    batches, pieces = rows(train, 50, 50), rows(valid, 50, 50)

    def train_step(x: Tensor, y: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        optimizer.zero_grad()
        logits, h, c = model(x, (h, c))
        cost = loss(logits, y)
        cost.backward()
        optim.clip_grad_value_(model.parameters(), 5.0)
        optimizer.step()
        return cost, h.detach(), c.detach()  # the state goes on, the gradient ends here

    recorded = capture(train_step)
    carried = [Tensor(0.0)]

    def step(i: int) -> None:
        carried[:] = recorded(*batches[i], *carried[1:])

    def validation() -> float:
        total, state = 0.0, model.start(50)
        with no_grad():
            for x, y in pieces:
                logits, *state = model(x, state)
                total += loss(logits, y).item()
        return total / len(pieces)

    best, waited = math.inf, 0
    for epoch in range(1 if effort.quick else 50):
        if epoch >= 10:
            optimizer.lr *= 0.97
        carried[1:] = model.start(50)
        effort.steps(step, len(batches), lambda: f"loss {carried[0].item():.3f}")
        now = validation()
        best, waited = (now, 0) if now < best else (best, waited + 1)
        if waited == 5:
            break
    return best


# --- a small GPT ------------------------------------------------------------------------------------------------------


def windows(numbers: Text, count: int, length: int, chosen: np.random.Generator) -> tuple[Text, Text]:
    """``count`` pieces of the text, drawn anywhere, and the same pieces one character on."""
    starts = chosen.integers(len(numbers) - length, size=count)[:, None] + np.arange(length)
    return numbers[starts], numbers[starts + 1]


def warm_cosine(steps: int, warm: int, highest: float, lowest: float) -> Callable[[int], float]:
    """A learning rate that rises along a line for ``warm`` steps and falls along half a cosine."""

    def rate(i: int) -> float:
        if i < warm:
            return highest * (i + 1) / (warm + 1)
        return lowest + 0.5 * (1 + math.cos(math.pi * (i - warm) / (steps - warm))) * (highest - lowest)

    return rate


def nano_gpt(effort: Effort) -> float:
    """nanoGPT's setting for a CPU: 2,000 steps of 12 × 64 characters, AdamW, lr 1e-3 to 1e-4, no dropout."""
    random.manual_seed(effort.seed)
    train, valid, vocabulary = text(effort, 0.9)
    model = nn.GPT(vocabulary, block_size=64, n_layer=4, n_head=4, n_embd=128, bias=False)
    loss = nn.CrossEntropyLoss(dim=-1)
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim < 2]
    betas = (0.9, 0.99)
    optimizers = [
        optim.AdamW(matrices, betas=betas, weight_decay=0.1),
        optim.AdamW(others, betas=betas, weight_decay=0.0),
    ]
    count = 200 if effort.quick else 2000
    rate = warm_cosine(count, 10 if effort.quick else 100, 1e-3, 1e-4)
    chosen = np.random.default_rng(effort.seed)

    def train_step(x: Tensor, y: Tensor) -> Tensor:
        model.zero_grad()
        cost = loss(model(x), y)
        cost.backward()
        optim.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        return cost

    recorded = capture(train_step)
    cost = Tensor(0.0)

    def step(i: int) -> None:
        nonlocal cost
        for optimizer in optimizers:
            optimizer.lr = rate(i)
        cost = recorded(*windows(train, 12, 64, chosen))

    effort.steps(step, count, lambda: f"loss {cost.item():.3f}")
    model.eval()
    with no_grad():
        costs = [loss(model(x), y).item() for x, y in (windows(valid, 100, 64, chosen) for _ in range(20))]
    return sum(costs) / len(costs)


RESULTS = [
    Published(
        "char-lstm", "Karpathy, *char-rnn*, its defaults",
        "LSTM 2 × 128 on Shakespeare, 50 × 50 characters, up to 50 epochs",
        "", "nats", 1.60, 1.95, 10, 0.3, char_lstm,
    ),
    Published(
        "nanogpt", "Karpathy, *nanoGPT*, Shakespeare on a CPU",
        "GPT 4 layers, 4 heads, 128 wide, 64 characters, 2,000 steps",
        "1.88 nats", "nats", 1.95, 2.55, 3, 0.4, nano_gpt,
    ),
]  # fmt: skip
