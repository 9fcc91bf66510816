"""The published architectures as plain networks, for the tests of the converters."""

from __future__ import annotations

from torch import nn


def mlp(inputs: int = 784, hidden: int = 200, classes: int = 10, dropout: float = 0.0) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(inputs, hidden),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, classes),
    )


def lenet(channels: int = 1, classes: int = 10, side: int = 28) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * (side // 2 - 4) ** 2 // 4, 120),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(84, classes),
    )


class PostActivationBlock(nn.Module):
    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Conv2d(width_in, width, 1, stride, bias=False) if stride > 1 else nn.Identity()

    def forward(self, x):
        return (self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())) + self.shortcut(x)).relu()


class PreActivationBlock(nn.Module):
    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(width_in)
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        changes = stride > 1 or width_in != width
        self.shortcut = nn.Conv2d(width_in, width, 1, stride, bias=False) if changes else nn.Identity()

    def forward(self, x):
        return self.conv2(self.bn2(self.conv1(self.bn1(x).relu())).relu()) + self.shortcut(x)


def residual_groups(block, width_in: int, widths: tuple[int, ...], depth: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for group, width in enumerate(widths):
        for number in range(depth):
            layers.append(block(width_in, width, 2 if number == 0 and group > 0 else 1))
            width_in = width
    return layers


def resnet20(classes: int = 10) -> nn.Module:
    stem = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    blocks = residual_groups(PostActivationBlock, 16, (16, 32, 64), 3)
    return nn.Sequential(*stem, *blocks, nn.AvgPool2d(8), nn.Flatten(), nn.Linear(64, classes))


def wide_resnet(classes: int = 10, depth: int = 4, width: int = 10) -> nn.Module:
    widths = (16 * width, 32 * width, 64 * width)
    blocks = residual_groups(PreActivationBlock, 16, widths, depth)
    head = [nn.BatchNorm2d(widths[-1]), nn.ReLU(), nn.AvgPool2d(8), nn.Flatten(), nn.Linear(widths[-1], classes)]
    return nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), *blocks, *head)
