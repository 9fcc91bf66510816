"""Networks by name. Each builder takes the input shape and the number of outputs, and initialises from torch's seed."""

from __future__ import annotations

from ..options import Entry

# "shard" is how many runs a shard has at most on a CPU: what a kill may cost.
_HEAVY = {"shard": 2}
_RESIDUAL = {"batch_norm": True, "residual": True}

MODELS = {
    "mlp": Entry("models.mlp:build_mlp", {"hidden": (128,), "init": "xavier"}, {"shard": 32}),
    "lenet": Entry("models.convnets:build_lenet", {"init": "torch"}, {"shard": 8}),
    "vgg": Entry(
        "models.convnets:build_vgg", {"depth": 3, "width": 64, "dense": 1, "dense_width": 128, "init": "he"}, _HEAVY
    ),
    "resnet9": Entry("models.convnets:build_resnet9", {"width": 64}, _HEAVY),
    "resnet18": Entry("models.convnets:build_resnet18", {"width": 64, **_RESIDUAL}, _HEAVY),
    "resnet20": Entry("models.convnets:build_resnet20", {"width": 16, "blocks": 3, **_RESIDUAL}, _HEAVY),
    "wide-resnet": Entry("models.convnets:build_wide_resnet", {"depth": 28, "width": 10}, {"shard": 1}),
    "modular-transformer": Entry(
        "models.transformers:build_modular_transformer",
        {"width": 128, "heads": 4, "hidden": 512, "layer_norm": False},
        {"shard": 4},
    ),
    "masked-encoder": Entry("models.transformers:build_masked_encoder", {"width": 128, "heads": 4, "depth": 2}, _HEAVY),
}
