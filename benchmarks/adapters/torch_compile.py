"""PyTorch with its compiler: forward and backward compiled, one version for each batch size."""

from __future__ import annotations

import torch

from adapters import torch_eager

version = torch_eager.version


class Trainer(torch_eager.Trainer):
    """The eager loop over a compiled loss; Adam is fused already."""

    loss = staticmethod(torch.compile(torch_eager.loss, dynamic=False))
