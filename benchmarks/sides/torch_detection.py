"""SSDLite with MobileNetV2 at 300 pixels in PyTorch: the layers of TensorFlow's detector."""

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.sides.protocol import Calls, serve
from benchmarks.sides.torch_operators import define_missing_operators

CLASSES = 91  # with the background
PER_CELL = (3, 6, 6, 6, 6, 6)
EXTRAS = (512, 256, 256, 128)
LAYOUTS = {'NCHW': torch.contiguous_format, 'channels_last': torch.channels_last}


def make(batch: int, threads: int) -> tuple[str, Calls]:
    """Prepares the calls 'predict' and 'step', each in two layouts of memory.

    'predict' is the forward pass and the best 100 boxes of each class, without suppression. 'step'
    is smooth L1 and cross-entropy on given targets, its gradient, and SGD with momentum.

    Args:
        batch: number of pictures.
        threads: number of threads.
    """
    define_missing_operators()
    import torchvision  # it needs the operators

    torch.set_num_threads(threads)
    calls = {}
    for name, layout in LAYOUTS.items():
        torch.manual_seed(0)
        model = _Detector(torchvision.models.mobilenet_v2().features).to(memory_format=layout)
        x = torch.rand(batch, 3, 300, 300).contiguous(memory_format=layout)
        calls |= {f'{call} {name}': made for call, made in _calls(model, x).items()}
    about = f'PyTorch {torch.__version__}, torchvision {torchvision.__version__}'
    return f'{about}, {threads} threads', calls


class _Detector(nn.Module):
    """Codes and logits of all anchors."""

    def __init__(self, features):
        super().__init__()
        self.below, rest = features[:14], features[14]
        self.expand, self.between = rest.conv[0], rest.conv[1:]
        self.above = features[15:]
        self.extras, width = nn.ModuleList(), 1280
        for extra in EXTRAS:
            half = extra // 2
            self.extras.append(
                nn.Sequential(
                    *_layer(width, half),
                    *_layer(half, half, 3, 2, half),
                    *_layer(half, extra),
                )
            )
            width = extra
        pairs = list(zip((576, 1280, *EXTRAS), PER_CELL, strict=True))
        self.codes = nn.ModuleList(_separable(width, 4 * count) for width, count in pairs)
        self.logits = nn.ModuleList(_separable(width, CLASSES * count) for width, count in pairs)

    def forward(self, x):
        expanded = self.expand(self.below(x))
        maps = [expanded, self.above(self.between(expanded))]
        for extra in self.extras:
            maps.append(extra(maps[-1]))
        codes = [_rows(layer(x), 4) for layer, x in zip(self.codes, maps, strict=True)]
        logits = [_rows(layer(x), CLASSES) for layer, x in zip(self.logits, maps, strict=True)]
        return torch.cat(codes, 1), torch.cat(logits, 1)


def _layer(inputs, outputs, size=1, stride=1, groups=1):
    conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
    return conv, nn.BatchNorm2d(outputs), nn.ReLU6()


def _separable(inputs, outputs):
    return nn.Sequential(*_layer(inputs, inputs, 3, groups=inputs), nn.Conv2d(inputs, outputs, 1))


def _rows(x, width):
    return x.permute(0, 2, 3, 1).reshape(len(x), -1, width)


def _calls(model, x):
    optimiser = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9)
    with torch.no_grad():
        codes, logits = (torch.zeros_like(out) for out in model(x))
    logits[:, ::20, 1] = 1

    def predict():
        model.eval()
        with torch.inference_mode():
            found = model(x)[1].sigmoid()
            best, _ = found[..., 1:].topk(100, 1)
            return best.sum().item()

    def step():
        model.train()
        optimiser.zero_grad()
        found = model(x)
        loss = F.smooth_l1_loss(found[0], codes) + F.binary_cross_entropy_with_logits(
            found[1], logits
        )
        loss.backward()
        optimiser.step()
        return loss.item()

    return {'predict': predict, 'step': step}


if __name__ == '__main__':
    serve(make)
