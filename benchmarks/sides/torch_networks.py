"""Networks of timm in PyTorch: forward pass and training step, each in two layouts of memory."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from benchmarks.sides.protocol import Calls, serve
from benchmarks.sides.torch_operators import define_missing_operators

LAYOUTS = {'NCHW': torch.contiguous_format, 'channels_last': torch.channels_last}


def make(
    network: str,
    batch: int,
    size: int,
    threads: int,
    compiled: bool = False,
    bfloat16: bool = False,
    layouts: Sequence[str] = tuple(LAYOUTS),
) -> tuple[str, Calls]:
    """Prepares the calls 'predict' and 'step' of a network, each in every layout.

    A step is the cross-entropy on 1,000 classes, its gradient, and SGD with momentum.

    Args:
        network: name of a network of timm.
        batch: number of pictures.
        size: side of the pictures, pixels.
        threads: number of threads on a CPU.
        compiled: whether the network is compiled by `torch.compile`.
        bfloat16: whether the network computes in bfloat16 (autocast); parameters are float32.
        layouts: which of NCHW and channels_last.
    """
    define_missing_operators()
    import timm  # it imports torchvision

    torch.set_num_threads(threads)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    calls = {}
    for name in layouts:
        layout = LAYOUTS[name]
        torch.manual_seed(0)
        model = timm.create_model(network).to(device, memory_format=layout)
        predict, step = _calls(model, batch, size, layout, compiled, bfloat16)
        calls |= {f'predict {name}': predict, f'step {name}': step}
    where = torch.cuda.get_device_name() if device == 'cuda' else f'{threads} threads'
    return f'timm {timm.__version__}, PyTorch {torch.__version__}, {where}', calls


def _calls(model, batch, size, layout, compiled, bfloat16):
    """Returns the calls of a model in one layout: the forward pass, and a training step."""
    device = next(model.parameters()).device.type
    optimiser = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9)
    x = torch.rand(batch, 3, size, size, device=device).contiguous(memory_format=layout)
    label = torch.arange(batch, device=device) % 1000
    run = torch.compile(model) if compiled else model
    precision = torch.autocast(device, torch.bfloat16, enabled=bfloat16)

    def predict():
        model.eval()
        with torch.inference_mode(), precision:
            return run(x).sum().item()  # waits for the result

    def step():
        model.train()
        optimiser.zero_grad()
        with precision:
            loss = F.cross_entropy(run(x), label)
        loss.backward()
        optimiser.step()
        if device == 'cuda':
            torch.cuda.synchronize()
        return loss.item()

    return predict, step


if __name__ == '__main__':
    serve(make)
