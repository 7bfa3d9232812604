"""torchvision's GoogLeNet for inference in PyTorch alone, of the widths that a state_dict has."""

import torch
from torch import nn

Tensors = dict[str, torch.Tensor]


class Conv(nn.Module):
    """Convolution, batch norm, ReLU; torchvision's BasicConv2d."""

    def __init__(self, tensors: Tensors, name: str, stride: int = 1):
        super().__init__()
        outputs, inputs, window, _ = tensors[f"{name}.conv.weight"].shape
        self.conv = nn.Conv2d(inputs, outputs, window, stride, window // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, c, h, w) -> (n, outputs, h, w)."""
        return nn.functional.relu(self.bn(self.conv(x)), inplace=True)


class Inception(nn.Module):
    """The inception block."""

    def __init__(self, tensors: Tensors, name: str):
        super().__init__()
        self.branch1 = Conv(tensors, f"{name}.branch1")
        self.branch2 = nn.Sequential(*(Conv(tensors, f"{name}.branch2.{i}") for i in range(2)))
        self.branch3 = nn.Sequential(*(Conv(tensors, f"{name}.branch3.{i}") for i in range(2)))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), Conv(tensors, f"{name}.branch4.1"))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, c, h, w) -> (n, total width, h, w)."""
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class GoogLeNet(nn.Module):
    """The network without its auxiliary heads.

    Args:
      tensors: the state_dict to load.
    """

    def __init__(self, tensors: Tensors):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = Conv(tensors, "conv1", 2), Conv(tensors, "conv2"), Conv(tensors, "conv3")
        for block in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
            self.add_module(f"inception{block}", Inception(tensors, f"inception{block}"))
        self.fc = nn.Linear(tensors["fc.weight"].shape[1], tensors["fc.weight"].shape[0])
        self.load_state_dict({name: tensor for name, tensor in tensors.items() if not name.startswith("aux")})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, 3, 224, 224) -> logits (n, classes)."""
        pool = nn.functional.max_pool2d
        x = pool(self.conv1(x), 3, 2, ceil_mode=True)
        x = pool(self.conv3(self.conv2(x)), 3, 2, ceil_mode=True)
        x = pool(self.get_submodule("inception3b")(self.get_submodule("inception3a")(x)), 3, 2, ceil_mode=True)
        for block in "abcde":
            x = self.get_submodule(f"inception4{block}")(x)
        x = pool(x, 2, 2, ceil_mode=True)
        x = self.get_submodule("inception5b")(self.get_submodule("inception5a")(x))
        return self.fc(x.mean((2, 3)))
