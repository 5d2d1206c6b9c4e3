"""Table of the rules, by the name of the torch function or method.

An operation without a rule is refused (`CannotMask`); its result is never guessed. To support one,
add its name to the rule that covers it, or write a rule in one of the modules imported here.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from torch.overrides import resolve_name

from jobs.models.padding import attention, convolution, elementwise, pieces, shapes, statistics

Rule = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]

_RULES: dict[Rule, str] = {
    elementwise.elementwise: """
        add add_ sub sub_ mul mul_ div div_ true_divide __rsub__ __rtruediv__ __rdiv__ pow pow_
        __pow__ __rpow__ neg abs exp log log1p sqrt sqrt_ rsqrt square square_ clamp clamp_ clip
        relu relu_ leaky_relu elu gelu silu mish softplus hardtanh hardswish relu6 sigmoid sigmoid_
        tanh tanh_ erf dropout where masked_fill maximum minimum""",
    elementwise.channelwise: "batch_norm prelu",
    elementwise.layer_norm: "layer_norm",
    elementwise.cumulative: "cumsum",
    elementwise.linear: "linear",
    statistics.mean_or_sum: "mean sum",
    statistics.variance: "var std",
    statistics.extreme: "amax amin",
    statistics.group_norm: "group_norm",
    attention.softmax: "softmax",
    attention.scaled_dot_product: "scaled_dot_product_attention",
    attention.matmul: "bmm matmul __matmul__",
    convolution.convolution: "conv1d conv2d",
    convolution.average_pool: "avg_pool1d avg_pool2d",
    convolution.max_pool: "max_pool1d max_pool2d",
    convolution.adaptive_average_pool: "adaptive_avg_pool1d adaptive_avg_pool2d",
    shapes.read: """
        dim ndim ndimension dtype device layout is_floating_point is_complex is_contiguous is_cuda
        is_sparse is_meta is_mkldnn is_quantized is_nested requires_grad get_device __len__ __repr__
        __hash__ __format__""",
    shapes.shape: "shape size",
    shapes.same_axes: "contiguous clone detach to float double half bfloat16 cpu cuda data",
    shapes.like: "zeros_like ones_like full_like empty_like",
    shapes.moved_axes: "permute transpose swapaxes movedim unsqueeze unsqueeze_ transpose_ mT",
    shapes.reshaped: "view reshape flatten unflatten squeeze view_as reshape_as",
    shapes.expanded: "expand expand_as repeat",
    pieces.indexed: "__getitem__",
    pieces.split: "split chunk unbind narrow select",
    pieces.joined: "cat concat stack",
    pieces.padded: "pad",
}
RULES: dict[str, Rule] = {name: rule for rule, names in _RULES.items() for name in names.split()}
TAKES_FRAME_COUNTS = {
    name
    for rule in (elementwise.elementwise, shapes.reshaped, shapes.expanded, pieces.indexed)
    for name in _RULES[rule].split()
}
"""Operations that accept a number of frames besides tensors."""


@lru_cache(maxsize=1024)
def name_of(func: Callable[..., Any]) -> str:
    """Return the bare name: ``relu`` for ``torch.Tensor.relu``, also without ``.__get__``."""
    full = str(resolve_name(func) or getattr(func, "__name__", func))
    return full.removesuffix(".__get__").rpartition(".")[2]
