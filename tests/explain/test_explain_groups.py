"""Which part of a network each number belongs to."""

import numpy as np
import pytest

import tinynet as tn
from tinynet import Value, nn
from tinynet.explain.groups import group_nodes
from tinynet.neuron import MLP


class Grouped:
    """The groups of a run, and what is in them.

    Attributes:
        parts: for each group the ids of the nodes in it, or in a group inside it.
    """

    def __init__(self, explained):
        self.nodes = explained.nodes
        self.groups, self.membership = group_nodes(self.nodes)
        self.parts = [[] for _ in self.groups]
        for node, at in zip(self.nodes, self.membership):
            while at >= 0:
                self.parts[at].append(node.id)
                at = self.groups[at].parent

    def of(self, kind):
        return [group for group in self.groups if group.kind == kind]

    def find(self, name, parent=None):
        """The nodes of the group of that name."""
        (k,) = [
            k for k, group in enumerate(self.groups)
            if group.name == name and (parent is None) == (group.parent < 0)
            and (parent is None or self.groups[group.parent].name == parent)
        ]  # fmt: skip
        return [self.nodes[i] for i in self.parts[k]]

    def check(self):
        """What holds for every network: each node is in one place, none is empty, and places follow each other."""
        assert all(0 <= at < len(self.groups) for at in self.membership), [
            node.name for node, at in zip(self.nodes, self.membership) if at < 0
        ]
        assert all(group.parent < k for k, group in enumerate(self.groups))
        assert all(self.parts), [group for group, part in zip(self.groups, self.parts) if not part]
        tops = [self.top(at) for at in self.membership]
        return {
            (tops[parent.id], tops[node.id]) for node in self.nodes for parent in node.parents
            if tops[parent.id] != tops[node.id] and parent.parents
        }  # fmt: skip

    def top(self, at):
        while self.groups[at].parent >= 0:
            at = self.groups[at].parent
        return at


def acyclic(edges):
    """Whether something can always be taken away that nothing leads to."""
    left = set(edges)
    while left:
        first = {a for a, _ in left} - {b for _, b in left}
        if not first:
            return False
        left = {(a, b) for a, b in left if a not in first}
    return True


def explained(model, x, y, loss):
    tn.manual_seed(0)
    return Grouped(tn.explain(model, np.asarray(x), np.asarray(y), loss))


def test_a_network_of_layers():
    found = explained(
        nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), np.ones((1, 3)), [1], nn.CrossEntropyLoss()
    )
    edges = found.check()
    assert [(group.name, group.kind) for group in found.groups if group.parent < 0] == [
        ("input", "input"), ("0", "layer"), ("2", "layer"), ("loss", "loss"),
    ]  # fmt: skip
    assert edges == {(1, 2), (2, 3)}
    assert found.groups[0].shape == (3,) and len(found.find("input")) == 3
    assert [group.name for group in found.of("unit")] == [f"unit {k}" for k in range(4)] + ["unit 0", "unit 1"]
    for k in range(4):
        unit = found.find(f"unit {k}", "0")
        leaves = {node.name for node in unit if not node.parents}
        assert leaves == {f"0.weight[{k},{i}]" for i in range(3)} | {f"0.bias[{k}]"}
        assert [node.operation for node in unit if node.parents].count("mul") == 3
        assert unit[-1].operation == "tanh"
    assert found.find("loss")[-1] is found.nodes[-1]
    assert {node.operation for node in found.find("loss")} >= {"exp", "log"}


def test_a_single_layer():
    found = explained(nn.Linear(2, 1), np.ones((1, 2)), np.ones((1, 1)), nn.MSELoss())
    assert acyclic(found.check())
    assert [group.kind for group in found.groups] == ["input", "layer", "loss", "unit"]
    assert [node.name for node in found.find("unit 0", found.of("layer")[0].name) if not node.parents] == [
        "weight[0,0]", "weight[0,1]", "bias[0]",
    ]  # fmt: skip


def test_a_batch_has_its_examples_inside_its_units():
    x = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    found = explained(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)), x, np.ones((3, 1)), nn.MSELoss())
    assert acyclic(found.check())
    assert found.groups[0].shape == (2,)
    for layer, units in (("0", 2), ("2", 1)):
        for k in range(units):
            unit = found.find(f"unit {k}", layer)
            home = next(
                i for i, g in enumerate(found.groups) if g.name == f"unit {k}" and found.groups[g.parent].name == layer
            )
            examples = [i for i, group in enumerate(found.groups) if group.parent == home]
            assert [found.groups[i].name for i in examples] == ["example 0", "example 1", "example 2"]
            sizes = {len(found.parts[i]) for i in examples}
            assert len(sizes) == 1 and len(unit) == 3 * sizes.pop() + sum(not node.parents for node in unit)
    for i, group in enumerate(found.groups):
        if group.kind == "example":
            n = int(group.name.split()[1])
            inputs = {p.name for j in found.parts[i] for p in found.nodes[j].parents if p.name.startswith("x[")}
            assert all(name.startswith(f"x[{n},") for name in inputs)


def test_a_convolution():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(2 * 3 * 3, 3))
    found = explained(model, np.random.default_rng(0).normal(size=(1, 1, 8, 8)), [1], nn.CrossEntropyLoss())
    assert acyclic(found.check())
    assert [(group.name, group.kind) for group in found.groups if group.parent < 0] == [
        ("input", "input"), ("0", "layer"), ("4", "layer"), ("loss", "loss"),
    ]  # fmt: skip
    assert found.groups[0].shape == (8, 8)
    for k in range(2):
        unit = found.find(f"unit {k}", "0")
        assert sum(not node.parents for node in unit) == 9 + 1
        assert all(f"0.weight[{k}," in node.name or node.name == f"0.bias[{k}]" for node in unit if not node.parents)


def test_a_convolution_has_each_pixel_once():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 6 * 6, 3))
    found = explained(model, np.random.default_rng(0).normal(size=(1, 1, 8, 8)), [1], nn.CrossEntropyLoss())
    assert len(found.find("input")) == 64


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.inner = kind(2, 3, batch_first=True)
        self.out = nn.Linear(3, 2)

    def forward(self, x):
        states, _ = self.inner(x)
        return self.out(states[:, -1])


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_a_recurrent_network(kind):
    found = explained(Recurrent(kind), np.full((1, 3, 2), 0.5), [1], nn.CrossEntropyLoss())
    assert acyclic(found.check())
    layers = [group.name for group in found.of("layer")]
    assert layers == ["inner", "out"]
    own = {node.name.split("[")[0] for node in found.find("inner") if not node.parents}
    assert {"inner.weight_ih_l0", "inner.weight_hh_l0", "inner.bias_ih_l0", "inner.bias_hh_l0"} <= own
    assert not any(name.startswith("out.") for name in own)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.out = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, x):
        x = self.first(x).relu()
        return self.out(x + self.second(x).relu())


def test_a_residual_block():
    found = explained(Residual(), np.ones((1, 3)), [1], nn.CrossEntropyLoss())
    assert acyclic(found.check())
    assert [group.name for group in found.of("layer")] == ["first", "second", "out"]
    assert [group.name for group in found.groups if group.parent < 0][-1] == "loss"
    tops = {group.name: k for k, group in enumerate(found.groups) if group.parent < 0}
    sums = [
        node for node in found.nodes if node.operation == "add"
        and {found.groups[found.top(found.membership[p.id])].name for p in node.parents} == {"first", "second"}
    ]  # fmt: skip
    assert len(sums) == 3 and tops["first"] < tops["second"]


def test_attention():
    model = nn.GPT(vocab_size=5, block_size=3, n_layer=1, n_head=2, n_embd=4)

    def loss(output, target):
        return nn.CrossEntropyLoss()(output.reshape(-1, 5), target.reshape(-1))

    found = explained(model, [[0, 1, 2]], [[1, 2, 3]], loss)
    assert acyclic(found.check())
    owners = {name.rpartition(".")[0] for name, _ in model.named_parameters()}
    assert {group.name for group in found.of("layer")} <= owners and len(found.of("layer")) >= 6
    for k, group in enumerate(found.groups):
        if group.kind == "layer":
            leaves = [found.nodes[i].label for i in found.parts[k] if found.nodes[i].label]
            assert all(label.startswith(f"{group.name}.") for label in leaves)


def test_plain_values_have_no_groups():
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    nodes = tn.explain((a * b + 10).tanh()).nodes
    assert group_nodes(nodes) == ([], [-1] * len(nodes))
    assert group_nodes(tn.explain(Value(1.0)).nodes) == ([], [-1])
    only_inputs = tn.explain(Value(1.0, label="x[0,0]") * Value(2.0, label="y[0]")).nodes
    assert group_nodes(only_inputs) == ([], [-1] * 3)


def test_the_layers_of_micrograds_network():
    model = MLP(2, [3, 1])
    loss = (model([Value(1.0), Value(-2.0)]) - 1.0) ** 2
    found = Grouped(tn.explain(loss))
    assert acyclic(found.check())
    layers = found.of("layer")
    assert len(layers) == 2
    units = [sum(g.kind == "unit" and found.groups[g.parent] is layer for g in found.groups) for layer in layers]
    assert units == [3, 1]
    assert sum(not node.parents and node.label != "" for node in found.nodes) == len(model.parameters())
