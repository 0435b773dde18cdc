"""The merging part of a face model as an ONNX graph, written out block by block.

A model in, an `onnx.ModelProto` out; no files. Written from the modules rather than traced: every
size but the batch is then a number in the graph, which players rely on, and the same weights always
give the same bytes. Opset 12, inputs and outputs NHWC BGR float32 in 0..1, as DFL's own exports.
Source: reference "DFL formats", section 10.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from understudy.models.amp import AmpModel
from understudy.models.autoencoder import Decoder, Encoder, Inter
from understudy.models.blocks import Conv2d, Down, Residual, Up, cosine_unit
from understudy.models.config import ModelConfig
from understudy.models.face_model import FaceModel
from understudy.models.saehd import DfModel, LiaeModel

if TYPE_CHECKING:
    import onnx

OPSET, IR_VERSION = 12, 7
FACE, MORPH = "in_face:0", "morph_value:0"
OUTPUTS = ("out_face_mask:0", "out_celeb_face:0", "out_celeb_face_mask:0")
"""Names and order players rely on: the dst's mask, the swapped face, its mask."""

_EPSILON = 1e-6  # of the pixel norm


class Graph:
    """Nodes and weights so far. Values are named; convolutions are float16 with `half`."""

    def __init__(self, *, half: bool) -> None:
        self.half = half
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def node(self, kind: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        """Name of the value a new node gives."""
        from onnx import helper

        name = out or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, value: np.ndarray) -> str:
        """Name of a new constant."""
        from onnx import numpy_helper

        name = f"w_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def weight(self, tensor: Tensor, *, half: bool) -> str:
        """Name of a new constant, float16 or float32."""
        array = tensor.detach().float().cpu().numpy()
        return self.constant(array.astype(np.float16) if half else array)

    def to_half(self, x: str) -> str:
        """`x` as convolutions want it."""
        return self._cast(x, np.float16) if self.half else x

    def to_float(self, x: str) -> str:
        """`x` as everything else wants it."""
        return self._cast(x, np.float32) if self.half else x

    def _cast(self, x: str, kind: type[np.generic]) -> str:
        from onnx import helper

        return self.node("Cast", x, to=helper.np_dtype_to_tensor_dtype(np.dtype(kind)))

    def conv(self, x: str, conv: Conv2d) -> str:
        """A convolution, with colours in BGR order."""
        weight, bias = _in_bgr(conv)
        return self.convolve(x, weight, bias, stride=conv.stride[0])

    def convolve(
        self,
        x: str,
        weight: Float[Tensor, "o i k k"],
        bias: Float[Tensor, " o"],
        *,
        stride: int = 1,
    ) -> str:
        """A convolution by these numbers that keeps the size, or divides it by `stride`."""
        side = weight.shape[-1]
        return self.node(
            "Conv",
            x,
            self.weight(weight, half=self.half),
            self.weight(bias, half=self.half),
            kernel_shape=[side, side],
            pads=[side // 2] * 4,
            strides=[stride] * 2,
        )

    def activate(self, x: str, block: Down | Up | Residual, slope: float) -> str:
        """The block's activation."""
        if block.activation is cosine_unit:
            return self.node("Mul", x, self.node("Cos", x))
        return self.node("LeakyRelu", x, alpha=slope)

    def dense(self, x: str, layer: nn.Linear) -> str:
        """A dense layer, always float32."""
        weight, bias = (self.weight(p, half=False) for p in (layer.weight, layer.bias))
        return self.node("Gemm", x, weight, bias, transB=1)

    def block(self, x: str, block: nn.Module) -> str:
        """A block of the networks, or several in a row."""
        if isinstance(block, nn.Sequential):
            for part in block:
                x = self.block(x, part)
            return x
        if isinstance(block, Down):
            return self.activate(self.conv(x, block.conv1), block, 0.1)
        if isinstance(block, Up):
            made = self.activate(self.conv(x, block.conv1), block, 0.1)
            return self.node("DepthToSpace", made, blocksize=2, mode="DCR")
        if isinstance(block, Residual):
            inner = self.activate(self.conv(x, block.conv1), block, 0.2)
            return self.activate(self.node("Add", self.conv(inner, block.conv2), x), block, 0.2)
        raise TypeError(f"a block of type {type(block).__name__} can't be written")


def _in_bgr(conv: Conv2d) -> tuple[Tensor, Tensor]:
    weight, bias = conv.weight, conv.bias
    if bias is None:
        raise TypeError("a convolution without a bias")
    if conv.colors == "in":
        weight = weight.flip(1)
    if conv.colors == "out":
        weight, bias = weight.flip(0), bias.flip(0)
    return weight, bias


def _encode(graph: Graph, face: str, encoder: Encoder) -> str:
    """Flat code, float32."""
    x = graph.to_half(face)
    for stage in encoder.stages:
        x = graph.block(x, getattr(encoder, stage))
    code = graph.to_float(graph.node("Flatten", x, axis=1))
    if not encoder.normalise:
        return code
    mean = graph.node("ReduceMean", graph.node("Mul", code, code), axes=[1], keepdims=1)
    spread = graph.node("Add", mean, graph.constant(np.array(_EPSILON, np.float32)))
    return graph.node("Div", code, graph.node("Sqrt", spread))


def _map_of(graph: Graph, code: str, layer: nn.Linear, *, channels: int, side: int) -> str:
    flat = graph.to_half(graph.dense(code, layer))
    return graph.node("Reshape", flat, graph.constant(np.array([-1, channels, side, side])))


def _inter(graph: Graph, code: str, inter: Inter) -> str:
    short = graph.dense(code, inter.dense1)
    x = _map_of(graph, short, inter.dense2, channels=inter.num_out, side=inter.side)
    return x if inter.upscale1 is None else graph.block(x, inter.upscale1)


def _mask(graph: Graph, code: str, decoder: Decoder) -> str:
    m = code
    for i in range(decoder.num_mask_stages):
        m = graph.block(m, getattr(decoder, f"upscalem{i}"))
    return graph.node("Sigmoid", graph.to_float(graph.conv(m, decoder.out_convm)))


def _face(graph: Graph, code: str, decoder: Decoder) -> str:
    x = code
    for i in range(decoder.num_stages):
        x = graph.block(x, getattr(decoder, f"upscale{i}"))
        x = graph.block(x, getattr(decoder, f"res{i}"))
    if decoder.doubled:  # the four heads as one convolution, as the network runs them
        heads = (decoder.out_conv, decoder.out_conv1, decoder.out_conv2, decoder.out_conv3)
        weights, biases = zip(*(_in_bgr(head) for head in heads), strict=True)
        kernels = [F.pad(weights[0], (1, 1, 1, 1)), *weights[1:]]
        cells = graph.convolve(x, torch.cat(kernels), torch.cat(biases))
        x = graph.node("DepthToSpace", cells, blocksize=2, mode="DCR")
    else:
        x = graph.conv(x, decoder.out_conv)
    return graph.node("Sigmoid", graph.to_float(x))


def _df(graph: Graph, face: str, model: DfModel) -> tuple[str, str, str]:
    code = _inter(graph, _encode(graph, face, model.encoder), model.inter)
    swap, mask = (part(graph, code, model.decoder_src) for part in (_face, _mask))
    return _mask(graph, code, model.decoder_dst), swap, mask


def _liae(graph: Graph, face: str, model: LiaeModel) -> tuple[str, str, str]:
    flat = _encode(graph, face, model.encoder)
    ab, b = (_inter(graph, flat, inter) for inter in (model.inter_AB, model.inter_B))
    src_code, dst_code = (graph.node("Concat", one, ab, axis=1) for one in (ab, b))
    swap, mask = (part(graph, src_code, model.decoder) for part in (_face, _mask))
    return _mask(graph, dst_code, model.decoder), swap, mask


def _amp(graph: Graph, face: str, model: AmpModel) -> tuple[str, str, str]:
    code = graph.dense(_encode(graph, face, model.encoder), model.encoder.dense1)
    src_map, dst_map = (
        _map_of(graph, code, inter.dense2, channels=inter.num_out, side=inter.side)
        for inter in (model.inter_src, model.inter_dst)
    )
    # the first trunc(channels * morph) channels are the src's: float32 compares run everywhere
    channels = model.config.inter_dims
    count = graph.node("Mul", MORPH, graph.constant(np.array([channels], np.float32)))
    place = graph.constant(np.arange(channels, dtype=np.float32).reshape(1, channels, 1, 1))
    from_src = graph.node("Less", place, graph.node("Floor", count))
    swap_map = graph.node("Where", from_src, src_map, dst_map)
    swap, mask = (part(graph, swap_map, model.decoder) for part in (_face, _mask))
    return _mask(graph, dst_map, model.decoder), swap, mask


def merging_graph(
    model: FaceModel, *, half: bool = False, facts: Mapping[str, str] | None = None
) -> "onnx.ModelProto":
    """The model's `merge` as ONNX; `facts` are kept in the file's metadata.

    Raises:
        TypeError: a model of a kind that has no such graph.
    """
    from onnx import TensorProto, helper

    from understudy import __version__

    graph = Graph(half=half)
    face = graph.node("Transpose", FACE, perm=[0, 3, 1, 2])
    made = _outputs(graph, face, model)
    for name, value in zip(OUTPUTS, made, strict=True):
        graph.node("Transpose", value, out=name, perm=[0, 2, 3, 1])

    def described(name: str, *shape: str | int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))

    side = model.config.resolution
    inputs = [described(FACE, "n", side, side, 3)]
    if isinstance(model, AmpModel):
        inputs.append(described(MORPH, 1))
    outputs = [
        described(name, "n", side, side, c) for name, c in zip(OUTPUTS, (1, 3, 1), strict=True)
    ]
    proto = helper.make_model(
        helper.make_graph(graph.nodes, "understudy", inputs, outputs, graph.weights),
        producer_name="understudy",
        producer_version=__version__,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    helper.set_model_props(proto, _facts(model.config) | dict(facts or {}))
    return proto


def _outputs(graph: Graph, face: str, model: FaceModel) -> tuple[str, str, str]:
    if isinstance(model, AmpModel):
        return _amp(graph, face, model)
    if isinstance(model, DfModel):
        return _df(graph, face, model)
    if isinstance(model, LiaeModel):
        return _liae(graph, face, model)
    raise TypeError(f"a model of type {type(model).__name__} has no merging graph")


def _facts(config: ModelConfig) -> dict[str, str]:
    return {
        "kind": config.kind,
        "archi": config.archi,
        "face_type": config.face_type.value,
        "resolution": str(config.resolution),
    }
