"""The rule book: what a tensor is, by its name, its shape and what stands beside it.

A live module knows its layers, and what it says leads. A file, a state dict and a mapping hold names and shapes alone;
this table reads them, so that a module and its own weights get one answer. Rows are tried from the top. `sorting.py`
applies them to all tensors of a model, after companions (`companions.py`) and factors (`derived.py`) found each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]

# ---- no layer, by the last part of the name: (pattern of the whole part, what it is)
NOT_LAYERS = (
    (r".*tokens?|latents?|prompts?|prefix|(learned_|object_)?quer(y|ies)_?(embeds?|embed)?s?|class_embedding",
     "learned tokens"),
    (r"(.*_)?(pos|position|positions|positional|relative|rel|rope|rotary|sinusoid\w*|pe|temporal|cos|sin)(_.*)?"
     r"|(.*_)?freqs?(_.*)?|.*pos_?emb.*",
     "positions"),
    (r"(.*_)?mask(s|ed)?(_.*)?|tril|triu|causal", "a mask"),
    (r".*queue(_.*|\d*)|(.*_)?memory_bank", "a queue of examples"),
    (r"(.*_)?bias(es)?(_.*)?|b_(q|k|v|o|in|out|e|u|enc|dec|gate)", "a bias"),
    (r"(.*_)?(q?scales?|scaling|q?zeros?|zero_?points?|g_idx|absmax|SCB)(_.*)?|scales_and_zeros",
     "scales or zero points of quantised numbers"),
    (r"weight_(sigma|rho|log_?(sigma|std|var|alpha)|eps(ilon)?)|.*_epsilon", "the spread of a random weight"),
    (r"(.*_)?(input|output)_factor", "factors of an ensemble's members"),
    (r"running_\w+|moving_\w+|num_batches_tracked|exp_avg\w*|ema_\w+|\w+_ema|cluster_size|embed_avg"
     r"|code_?books?|centroids?|centers?|prototypes|anchors?(_.*)?|(.*_)?(grid|stride|window|basis)(_.*)?"
     r"|mel_\w+|filter_?banks?|(.*_)?(ids|index|indices|idx)|adj(acency)?|gamma\d*|A_log",
     "a table, not a layer"),
)  # fmt: skip
# ---- a layer's weight, by the last part of the name
LAYERS = (
    r"weight(_mu|_raw)?|kernel|recurrent_kernel|[WUV]|w\d*|W\d+|[Ww]_(?!pos|E$|scale|zero|mask|bias)\w+|w[io](_\d)?"
    r"|matrix|response|unembed(ding)?"
    r"|weight_(ih|hh|hr)(_l\d+)?(_reverse)?(_raw)?|(\w+_)?proj(ection)?(_weight)?|mlp\d_weight|(\w+_)?weight_matrix"
    r"|onnx::(MatMul|Gemm|Conv)_\d+|linear\d*|fc\d*|dense\d*|experts?"
)
# ---- tables that are looked up by an index: the part that names the layer
EMBEDDINGS = r"(.*_)?(emb|embs|embd|embed|embeds|embedding|embeddings|embedder)(_.*|\d*)|w[tps]e|W_E"
# The same where they own a weight without a bias.
LOOKED_UP = (
    r"shared|relative_attention_bias|code_?books?"
    r"|(lookup|tok|token|pos|position|positional|word|vocab|vocabulary)s?(_(tables?|vectors?|vecs?))?|(lookup_)?table"
)
NOT_EMBEDDINGS = (
    r"(.*_)?(un_?embed\w*|out|net|network|project(ion|or)?|proj|fc|linear|lin|conv|mlp|head|dense|norm|ln)(_.*|\d*)"
)
NORMS = r".*norm(s|\d+)?|(.*_)?(ln|bn|gn)(_?(\d+|f|final|pre|post))?"
EXPERTS = r"(.*_)?(experts?|moe|mixtures?)(_.*)?"
# Linear layers of experts that are known to be stacked in a parameter called weight: GraniteMoE, JetMoE.
STACKED = r"(input|output)_linear|bilinear\w*"
CONVOLUTIONS = r".*conv.*|.*cnn.*"

_FLAT = re.compile(r"[./]")
_PATTERNS = {
    name: re.compile(pattern, re.IGNORECASE)
    for name, pattern in {
        "embedding": EMBEDDINGS, "looked up": f"{EMBEDDINGS}|{LOOKED_UP}", "no embedding": NOT_EMBEDDINGS,
        "norm": NORMS, "experts": EXPERTS, "stacked": STACKED, "convolution": CONVOLUTIONS,
    }.items()
}  # fmt: skip
_LAYERS = re.compile(LAYERS)
_NOT_LAYERS = tuple((re.compile(pattern, re.IGNORECASE), reason) for pattern, reason in NOT_LAYERS)
_TAKING = ("weight", "weight_ih_l0", "weight_ih", "in_proj_weight", "self_attn.in_proj_weight")
_NEAR = 20  # layers without weights between two of a sequence
_WIDE = 16  # from which a third axis is a width of matrices rather than a kernel's, where nothing else tells


@dataclass(frozen=True)
class Ruling:
    """What a tensor is.

    Attributes
    ----------
    kind : str
        "dense", "embedding", "conv", "conv_transposed", "stack"; "vector" for what is no layer's matrix.
    reason : str
        Why it is no layer, where it has the axes of one; else empty.
    groups : int
        Groups of a convolution, where they can be told.
    """

    kind: str
    reason: str = ""
    groups: int = 1


def ruling(name: str, shape: Shape, shapes: Shapes, *, strict: bool) -> Ruling:
    """Return what a tensor is, where no module says.

    Parameters
    ----------
    name, shape
        Of the tensor.
    shapes : mapping of str to tuple of int
        All tensors of the model.
    strict : bool
        Whether layers' weights are called so in this model (see `calls_weights_by_name`); an unknown name is no layer
        then.
    """
    if len(shape) < 2 or 0 in shape:
        return Ruling("vector")
    parts = parts_of_name(name)
    last, bias = parts[-1], _bias_of(name, shapes)
    if _LAYERS.fullmatch(last):
        found = _of_weight(parts, shape, bias)
        table = found.kind == "dense" and bias is None and _next_takes_columns(parts, shape, shapes)
        return Ruling("embedding") if table else found
    reason = next((why for pattern, why in _NOT_LAYERS if pattern.fullmatch(last)), "")
    if reason:
        return Ruling("vector", reason)
    if _is("embedding", last) and not _is("no embedding", last) and len(shape) == 2:
        return Ruling("embedding")
    return Ruling("vector", "no name of a layer's weight") if strict else _of_weight(parts, shape, bias)


def calls_weights_by_name(names: Iterable[str]) -> bool:
    """Whether a model calls the weights of its layers ``weight``, as PyTorch does."""
    last = (parts_of_name(name)[-1] for name in names)
    return any(part == "weight" or part.startswith("weight_") for part in last)


def called_weight(name: str) -> bool:
    """Whether a name is one of a layer's weight."""
    return _LAYERS.fullmatch(parts_of_name(name)[-1]) is not None


def called_no_layer(name: str) -> bool:
    """Whether a name says that a tensor is no layer: tokens, positions, masks, indices."""
    return any(pattern.fullmatch(parts_of_name(name)[-1]) for pattern, _ in _NOT_LAYERS)


def parts_of_name(name: str) -> list[str]:
    """Return the parts of a name between dots or slashes; TensorFlow's ":0" is dropped."""
    return _FLAT.split(name.removesuffix(":0"))


def owner_of(name: str) -> str:
    """Return the path of the module that a name belongs to; empty for a name without one."""
    return name[: -len(parts_of_name(name)[-1])].rstrip("./")


def _is(what: str, part: str) -> bool:
    return _PATTERNS[what].fullmatch(part) is not None


def _of_weight(parts: list[str], shape: Shape, bias: Shape | None) -> Ruling:
    """Return what a weight is by the layer that it belongs to: the part of the name before its own."""
    layer = next((part for part in reversed(parts[:-1]) if not part.isdigit()), parts[-1])
    if bias == shape or (bias is None and parts[:-1] and _is("norm", parts[-2])):
        return Ruling("vector", "gains of a normalisation")
    if len(shape) == 2:
        table = bias is None and _is("looked up", layer) and not _is("no embedding", layer)
        return Ruling("embedding" if table else "dense")
    if len(shape) == 3 and _is_stack(parts, layer, shape):
        return Ruling("stack")
    return _of_kernel(shape, bias)


def _next_takes_columns(parts: list[str], shape: Shape, shapes: Shapes) -> bool:
    """Whether the next layer of a sequence takes a matrix's columns, which a table hands it; a layer hands it rows.

    The matrix has no bias itself; the next layer must have one.
    """
    if len(parts) < 2 or not parts[-2].isdigit() or parts[-1] != "weight":
        return False
    for number in range(int(parts[-2]) + 1, int(parts[-2]) + 1 + _NEAR):
        layer = ".".join((*parts[:-2], str(number)))
        name = next((f"{layer}.{one}" for one in _TAKING if f"{layer}.{one}" in shapes), "")
        if name:
            taken = shapes[name]
            biased = (
                len(taken) == 1 or _bias_of(name, shapes) is not None
            )  # else no layer has biases, and it says nothing
            return biased and taken[min(1, len(taken) - 1)] == shape[1] != shape[0]
    return False


def _is_stack(parts: list[str], layer: str, shape: Shape) -> bool:
    """Whether a tensor of three axes is one matrix an expert (or a head) rather than a kernel along one axis."""
    if _is("convolution", layer) or _is("convolution", parts[-1]):
        return False
    if _is("stacked", layer):
        return True
    stacked = [k for k, part in enumerate(parts[:-1]) if _is("experts", part)]
    if stacked and not any(part.isdigit() for part in parts[stacked[-1] :]):
        return True
    if parts[-1] != "weight" and _LAYERS.fullmatch(parts[-1]) and not parts[-1].startswith("weight"):
        return True  # W_Q [heads, width, size], gate_up_proj [experts, in, out]: kernels are called weight
    return min(shape[1:]) >= _WIDE and shape[2] >= shape[0]


def _of_kernel(shape: Shape, bias: Shape | None) -> Ruling:
    """Return the kind of a kernel; a transposed one has as many biases as its second axis (times the groups)."""
    if bias is None or len(bias) != 1 or bias[0] == shape[0]:
        return Ruling("conv")
    groups, rest = divmod(bias[0], shape[1])
    if rest or groups < 1 or shape[0] % groups:
        return Ruling("conv")
    return Ruling("conv_transposed", groups=groups)


def _bias_of(name: str, shapes: Shapes) -> Shape | None:
    """Return the shape of the bias beside a weight."""
    last = parts_of_name(name)[-1]
    bias = re.sub("weight|kernel", "bias", last)
    return shapes.get(name[: -len(last)] + bias) if bias != last else None
