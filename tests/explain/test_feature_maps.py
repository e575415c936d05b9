"""``tn.feature_maps``: every layer's output as arrays, and as pictures that files and notebooks show."""

import io
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from support import engine, on_every_backend, same

import tinynet as tn
from tinynet import Tensor, nn, optim
from tinynet.errors import ArgumentError, ShapeError, TypeMismatch
from tinynet.explain.panels import Panel, paint
from tinynet.nn.attention import MultiheadAttention


def numbers(*shape):
    return np.random.default_rng(0).standard_normal(shape)


def small_cnn():
    tn.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.5), nn.Linear(36, 10)
    )


def pixels(png):
    """A PNG file as numbers 0 … 1, (height, width, channels)."""
    from matplotlib.image import imread

    return imread(io.BytesIO(png), format="png")


# --- the numbers ------------------------------------------------------------------------------------------------------


@on_every_backend
def test_maps_are_what_the_layers_give_one_by_one(backend):
    model, x = small_cnn().to(engine(backend), "float64"), numbers(2, 1, 8, 8)
    maps = tn.feature_maps(model, x)
    out = Tensor(x, backend=engine(backend))
    assert list(maps) == [str(i) for i in range(6)]
    model.eval()
    for name, layer in model.named_children():
        out = layer(out)
        same(maps[name], out.numpy(), f"layer {name}", 0)
    same(maps.input, x, "input", 0)
    same(maps.filters["0"], model[0].weight.numpy(), "filters", 0)
    assert list(maps.filters) == ["0"]
    assert "0 Conv2d(1, 4, 3)  (2, 4, 6, 6)" in str(maps)


def test_one_example_is_a_batch_of_one():
    cnn, image = small_cnn(), numbers(1, 8, 8)
    same(tn.feature_maps(cnn, image)["5"], tn.feature_maps(cnn, image[None])["5"], "an image", 0)
    dense = nn.Sequential(nn.Linear(3, 2))
    assert tn.feature_maps(dense, [1.0, 2.0, 3.0])["0"].shape == (1, 2)
    assert tn.feature_maps(dense, Tensor(numbers(5, 3), "float32"))["0"].shape == (5, 2)
    rnn = nn.Sequential(nn.GRU(3, 4))
    assert tn.feature_maps(rnn, numbers(7, 3))["0"].shape == (7, 1, 4)
    assert tn.feature_maps(nn.Sequential(nn.Embedding(9, 4)), [1, 2, 3])["0"].shape == (1, 3, 4)


def test_the_model_is_left_as_it_was():
    model, x = small_cnn(), numbers(2, 1, 8, 8)
    model[2].eval()
    heard = []
    model[0].register_forward_hook(lambda module, inputs, output: heard.append(module))
    before = [module.training for module in model.modules()]
    tn.feature_maps(model, x)
    with pytest.raises(ShapeError, match=r'Linear\(36, 10\) "5" needs'):
        tn.feature_maps(model, numbers(2, 1, 9, 30))
    assert heard == [model[0]] * 2
    assert [module.training for module in model.modules()] == before
    assert [len(module._forward_hooks) for module in model.modules()] == [0, 1, 0, 0, 0, 0, 0]
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_recorded_step_goes_on_as_before():
    x, y = numbers(6, 1, 8, 8).astype(np.float32), np.arange(6)

    def trained(looks):
        model = small_cnn()
        optimiser = optim.SGD(model.parameters(), lr=0.1)

        @tn.capture
        def step(x, y):
            loss = nn.CrossEntropyLoss()(model(x), y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            return loss

        losses = []
        for i in range(4):
            losses.append(step(Tensor(x), Tensor(y)).item())
            if looks and i == 1:
                tn.feature_maps(model, x)
        return losses

    assert trained(looks=True) == trained(looks=False)


class Residual(nn.Module):
    def __init__(self):
        self.inner = nn.Sequential(nn.Linear(4, 4), nn.Tanh())

    def forward(self, x):
        return x + self.inner(self.inner(x))


def test_layers_that_run_twice_and_modules_that_add_something():
    model, x = Residual(), numbers(2, 4)
    maps = tn.feature_maps(model, x)
    assert list(maps) == ["inner.0", "inner.1", "inner.0 (2)", "inner.1 (2)", "Residual"]
    same(maps["Residual"], x + maps["inner.1 (2)"], "the sum", 1e-6)
    assert maps.filters == {}
    shared = nn.Linear(4, 4)
    assert list(tn.feature_maps(nn.Sequential(shared, nn.Tanh(), shared), x)) == ["0", "1", "0 (2)"]


def test_recurrent_layers_show_their_outputs_and_attention_its_weights():
    class Net(nn.Module):
        def __init__(self):
            self.rnn, self.attention = nn.LSTM(3, 8), MultiheadAttention(8, 2)

        def forward(self, x):
            h, _ = self.rnn(x)
            return self.attention(h, h, h, average_attn_weights=False)[0][-1]

    model, x = Net(), numbers(5, 2, 3).astype(np.float32)
    maps = tn.feature_maps(model, x)
    assert list(maps) == ["rnn", "attention.out_proj", "attention (weights)", "Net"]
    same(maps["rnn"], model.rnn(x)[0].numpy(), "outputs", 0)
    same(maps["attention (weights)"].sum(-1), np.ones((2, 2, 5)), "weights", 1e-6)
    captions = [panel.caption() for panel in maps._panels(None, 1)]
    assert captions == [
        "input, steps across: 3 × 5",
        "rnn LSTM(3, 8), steps across: 8 × 5",
        "attention.out_proj Linear(8, 8), steps across: 8 × 5",
        "attention (weights) MultiheadAttention(8, 2), queries down: 2 maps of 5 × 5",
        "Net(): 8 numbers",
    ]
    same(maps._panels("rnn", 1)[0].values, maps["rnn"][:, 1].T, "what is drawn of example 1", 0)


def test_a_layer_that_sees_no_batch_is_drawn_whole():
    class Rows(nn.Module):
        def __init__(self):
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            return self.head(x.reshape(-1, 4)).sum()

    maps = tn.feature_maps(Rows(), numbers(3, 5, 4))
    assert [panel.values.shape for panel in maps._panels(None, 2)] == [(5, 4), (2, 15), ()]


def test_the_first_linear_that_looks_at_an_image_has_filters():
    flat = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 2))
    maps = tn.feature_maps(flat, numbers(1, 64))
    same(maps.filters["0"], flat[0].weight.numpy().reshape(64, 1, 8, 8), "seen as a square", 0)
    assert list(maps.filters) == ["0"]
    image = nn.Sequential(nn.Flatten(), nn.Linear(24, 3))
    assert tn.feature_maps(image, numbers(1, 2, 3, 4)).filters["1"].shape == (3, 2, 3, 4)
    assert tn.feature_maps(nn.Sequential(nn.Linear(9, 3)), numbers(1, 9)).filters == {}


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_bad_models_and_inputs_are_refused():
    model = small_cnn()
    for wrong, error, told in (
        (numbers(8, 8), ShapeError, r"needs \(batch, 1, height, width\); got \(8, 8\)"),
        (numbers(2, 3, 8, 8), ShapeError, r"Conv2d\(1, 4, 3\)"),
        (numbers(0, 1, 8, 8), ShapeError, "an example at least"),
        (1.0, ShapeError, "an example at least"),
        ("a seven", TypeMismatch, "holds"),
        ([[1.0], [1.0, 2.0]], ShapeError, "rows of equal length"),
    ):
        with pytest.raises(error, match=told):
            tn.feature_maps(model, wrong)
    with pytest.raises(TypeMismatch, match="got function"):
        tn.feature_maps(numbers, numbers(2, 3))
    with pytest.raises(ArgumentError, match="no layer in Sequential"):
        tn.feature_maps(nn.Sequential(), numbers(2, 3))
    assert [len(module._forward_hooks) for module in model.modules()] == [0] * 7


def test_bad_names_are_refused_before_anything_is_written(tmp_path):
    maps = tn.feature_maps(Residual(), numbers(2, 4))
    with pytest.raises(ArgumentError, match=r"no layer 'inner\.2' .* Did you mean inner\."):
        maps.save(tmp_path / "maps.png", layer="inner.2")
    with pytest.raises(ArgumentError, match="no example 2; they are 0 to 1"):
        maps.save(tmp_path / "folder", example=2)
    for name in ("maps.txt", "maps.html", "maps.jpeg"):
        with pytest.raises(ArgumentError, match=r"\.png, \.svg, \.pdf, or name a folder"):
            maps.save(tmp_path / name)
    with pytest.raises(KeyError):
        maps["inner.2"]
    assert list(tmp_path.iterdir()) == []


# --- the pictures -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def maps():
    return tn.feature_maps(small_cnn(), numbers(2, 1, 8, 8))


def test_files(maps, tmp_path):
    picture = pixels(maps.save(tmp_path / "new" / "Maps.PNG").read_bytes())
    assert picture.shape[0] > 1500
    assert picture[0, 0].tolist() == [1, 1, 1, 1]
    svg = maps.save(str(tmp_path / "maps.svg"), layer="0", example=1).read_text(encoding="utf-8")
    root = ElementTree.fromstring(svg)
    ground = next(path for path in root.iter() if path.get("style", "").startswith("fill: "))
    assert ground.get("style").startswith("fill: #ffffff")
    assert len([image for image in root.iter() if image.tag.endswith("image")]) == 4  # filters, maps, two scales
    assert maps.save(tmp_path / "maps.pdf", layer="1").read_bytes().startswith(b"%PDF")
    folder = maps.save(tmp_path / "layers")
    names = sorted(path.name for path in folder.iterdir())
    assert names[:2] == ["00-input.png", "01-0-Conv2d-1-4-3.png"]
    assert len(names) == 7
    assert all(pixels((folder / name).read_bytes()).ndim == 3 for name in names)
    assert [path.name for path in maps.save(tmp_path / "one", layer="1").iterdir()] == ["00-1-ReLU.png"]


def test_the_same_maps_are_the_same_file_whatever_the_style(maps, tmp_path):
    import matplotlib.style

    first = [maps.save(tmp_path / name, layer="0").read_bytes() for name in ("a.svg", "a.png", "a.pdf")]
    with matplotlib.style.context("dark_background"):
        assert maps.figure("0").get_facecolor() == (1, 1, 1, 1)
        again = [maps.save(tmp_path / name, layer="0").read_bytes() for name in ("b.svg", "b.png", "b.pdf")]
    assert first == again


def test_notebooks_and_figures(maps):
    assert pixels(maps._repr_png_()).shape[1] == 1640
    assert len(maps.figure("5").axes) == 1
    assert len(maps.figure("0").axes) == 4
    assert repr(maps) == str(maps)


def test_captions():
    for shape, told in {
        (20, 24, 24): "20 maps of 24 × 24",
        (256, 8, 8): "first 64 of 256 maps of 8 × 8",
        (1, 5, 7): "1 map of 5 × 7",
        (5, 7): "5 × 7",
        (10,): "10 numbers",
        (): "1 number",
        (640, 1, 1): "first 100 of 640 numbers",
        (20, 1, 5, 5): "20 filters of 5 × 5",
        (40, 20, 5, 5): "first 16 of 40 filters of 5 × 5 across, first 8 of 20 channels down",
    }.items():
        assert Panel("a", np.zeros(shape)).caption() == f"a: {told}"
    assert Panel("a", np.array([1.0, np.nan, np.inf])).caption() == "a: 3 numbers (2 not finite, in grey)"


def test_every_shape_can_be_drawn():
    shapes = [(), (1,), (300,), (1, 1), (5, 3), (2, 3000), (3000, 2), (70, 2, 2), (2, 300, 4), (1, 1500, 1500)]
    shapes += [(3, 3, 1, 1), (40, 20, 3, 3), (2, 1, 1, 9)]
    for shape in shapes:
        panel = Panel("a", np.full(shape, -1.0))
        height, width, *_ = panel.pixels().shape
        assert (48 <= height <= 4000, 48 <= width <= 1400) == (True, True), shape
    from tinynet.explain.panels import draw

    assert len(draw([Panel("a", np.full(shape, np.nan)) for shape in shapes]).axes) == 2 * len(shapes) - 3
    with pytest.raises(ArgumentError, match="does not hold 400 panels"):
        draw([Panel("a", np.zeros(3))] * 400)


def test_a_map_stands_where_it_should_and_in_its_colours():
    values = np.array([[[-1.0, 0.0], [0.5, 1.0]], [[0.0, 0.0], [0.0, np.nan]]])
    drawn = Panel("a", values).pixels()
    block, size = paint(values, 1.0), drawn.shape[1] // 2
    for i, row, column in np.ndindex(values.shape):
        y, x = 4 + (2 * row + 1) * (size - 8) // 4, i * size + 4 + (2 * column + 1) * (size - 8) // 4
        assert drawn[y, x].tolist() == block[i, row, column].tolist()
    blue, white, orange = paint(np.array([-1.0, 0.0, 1.0]), 1.0).astype(int)
    assert blue[2] > blue[0] + 50
    assert orange[0] > orange[2] + 50
    assert white.min() >= 250


def test_matplotlib_is_loaded_only_to_draw():
    code = "import sys; import tinynet as tn; tn.feature_maps(tn.nn.Linear(2, 1), [[1.0, 2.0]]); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {module.partition(".")[0] for module in done.stdout.split()}
    assert not {"matplotlib", "seaborn", "pandas", "PIL", "rich"} & loaded
