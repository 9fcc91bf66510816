"""What the configuration beside weights says of them: scales of float8, scaling of adapters, size of a vocabulary."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

from ..plain_files import read_json
from .sorting import Knowledge

_LIMIT = 2**26  # bytes of a configuration
_SCALED_FLOAT8 = ("fp8", "fbgemm_fp8")


def knowledge_of(folder: Path) -> Knowledge:
    """Return what ``config.json`` and ``adapter_config.json`` of a folder say; nothing where they are not there.

    Parameters
    ----------
    folder : Path
        With the weights.
    """
    config, adapter = _read(folder / "config.json"), _read(folder / "adapter_config.json")
    quantisation = _mapping(config.get("quantization_config"))
    vocabulary = config.get("vocab_size", _mapping(config.get("text_config")).get("vocab_size"))
    return Knowledge(
        scaling=partial(_scaling, adapter),
        block=_block(quantisation.get("weight_block_size")),
        must_scale=_scales_float8(quantisation),
        vocabulary=vocabulary if isinstance(vocabulary, int) else 0,
    )


def _scales_float8(quantisation: Mapping[str, Any]) -> bool:
    """Whether float8 weights have scales: by the method, its algorithm (ModelOpt), or a group (compressed-tensors)."""
    groups = [_mapping(_mapping(one).get("weights")) for one in _mapping(quantisation.get("config_groups")).values()]
    return (
        quantisation.get("quant_method") in _SCALED_FLOAT8
        or str(quantisation.get("quant_algo", "")).upper().startswith("FP8")
        or any(one.get("num_bits") == 8 and one.get("type") == "float" for one in groups)
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        return read_json(file, dict[str, Any], limit=_LIMIT, constants=True)  # transformers writes Infinity
    except (OSError, ValueError):
        return {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _block(value: Any) -> tuple[int, ...]:
    sizes = cast("list[Any]", value) if isinstance(value, list) else []
    return tuple(sizes) if len(sizes) == 2 and all(isinstance(size, int) and size > 0 for size in sizes) else ()


def _scaling(config: Mapping[str, Any], layer: str, adapter: str, rank: int) -> float | None:
    """Return ``alpha / r``, or ``alpha / sqrt(r)`` with use_rslora, as PEFT does; None where it is not said."""
    patterns = _mapping(config.get("alpha_pattern"))
    alpha = config.get("lora_alpha")
    for pattern, value in patterns.items():
        if not pattern.replace(".", "").replace("_", "").isalnum():
            return None  # a regular expression: not evaluated, as it is not ours
        if layer == pattern or layer.endswith(f".{pattern}"):
            alpha = value
            break
    if not isinstance(alpha, (int, float)) or isinstance(alpha, bool):
        return None
    return float(alpha) / (math.sqrt(rank) if config.get("use_rslora") is True else rank)
