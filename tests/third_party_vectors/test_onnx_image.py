"""Layers of images, normalisation and activations on the test cases that the onnx package ships for their operators.

ONNX gives padding as (top, left, bottom, right) and computes in float32. A case is left out, with the reason, where it
asks for what the layer, like PyTorch's, cannot say: volumes, padding on one side only, other rules of resampling.
"""

import importlib
from unittest import mock

import numpy as np
import pytest
from support import engine, on_every_backend, same

from tinynet import Tensor, nn
from tinynet.nn import functional as F

pytestmark = pytest.mark.onnx

# --- what each operator is here ---------------------------------------------------------------------------------------


def window(attributes, x, kernel):
    """The settings that convolution and pooling share, for images; sequences are images of height 1."""

    def pair(name):
        value = attributes.get(name, [1, 1])
        return (1, *value) if len(value) == 1 else tuple(value)

    stride, dilation = pair("strides"), pair("dilations")
    pads = attributes.get("pads", [0, 0, 0, 0])
    if attributes.get("auto_pad", "NOTSET") != "NOTSET":  # as much as makes the output ⌈size / stride⌉ large
        need = [(-(-n // s) - 1) * s + k - n for n, s, k in zip(x.shape[2:], stride, kernel)]
        pads = [n // 2 for n in need] + [n - n // 2 for n in need]
    pads = [0, pads[0], 0, pads[1]] if len(pads) == 2 else pads
    assert pads[:2] == pads[2:], "the layers pad both sides alike"
    return {"stride": stride, "padding": tuple(pads[:2]), "dilation": dilation}


def image(x):
    return x if x.ndim == 4 else x.unsqueeze(2)


def conv(attributes, x, w, b=None):
    return F.conv2d(x, w, b, **window(attributes, x, w.shape[2:]), groups=attributes.get("group", 1))


def conv_transpose(attributes, x, w):
    flat = x.ndim == 3
    x, w = image(x), image(w)
    settings = window(attributes, x, w.shape[2:]) | {"groups": attributes.get("group", 1)}
    if "output_shape" in attributes:
        full = [(n - 1) * s + k for n, s, k in zip(x.shape[2:], settings["stride"], w.shape[2:])]
        attributes["output_padding"] = [n - m for n, m in zip(attributes["output_shape"], full)]
    out = F.conv_transpose2d(x, w, output_padding=tuple(attributes.get("output_padding", (0, 0))), **settings)
    return out.squeeze(2) if flat else out


def pool(layer, *unlike):
    def pooled(attributes, x):
        flat, kernel = x.ndim == 3, attributes["kernel_shape"]
        x = image(x) if x.is_floating_point() else image(x).to(dtype="float32")
        kernel = (1, *kernel) if flat else tuple(kernel)
        settings = window(attributes, x, kernel) | {"ceil_mode": bool(attributes.get("ceil_mode"))}
        settings |= {name: bool(attributes.get(name, 0)) for name in unlike}
        if layer is nn.AvgPool2d:
            settings.pop("dilation")
        out = layer(kernel, **settings)(x)
        return out.squeeze(2) if flat else out

    return pooled


def batch_norm(attributes, x, weight, bias, mean, var):
    """In training ONNX also gives the running statistics; its variance is the biased one, and not compared."""
    layer = nn.BatchNorm2d(len(mean), eps=attributes.get("epsilon", 1e-5)).to(x.backend)
    layer.train(bool(attributes.get("training_mode")))
    state = {"weight": weight, "bias": bias, "running_mean": mean, "running_var": var, "num_batches_tracked": 0}
    layer.load_state_dict(state)
    out = layer(x)
    return (out, layer.running_mean) if layer.training else out


def over_last(layer, parameters):
    def normalised(attributes, x, *arrays):
        axis = attributes.get("axis", -1) % x.ndim
        made = layer(x.shape[axis:], eps=attributes.get("epsilon", 1e-5)).to(x.backend)
        made.load_state_dict(dict(zip(parameters, arrays)))
        return made(x)

    return normalised


def resize(attributes, x, *scales_and_sizes):
    *_, given = scales_and_sizes
    given = given.tolist()
    if "axes" in attributes:
        given = [given[attributes["axes"].index(axis)] for axis in (2, 3)]
    how = {"scale_factor" if isinstance(given[0], float) else "size": tuple(given[-2:])}
    if attributes["mode"] == "linear":
        corners = attributes.get("coordinate_transformation_mode") == "align_corners"
        return nn.Upsample(mode="bilinear", align_corners=corners, **how)(x)
    return nn.Upsample(**how)(x)


def dropout(attributes, x, ratio=None, training=None):
    p = attributes.get("ratio", 0.5) if ratio is None else ratio.item()
    return nn.Dropout(p).train(training is not None and bool(training.item()))(x)


def flatten(attributes, x):
    axis = attributes.get("axis", 1) % x.ndim
    return nn.Flatten()(x.unsqueeze(0) if axis == 0 else nn.Flatten(0, axis - 1)(x))


OPERATORS = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "MaxPool": pool(nn.MaxPool2d),
    "AveragePool": pool(nn.AvgPool2d, "count_include_pad"),
    "GlobalAveragePool": lambda attributes, x: nn.AdaptiveAvgPool2d(1)(x),
    "BatchNormalization": batch_norm,
    "LayerNormalization": over_last(nn.LayerNorm, ("weight", "bias")),
    "RMSNormalization": over_last(nn.RMSNorm, ("weight",)),
    "Resize": resize,
    "Upsample": resize,
    "Dropout": dropout,
    "Softmax": lambda attributes, x: nn.Softmax(attributes.get("axis", -1))(x),
    "LogSoftmax": lambda attributes, x: F.log_softmax(x, dim=attributes.get("axis", -1)),
    "Gelu": lambda attributes, x: nn.GELU(attributes.get("approximate", "none"))(x),
    "Flatten": flatten,
}

# --- the cases: what onnx calls its exports, after "export" -----------------------------------------------------------

CASES = {
    "Conv": "/ _conv_with_autopad_same _conv_with_strides",
    "ConvTranspose": "/ _convtranspose_1d _convtranspose_attributes _convtranspose_dilations _convtranspose_group_2 "
    "_convtranspose_group_2_image_3 _convtranspose_pads",
    "MaxPool": "_maxpool_1d_default _maxpool_2d_ceil _maxpool_2d_ceil_output_size_reduce_by_one _maxpool_2d_default "
    "_maxpool_2d_dilations _maxpool_2d_precomputed_pads _maxpool_2d_precomputed_same_upper "
    "_maxpool_2d_precomputed_strides _maxpool_2d_strides _maxpool_2d_uint8 _maxpool_with_argmax_2d_precomputed_pads "
    "_maxpool_with_argmax_2d_precomputed_strides",
    "AveragePool": "_averagepool_1d_default _averagepool_2d_ceil _averagepool_2d_ceil_last_window_starts_on_pad "
    "_averagepool_2d_default _averagepool_2d_precomputed_pads _averagepool_2d_precomputed_pads_count_include_pad "
    "_averagepool_2d_precomputed_same_upper _averagepool_2d_precomputed_strides _averagepool_2d_strides",
    "GlobalAveragePool": "/ _globalaveragepool_precomputed",
    "BatchNormalization": "/ _train",
    "LayerNormalization": "/ 2d 3d_epsilon _default_axis",
    "RMSNormalization": "/ 2d 3d_epsilon _default_axis",
    "Resize": "_resize_downsample_scales_linear "
    "_resize_upsample_scales_linear _resize_upsample_scales_linear_align_corners _resize_upsample_scales_nearest "
    "_resize_upsample_scales_nearest_axes_2_3 _resize_upsample_scales_nearest_axes_3_2",
    "Upsample": "_nearest",
    "Dropout": "_default _default_mask _default_mask_ratio _default_old _default_ratio _random_old "
    "_training_default_zero_ratio _training_default_zero_ratio_mask",
    "Softmax": "/ _softmax_axis",
    "LogSoftmax": "/ _logsoftmax_axis",
    "Gelu": "_gelu_default _gelu_tanh",
    "Flatten": "/ _flatten_negative_axis _flatten_with_default_axis",
}
FOUR_DIGITS = ("_averagepool_2d_ceil_last_window_starts_on_pad",)  # what the expected numbers were rounded to
VOLUME, ONE_SIDE, WIDE = "volumes: no layer here", "pads one side only", "pads more than half the window"
NEAREST, CUBIC = "another rule of which pixel is nearest", "bicubic: not among the modes"
LEFT_OUT = {
    "ConvTranspose": {"_convtranspose_3d": VOLUME, "_convtranspose_autopad_same": ONE_SIDE},
    "MaxPool": {"_maxpool_2d_same_lower": ONE_SIDE, "_maxpool_2d_same_upper": ONE_SIDE, "_maxpool_2d_pads": WIDE}
    | dict.fromkeys("_maxpool_3d_default _maxpool_3d_dilations _maxpool_3d_dilations_use_ref_impl "
                    "_maxpool_3d_dilations_use_ref_impl_large".split(), VOLUME),
    "AveragePool": {"_averagepool_2d_same_lower": ONE_SIDE, "_averagepool_2d_same_upper": ONE_SIDE,
                    "_averagepool_2d_pads": WIDE, "_averagepool_2d_pads_count_include_pad": WIDE,
                    "_averagepool_2d_dilations": "AvgPool2d has no dilation"}
    | {f"_averagepool_3d_{name}": VOLUME for name in ("default", "dilations", "dilations_large")},
    "Resize": {f"_resize_{name}": NEAREST for name in (
        "downsample_scales_nearest downsample_sizes_nearest downsample_sizes_nearest_not_larger "
        "downsample_sizes_nearest_not_smaller upsample_sizes_nearest upsample_sizes_nearest_axes_2_3 "
        "upsample_sizes_nearest_axes_3_2 upsample_sizes_nearest_ceil_half_pixel "
        "upsample_sizes_nearest_floor_align_corners upsample_sizes_nearest_not_larger "
        "upsample_sizes_nearest_not_smaller upsample_sizes_nearest_round_prefer_ceil_asymmetric").split()}
    | {f"_resize_{name}": CUBIC for name in (
        "downsample_scales_cubic downsample_scales_cubic_A_n0p5_exclude_outside downsample_scales_cubic_align_corners "
        "downsample_scales_cubic_antialias downsample_sizes_cubic downsample_sizes_cubic_antialias "
        "upsample_scales_cubic upsample_scales_cubic_A_n0p5_exclude_outside upsample_scales_cubic_align_corners "
        "upsample_scales_cubic_asymmetric upsample_sizes_cubic").split()}
    | {f"_resize_{name}": "cuts out a region first" for name in (
        "tf_crop_and_resize tf_crop_and_resize_axes_2_3 tf_crop_and_resize_axes_3_2 "
        "tf_crop_and_resize_extrapolation_value").split()}
    | {f"_resize_{name}": "another rule of where pixels lie" for name in (
        "downsample_scales_linear_half_pixel_symmetric upsample_scales_linear_half_pixel_symmetric "
        "downsample_scales_linear_align_corners downsample_sizes_linear_pytorch_half_pixel "
        "downsample_scales_linear_antialias downsample_sizes_linear_antialias").split()},
    "Dropout": dict.fromkeys("_training _training_default _training_default_ratio_mask _training_ratio_mask".split(),
                             "other random numbers"),
}  # fmt: skip


def exports(operator):
    """The module where onnx keeps an operator's cases, and the class that holds them."""
    name = {"BatchNormalization": "batch_normalization"}.get(operator, operator.lower())
    module = importlib.import_module(f"onnx.backend.test.case.node.{name}")
    return module, getattr(module, operator)


PARAMETERS = [
    pytest.param(operator, name.strip("/"), id=f"{operator}{name.strip('/')}")
    for operator, names in CASES.items()
    for name in names.split()
] + [
    pytest.param(operator, name, id=f"{operator}{name}", marks=pytest.mark.skip(reason=f"left out: {why}"))
    for operator, names in LEFT_OUT.items()
    for name, why in names.items()
]


@on_every_backend
@pytest.mark.parametrize(("operator", "name"), PARAMETERS)
def test_the_layer_gives_what_onnx_gives(operator, name, backend):
    module, holder = exports(operator)
    with mock.patch.object(module, "expect") as expect:
        getattr(holder, f"export{name}")()
    assert expect.call_args_list
    for call in expect.call_args_list:
        given = call.args[0].attribute
        attributes = {a.name: a.s.decode() or list(a.ints) or (a.f if a.type == a.FLOAT else a.i) for a in given}
        inputs = [Tensor(np.asarray(x), backend=engine(backend)) for x in call.kwargs["inputs"]]
        found = OPERATORS[operator](attributes, *inputs)
        for array, expected in zip(found if isinstance(found, tuple) else (found,), call.kwargs["outputs"]):
            atol = 1e-4 if name in FOUR_DIGITS else 1e-6  # the others are float32
            same(array.numpy(), expected, f"{operator} {call.kwargs['name']}", 1e-5, atol)


@pytest.mark.parametrize("operator", CASES)
def test_every_case_is_run_or_left_out_for_a_reason(operator):
    known = {name.strip("/") for name in CASES[operator].split()} | set(LEFT_OUT.get(operator, {}))
    assert known == {name.removeprefix("export") for name in dir(exports(operator)[1]) if name.startswith("export")}
