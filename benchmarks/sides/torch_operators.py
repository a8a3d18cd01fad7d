"""Operators of torchvision that its package for graphics cards lacks with PyTorch for CPUs."""

import torch

KEPT = []  # a library's operators vanish with it


def define_missing_operators() -> None:
    """Makes `import torchvision` work, for the sake of timm and easyfsl, which import it.

    The operators are declared only. No benchmark calls them.
    """
    try:
        import torchvision  # noqa: F401
    except RuntimeError:  # operator torchvision::nms does not exist
        library = torch.library.Library('torchvision', 'DEF')
        for name in ('nms', 'qnms'):
            library.define(f'{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
        KEPT.append(library)
