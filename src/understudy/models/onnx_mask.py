"""A mask net as an ONNX graph, written out block by block as `onnx_graph` writes face models.

A model in, an `onnx.ModelProto` out; no files. Opset 13, one input and one output, NHWC BGR float32
in 0..1, named as DFL's own export. Source: reference "DFL formats", section 10.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from understudy.models.blocks import Conv2d, UpConv2d
from understudy.models.mask_net import BLOCKS, BlurPool, ConvBlock, MaskModel, XSegNet
from understudy.models.onnx_graph import FACE, Graph

if TYPE_CHECKING:
    import onnx

MASK = "out_mask:0"
OPSET, IR_VERSION = 13, 7


def mask_graph(model: MaskModel, *, facts: Mapping[str, str] | None = None) -> "onnx.ModelProto":
    """The model's mask as ONNX; `facts` are kept in the file's metadata."""
    from onnx import TensorProto, helper

    from understudy import __version__

    graph = Graph(half=False)
    x = _net(graph, graph.node("Transpose", FACE, perm=[0, 3, 1, 2]), model.XSeg)
    graph.node("Transpose", graph.node("Sigmoid", x), out=MASK, perm=[0, 2, 3, 1])
    side = model.config.resolution
    shapes: dict[str, list[str | int | None]] = {
        FACE: ["n", side, side, 3],
        MASK: ["n", side, side, 1],
    }
    described = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    }
    proto = helper.make_model(
        helper.make_graph(
            graph.nodes, "understudy", [described[FACE]], [described[MASK]], graph.weights
        ),
        producer_name="understudy",
        producer_version=__version__,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    own = {"kind": model.config.kind, "face_type": model.config.face_type.value}
    helper.set_model_props(proto, own | {"resolution": str(side)} | dict(facts or {}))
    return proto


def _net(graph: Graph, x: str, net: XSegNet) -> str:
    skips = []
    for level, count in enumerate(BLOCKS):
        for place in range(1, count + 1):
            x = _block(graph, x, getattr(net, f"conv{level}{place}"))
        skips.append(x)
        x = _halved(graph, x, getattr(net, f"bp{level}"), width=_width(net, level))
    flat = graph.node("Flatten", x, axis=1)
    code = graph.dense(graph.dense(flat, net.dense1), net.dense2)
    shape = np.array([-1, net.code_width, net.bottom, net.bottom], np.int64)
    x = graph.node("Reshape", code, graph.constant(shape))
    for level in reversed(range(len(BLOCKS))):
        x = graph.node("Concat", _block(graph, x, getattr(net, f"up{level}")), skips[level], axis=1)
        for place in range(BLOCKS[level], 0, -1):
            x = _block(graph, x, getattr(net, f"uconv{level}{place}"))
    return graph.conv(x, net.out_conv)


def _width(net: XSegNet, level: int) -> int:
    block: ConvBlock = getattr(net, f"conv{level}1")
    return block.frn.weight.numel()


def _block(graph: Graph, x: str, block: ConvBlock) -> str:
    """Convolution, norm, threshold."""
    conv = block.conv
    if isinstance(conv, Conv2d):
        x = graph.conv(x, conv)
    elif isinstance(conv, UpConv2d) and conv.bias is not None:
        weights = [graph.weight(p, half=False) for p in (conv.weight, conv.bias)]
        # the last row and column are cut off, as the network cuts them
        x = graph.node(
            "ConvTranspose", x, *weights, kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]
        )
    else:
        raise TypeError(f"a convolution of type {type(conv).__name__} can't be written")
    power = graph.node("ReduceMean", graph.node("Mul", x, x), axes=[2, 3], keepdims=1)
    spread = graph.node("Add", power, _constant(graph, block.frn.eps.abs()))
    scaled = graph.node("Div", x, graph.node("Sqrt", spread))
    shifted = graph.node(
        "Add",
        graph.node("Mul", scaled, _constant(graph, block.frn.weight)),
        _constant(graph, block.frn.bias),
    )
    return graph.node("Max", shifted, _constant(graph, block.tlu.tau))


def _constant(graph: Graph, values: Tensor) -> str:
    return graph.weight(values.reshape(1, -1, 1, 1), half=False)


def _halved(graph: Graph, x: str, pool: BlurPool, *, width: int) -> str:
    size = len(pool.weights)
    before, after = (size - 1) // 2, size // 2
    if size == 2:
        return graph.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    line = torch.tensor(pool.weights)
    kernel = torch.outer(line, line).expand(width, 1, size, size)
    return graph.node(
        "Conv",
        x,
        graph.weight(kernel, half=False),
        kernel_shape=[size, size],
        strides=[2, 2],
        pads=[before, before, after, after],
        group=width,
    )
