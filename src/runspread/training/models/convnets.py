"""Convolutional networks for small images: LeNet, a VGG with knobs, and residual networks."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...errors import InputError
from .mlp import initialise


def _channels(shape: tuple[int, ...]) -> int:
    if len(shape) != 3:
        raise InputError(
            f"got examples of shape {shape}", "images [channels, height, width]", "Use an MLP for vectors."
        )
    return shape[0]


def _initialise_all(module: nn.Module, init: str) -> None:
    """Initialise every convolution and dense layer; see `mlp.initialise`."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            initialise(layer, init, gain=2.0)


class LeNet(nn.Module):
    """conv 5x5 6 (pad 2), pool, conv 5x5 16, pool, dense 120, dense 84, dense; ReLU; dropout after the dense layers.

    Wenzel et al. (NeurIPS 2020) use this kind of network; its widths are the classical ones.
    """

    def __init__(self, shape: tuple[int, ...], outputs: int, init: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(_channels(shape), 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        side = [(size // 2 - 4) // 2 for size in shape[1:]]
        if min(side) < 1:
            raise InputError(f"got images of {shape[1]} x {shape[2]}", "at least 12 x 12 pixels for LeNet")
        self.dense1 = nn.Linear(16 * math.prod(side), 120)
        self.drop1 = nn.Dropout()
        self.dense2 = nn.Linear(120, 84)
        self.drop2 = nn.Dropout()
        self.head = nn.Linear(84, outputs)
        _initialise_all(self, init)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs [batch, outputs] for images [batch, channels, height, width]."""
        x = F.max_pool2d(self.conv1(x).relu(), 2)
        x = F.max_pool2d(self.conv2(x).relu(), 2).flatten(1)
        x = self.drop1(self.dense1(x).relu())
        x = self.drop2(self.dense2(x).relu())
        return self.head(x)


def build_lenet(shape: tuple[int, ...], outputs: int, *, init: str) -> LeNet:
    """Return a LeNet for images of `shape`."""
    return LeNet(shape, outputs, init)


class VGG(nn.Module):
    """Blocks of (conv 3x3, conv 3x3, pool) of doubling width, then dense layers; dropout after each block and layer."""

    def __init__(
        self, shape: tuple[int, ...], outputs: int, *, depth: int, width: int, dense: int, dense_width: int, init: str
    ) -> None:
        super().__init__()
        if depth < 1 or dense < 0 or min(shape[1:]) < 2**depth:
            raise InputError(f"got depth={depth}, dense={dense} for {shape[1]} x {shape[2]} pixels", "sizes that fit")
        widths = [_channels(shape), *(width * 2**block for block in range(depth))]
        self.blocks = nn.ModuleList(_vgg_block(widths[k], widths[k + 1]) for k in range(depth))
        features = widths[-1] * math.prod(size // 2**depth for size in shape[1:])
        sizes = [features, *[dense_width] * dense]
        self.dense = nn.ModuleList(_vgg_dense(sizes[k], sizes[k + 1]) for k in range(dense))
        self.head = nn.Linear(sizes[-1], outputs)
        _initialise_all(self, init)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs [batch, outputs] for images [batch, channels, height, width]."""
        for block in self.blocks:
            x = block(x)
        x = x.flatten(1)
        for layer in self.dense:
            x = layer(x)
        return self.head(x)


def _vgg_block(inputs: int, outputs: int) -> nn.Sequential:
    first, second = nn.Conv2d(inputs, outputs, 3, padding=1), nn.Conv2d(outputs, outputs, 3, padding=1)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.MaxPool2d(2), nn.Dropout())


def _vgg_dense(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout())


def build_vgg(
    shape: tuple[int, ...], outputs: int, *, depth: int, width: int, dense: int, dense_width: int, init: str
) -> VGG:
    """Return a VGG for images of `shape`."""
    return VGG(shape, outputs, depth=depth, width=width, dense=dense, dense_width=dense_width, init=init)


class _ConvNorm(nn.Module):
    """Convolution without bias, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, padding: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)).relu()


class ResNet9(nn.Module):
    """The residual network of the fast CIFAR scripts: two residual pairs, global max-pooling, outputs times 0.2.

    Jordan (ICLR 2024) trains a ResNet-9 of this kind; `width` 64 gives channels 64, 128, 256, 128.
    """

    def __init__(self, shape: tuple[int, ...], outputs: int, width: int) -> None:
        super().__init__()
        w = width
        self.stem = _ConvNorm(_channels(shape), w)
        self.down = _ConvNorm(w, 2 * w, kernel=5, stride=2, padding=2)
        self.pair1 = nn.Sequential(_ConvNorm(2 * w, 2 * w), _ConvNorm(2 * w, 2 * w))
        self.widen = _ConvNorm(2 * w, 4 * w)
        self.pair2 = nn.Sequential(_ConvNorm(4 * w, 4 * w), _ConvNorm(4 * w, 4 * w))
        self.last = _ConvNorm(4 * w, 2 * w, padding=0)
        self.head = nn.Linear(2 * w, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs [batch, outputs] for images [batch, channels, height, width]."""
        x = self.down(self.stem(x))
        x = x + self.pair1(x)
        x = F.max_pool2d(self.widen(x), 2)
        x = x + self.pair2(x)
        return 0.2 * self.head(self.last(x).amax(dim=(2, 3)))


def build_resnet9(shape: tuple[int, ...], outputs: int, *, width: int) -> ResNet9:
    """Return a ResNet-9 for images of `shape` (at least 12 x 12)."""
    return ResNet9(shape, outputs, width)


def _norm(width: int, batch_norm: bool) -> nn.Module:
    return nn.BatchNorm2d(width) if batch_norm else nn.Identity()


class PostActivationBlock(nn.Module):
    """conv, norm, ReLU, conv, norm, add, ReLU; a 1x1 convolution on the shortcut where the shape changes.

    Without residual connections the sum and the shortcut are gone; without batch normalisation nothing stands for it.
    """

    def __init__(
        self, inputs: int, outputs: int, stride: int, *, norm_shortcut: bool, batch_norm: bool, residual: bool
    ) -> None:
        super().__init__()
        self.residual = residual
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm1 = _norm(outputs, batch_norm)
        self.norm2 = _norm(outputs, batch_norm)
        changes = residual and (stride != 1 or inputs != outputs)
        downsample = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if changes else nn.Identity()
        normed = changes and norm_shortcut and batch_norm
        self.downsample = nn.Sequential(downsample, nn.BatchNorm2d(outputs)) if normed else downsample

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        y = self.norm2(self.conv2(self.norm1(self.conv1(x)).relu()))
        return (y + self.downsample(x) if self.residual else y).relu()


class ResNet(nn.Module):
    """Post-activation residual network: stem, groups of blocks of doubling width, average pool, dense.

    ResNet-20: three groups of three blocks from width 16, plain 1x1 shortcuts (272,282 parameters for ten classes).
    ResNet-18 for CIFAR: four groups of two blocks from width 64, normalised shortcuts, 3x3 stem without pooling.
    Without batch normalisation and residual connections: the destabilised variant of Hu et al. (2023).
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int,
        *,
        groups: int,
        blocks: int,
        width: int,
        norm_shortcut: bool,
        batch_norm: bool,
        residual: bool,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(_channels(shape), width, 3, 1, 1, bias=False)
        self.norm = _norm(width, batch_norm)
        widths = [width, *(width * 2**group for group in range(groups))]
        self.group_names = [f"group{group + 1}" for group in range(groups)]
        options = {"norm_shortcut": norm_shortcut, "batch_norm": batch_norm, "residual": residual}
        for group, name in enumerate(self.group_names):
            sizes = [widths[group], *[widths[group + 1]] * blocks]
            strides = [1 if group == 0 else 2, *[1] * (blocks - 1)]
            rows = [PostActivationBlock(sizes[k], sizes[k + 1], strides[k], **options) for k in range(blocks)]
            self.add_module(name, nn.Sequential(*rows))
        self.head = nn.Linear(widths[-1], outputs)
        _initialise_all(self, "he")

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs [batch, outputs] for images [batch, channels, height, width]."""
        x = self.norm(self.stem(x)).relu()
        for name in self.group_names:
            x = self.get_submodule(name)(x)
        return self.head(x.mean(dim=(2, 3)))


def build_resnet20(shape: tuple[int, ...], outputs: int, *, width: int, blocks: int, **variant: bool) -> ResNet:
    """Return a ResNet-20 (blocks 3, width 16); `variant` says whether it has ``batch_norm`` and is ``residual``."""
    return ResNet(shape, outputs, groups=3, blocks=blocks, width=width, norm_shortcut=False, **variant)


def build_resnet18(shape: tuple[int, ...], outputs: int, *, width: int, **variant: bool) -> ResNet:
    """Return a ResNet-18 for CIFAR (width 64); `variant` as for `build_resnet20`."""
    return ResNet(shape, outputs, groups=4, blocks=2, width=width, norm_shortcut=True, **variant)


class PreActivationBlock(nn.Module):
    """norm, ReLU, conv, norm, ReLU, conv; the 1x1 shortcut acts on the raw block input."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        changes = stride != 1 or inputs != outputs
        self.downsample = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        y = self.conv1(self.norm1(x).relu())
        return self.conv2(self.norm2(y).relu()) + self.downsample(x)


class WideResNet(nn.Module):
    """Wide residual network: 3x3 stem of 16, three groups of blocks at 16, 32, 64 times `width` (Wenzel et al., 2020).

    Depth 28 and width 10 give 36,479,194 parameters for ten classes.
    """

    def __init__(self, shape: tuple[int, ...], outputs: int, *, depth: int, width: int) -> None:
        super().__init__()
        if depth < 10 or (depth - 4) % 6:
            raise InputError(f"got depth={depth}", "4 plus a multiple of 6, at least 10")
        blocks = (depth - 4) // 6
        self.stem = nn.Conv2d(_channels(shape), 16, 3, 1, 1, bias=False)
        widths = [16, 16 * width, 32 * width, 64 * width]
        groups = [_wide_group(widths[k], widths[k + 1], blocks, 1 if k == 0 else 2) for k in range(3)]
        self.group1, self.group2, self.group3 = groups
        self.norm = nn.BatchNorm2d(widths[-1])
        self.head = nn.Linear(widths[-1], outputs)
        _initialise_all(self, "he")

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs [batch, outputs] for images [batch, channels, height, width]."""
        x = self.group3(self.group2(self.group1(self.stem(x))))
        return self.head(torch.relu(self.norm(x)).mean(dim=(2, 3)))


def _wide_group(inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
    rest = [PreActivationBlock(outputs, outputs, 1) for _ in range(blocks - 1)]
    return nn.Sequential(PreActivationBlock(inputs, outputs, stride), *rest)


def build_wide_resnet(shape: tuple[int, ...], outputs: int, *, depth: int, width: int) -> WideResNet:
    """Return a wide residual network for images of `shape`."""
    return WideResNet(shape, outputs, depth=depth, width=width)
