"""Networks by name. Each builder takes the input shape and the number of outputs, and initialises from torch's seed."""

from __future__ import annotations

from ..options import Entry

MODELS = {
    "mlp": Entry("models.mlp:build_mlp", {"hidden": (128,), "init": "xavier"}, {"shard": 32}),
}
