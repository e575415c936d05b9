"""From numbers to GPUs: one model as thousands of Values, as a few arrays, and as a program of calls."""

import time

import numpy as np

import tinynet as tn
from tinynet import Tensor, nn, optim
from tinynet.teaching import Check, Choice, Experiment, Lesson, Slider

WIDTHS = (1, 4, 16, 64, 256, 1024)
WAYS = {  # an engine, recorded or not
    ("scalar", False): "Values",
    ("numpy", False): "arrays",
    ("numpy", True): "arrays, recorded",
    ("cupy", False): "GPU",
    ("cupy", True): "GPU, recorded",
}


def setup(width, batch, seed):
    """A network 8-width-width-1, random inputs, and as targets the sign of their sum."""
    tn.manual_seed(seed)
    hidden = nn.Linear(8, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh()
    x = np.random.default_rng(seed).normal(size=(batch, 8)).astype(np.float32)
    model = nn.Sequential(*hidden, nn.Linear(width, 1))
    return model, x, np.sign(x.sum(1, keepdims=True))


def training(model, until="descent"):
    """A training step, or its beginning."""
    optimizer = optim.SGD(model.parameters(), lr=0.001)

    def step(x, y):
        optimizer.zero_grad()
        loss = nn.MSELoss()(model(x), y)
        if until != "loss":
            loss.backward()
        if until == "descent":
            optimizer.step()
        return loss

    return step


def count(node):
    """How many nodes a graph has: each remembers its parents."""
    seen, todo = set(), [node]
    while todo:
        node = todo.pop()
        if id(node) not in seen:
            seen.add(id(node))
            todo += node.parents
    return len(seen)


def remembered(width=16, batch=8, seed=0):
    """How many nodes remember how one loss came about: as Values, as Tensors."""
    found = []
    for engine in ("scalar", "numpy"):
        model, x, y = setup(width, batch, seed)
        step = training(model.to(engine), until="loss")
        found.append(step(Tensor(x, backend=engine), Tensor(y, backend=engine)))
    value = found[0].data.item()  # on the scalar engine an array holds Values
    weights = sum(p.size for p in model.parameters())
    return count(value), count(found[1]), weights


def draw_remembered(figure, result, width, batch):
    axes = figure.subplots()
    bars = axes.barh(("Values", "Tensors", "weights"), result, color=("C1", "C0", "gray"))
    axes.bar_label(bars, [f"{n:,}" for n in result], padding=4)
    axes.set(xscale="log", xlim=(1, 1e6), xlabel="how many")
    axes.invert_yaxis()
    return (
        f"8-{width}-{width}-1 has {result[2]:,} weights and biases. With a batch of {batch}, {result[0]:,}"
        f" Values remember how the loss came about, or {result[1]} Tensors."
    )


def program(width=16, batch=8, seed=0):
    """The calls of a step that ends with the loss, with the gradients, with the descent."""
    found = []
    for until in ("loss", "gradients", "descent"):
        model, x, y = setup(width, batch, seed)
        step = tn.capture(training(model, until), names=model.named_parameters())
        step(x, y)  # the first call records, later ones replay
        lines = [line for line in str(step.program).splitlines() if line[0] != "#"]
        found.append([line for line in lines if not line.endswith("a view")])
    return found


def draw_program(figure, result, width, batch):
    axes, ends, calls = figure.subplots(), list(map(len, result)), result[2]
    for i, line in enumerate(calls):
        call, _, shape = line.replace("np.", "").partition(" #")
        colour = f"C{sum(i >= end for end in ends[:2])}"
        axes.text(0, 1 - i / ends[2], call.strip(), color=colour, va="top")
        axes.text(1, 1 - i / ends[2], shape.removeprefix(" float32 "), color=colour, va="top", ha="right")
    axes.set_axis_off()
    return (
        f"Width {width}: {ends[2]} calls, and at the right the shape of what each makes. {ends[0]} go forward to the "
        f"loss (blue), {ends[1] - ends[0]} back to the gradients (orange), {ends[2] - ends[1]} descend (green)."
    )


def seconds(engine, recorded, width, batch, seed):
    """The time of a step, until its loss can be read: the shortest of seven."""
    model, x, y = setup(width, batch, seed)
    step = training(model.to(engine))
    step = tn.capture(step) if recorded else step
    given, times = [Tensor(part, backend=engine) for part in (x, y)], []
    for _ in range(8):
        start = time.perf_counter()
        step(*given).item()
        times.append(time.perf_counter() - start)
    return min(times[1:])  # the first call may record


def race(batch=8, seed=0):
    """A step at growing widths on every engine that runs here, and how far they differ."""
    engines = [name for name in ("scalar", "numpy", "cupy") if tn.backends()[name].usable]
    times = {}
    for engine, recorded in [way for way in WAYS if way[0] in engines]:
        widths = WIDTHS[: 3 if engine == "scalar" else 6]
        timed = {w: seconds(engine, recorded, w, batch, seed) for w in widths}
        times[engine, recorded] = timed
    model, x, y = setup(16, batch, seed)
    return times, tn.parity(model, x, y, nn.MSELoss(), backends=engines)


def draw_race(figure, result, batch):
    axes, (times, _) = figure.subplots(), result
    for (way, found), line in zip(times.items(), ("C1o-", "C0s--", "C2^-", "C3s--", "C5^-")):
        axes.plot(found.keys(), [1000 * t for t in found.values()], line, markersize=5, label=WAYS[way])
    axes.set(xscale="log", yscale="log", ylim=(0.005, 1000), xlabel="units in each hidden layer", ylabel="ms a step")
    axes.set_xticks(WIDTHS, minor=False)
    figure.legend(loc="outside upper center", ncols=3)
    told = [f"{WAYS[way]} {1000 * found[1]:.2g} and {1000 * found[16]:.2g}" for way, found in times.items()]
    faster = [times["numpy", False][width] / times["numpy", True][width] for width in (1, 1024)]
    gpu = "" if tn.backends()["cupy"].usable else " No GPU is in it: tinynet backends says what is missing."
    return (
        f"Times of this machine, just now, {batch} to a batch. Milliseconds a step at width 1 and 16: "
        f"{'; '.join(told)}. Recorded, arrays are {faster[0]:.2g} times as fast at width 1, {faster[1]:.2g} times at "
        f"1,024.{gpu}"
    )


LESSON = Lesson(
    number=20,
    title="From numbers to GPUs",
    question="The same model as thousands of numbers, as a few arrays, as a program on a card: what is each good for?",
    idea="""Backpropagation needs to remember how the loss was computed. That can be remembered number by number: a
`Value` for each product and each sum, which you can look at and walk through. Or array by array: a `Tensor` for a
whole layer and all examples. Or, since a training step always does the same, only once: `tn.capture` writes down the
calls of one step, and then replays them.""",
    experiments=[
        Experiment(
            title="What is remembered",
            says="""A network 8-16-16-1 with tanh and a batch of 8 examples; the loss is the mean squared error. The
same model runs on both engines: `model.to("scalar")` computes with Values, `model.to("numpy")` with arrays. A graph's
nodes are counted by going from the loss to whatever each node was made from.""",
            run=remembered,
            draw=draw_remembered,
            size=(5, 2.1),
            sliders=[Slider("width", (1, 4, 16, 32), "units in each hidden layer"),
                     Slider("batch", (1, 8, 32), "examples")],
            predict=Choice(
                "The network has 433 weights. About how many Values remember the loss of 8 examples?",
                ("500, one a weight", "2,000", "7,000", "50,000"),
                right=lambda run: int(np.digitize(run()[0], (1000, 4000, 20_000))),
                because="""{values}: for each weight and each example a product and a sum. As Tensors there are
{tensors}, at every width and with any number of examples ({same} at width 32 with 32 examples).""",
            ),
            checks=[
                Check("values", "Values, width 16, 8 examples", lambda run: run()[0], 7186, 7186, ",.0f"),
                Check("tensors", "Tensors, width 16, 8 examples", lambda run: run()[1], 16, 16),
                Check("same", "Tensors, width 32, 32 examples", lambda run: run(width=32, batch=32)[1], 16, 16),
            ],
        ),
        Experiment(
            title="The step as a program",
            says="""`tn.capture` runs the training step once and writes down each call of a kernel (a function that
computes on arrays), with the arrays it reads and the one it writes. Replaying makes these calls and nothing
else: no graph is built, no memory asked for. On a GPU the same list becomes one CUDA graph, which the card runs by
itself after a single launch. Printed, it can be read from top to bottom.""",
            run=program,
            draw=draw_program,
            size=(5, 6.2),
            sliders=[Slider("width", (1, 16, 256), "units in each hidden layer")],
            predict=Choice(
                "From width 16 to width 256 there are 160 times as many weights. The program then has",
                ("about 160 times as many calls", "about 16 times as many", "about as many"),
                right=lambda run: 2 - int(np.digitize(len(run(width=256)[2]) / len(run()[2]), (2, 50))),
                because="""{calls} calls at width 16, {wide} at width 256: each has more to do, and which kernel does
it is chosen by the size. That is what arrays are for, and why a GPU, which does thousands of sums at once but takes
its time to start, pays where the calls are large.""",
            ),
            checks=[
                Check("calls", "calls of the whole step, width 16", lambda run: len(run()[2]), 25, 33, ".0f"),
                Check("wide", "calls of the whole step, width 256", lambda run: len(run(width=256)[2]), 25, 33, ".0f"),
                Check("forward", "calls up to the loss, width 16", lambda run: len(run()[0]), 8, 11, ".0f"),
            ],
        ),
        Experiment(
            title="On your own machine",
            says="""The same step on every engine that runs here. Both axes are logarithmic: a line up is ten times as
long. On Values, time grows with the number of weights; with arrays, small networks take the time of the calls
themselves, and only large ones that of the arithmetic. Times hang on the machine and on what else it does; what is
checked is that all compute the same.""",
            run=race,
            draw=draw_race,
            size=(5, 3.4),
            sliders=[Slider("batch", (1, 8, 32), "examples in a step")],
            predict=Choice(
                "Thousands of Values, or a few arrays, each in float64: how far apart is the worst gradient?",
                ("bit for bit equal", "by rounding, about 10⁻¹⁶ of it", "by about a thousandth"),
                right=lambda run: int(run()[1].worst > 0) + int(run()[1].worst > 1e-9),
                because="""By {worst} of the largest in its array: sums are added up in another order, so the last
digits differ. So choose by the work. Values, to see and to check every number. Arrays, to train; recorded, where the
network is small and the calls count. A GPU, where each call has enough to do: with `--backend cupy`, no line of the
model changes. Measured elsewhere, not here: on an NVIDIA H100 in float32, recorded, a step of 784-30-10 with 10 digits
takes 0.025 ms, and one of 784-512-512-10 with 256 digits 0.102 ms, for about 700 times the arithmetic (`bash
bench/on_gpu.sh`; `bench/results/2026-11-26-nvidia-h100-80gb-hbm3/summary.md`).""",
            ),
            checks=[
                Check("worst", "width 16: worst relative difference of outputs, loss, gradients",
                      lambda run: run()[1].worst, 1e-17, 1e-12, ".0e"),
                Check("engines", "engines compared", lambda run: len({engine for engine, _ in run()[0]}), 2, 3),
            ],
        ),
    ],
    change=[
        "`tinynet learn numbers-to-gpus --set batch=64`: when do Values become hopeless?",
        "`tinynet bench` times whole training steps beside PyTorch and JAX, on this machine.",
        """`tinynet backends` says which engines run here, and what is missing for the others. What was measured on a
card lies under `bench/results`.""",
    ],
    engine=["backends/scalar_backend.py: ScalarBackend", "tensor.py: Tensor.apply", "recording.py: Recording",
            "program.py: Program.replay"],
    sources=["A. Karpathy, micrograd: https://github.com/karpathy/micrograd",
             "CUDA C++ Programming Guide, CUDA graphs: https://docs.nvidia.com/cuda/cuda-c-programming-guide/"],
)  # fmt: skip
