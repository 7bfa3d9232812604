"""The `batchnorm` family in PyTorch, as its users would write it, to measure beside."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from torch import nn

from googlenet_jax.models.googlenet import TABLE_1


def conv(inputs: int, outputs: int, window: int = 1, stride: int = 1) -> nn.Module:
    """Convolution, batch norm, ReLU."""
    product = nn.Conv2d(inputs, outputs, window, stride, window // 2, bias=False)
    return nn.Sequential(product, nn.BatchNorm2d(outputs, eps=1e-3), nn.ReLU(inplace=True))


class Inception(nn.Module):
    """The inception block."""

    def __init__(self, inputs: int, widths: tuple[int, ...]):
        super().__init__()
        one, three_reduce, three, five_reduce, five, proj = widths
        self.branches = nn.ModuleList(
            [
                conv(inputs, one),
                nn.Sequential(conv(inputs, three_reduce), conv(three_reduce, three, 3)),
                nn.Sequential(conv(inputs, five_reduce), conv(five_reduce, five, 5)),
                nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(inputs, proj)),
            ]
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, c, h, w) -> (n, total width, h, w)."""
        return torch.cat([branch(x) for branch in self.branches], 1)


class GoogLeNet(nn.Module):
    """The network; with auxiliary heads it gives three logits in training.

    Args:
      num_classes: width of the logits.
      hidden: inputs of the auxiliary heads' hidden layers, 2048 at 224 px; 0: no auxiliary heads.
    """

    def __init__(self, num_classes: int, hidden: int = 0):
        super().__init__()

        def pool() -> nn.Module:
            return nn.MaxPool2d(3, 2, ceil_mode=True)

        stages: list[list[nn.Module]] = [[conv(3, 64, 7, 2), pool(), conv(64, 64), conv(64, 192, 3), pool()]]
        width, self.heads = 192, nn.ModuleList()
        for block, widths in TABLE_1.items():
            stages[-1] += [pool()] if block in ("4a", "5a") else []
            stages[-1] += [Inception(width, widths)]
            width = widths.total
            if block in ("4a", "4d") and hidden:
                stages.append([])
                first = [nn.AvgPool2d(5, 3), conv(width, 128), nn.Flatten(), nn.Linear(hidden, 1024), nn.ReLU()]
                self.heads.append(nn.Sequential(*first, nn.Dropout(0.7), nn.Linear(1024, num_classes)))
        stages[-1] += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.4), nn.Linear(width, num_classes)]
        self.stages = nn.ModuleList(nn.Sequential(*layers) for layers in stages)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """(n, 3, h, w) -> the logits (n, num_classes) of the main head, and in training of the auxiliary heads."""
        outputs = []
        for stage, head in zip(self.stages, [*self.heads, None], strict=True):
            x = stage(x)
            if head is not None and self.training:
                outputs.append(head(x))
        return [x, *outputs]
