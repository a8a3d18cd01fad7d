"""How fast steps are: examples a second, and the share of what the devices reach at most.

A published peak is the rate of dense products of bfloat16 matrices with sums in float32; that of a
V100, which has no bfloat16, is of float16. A step in float32 does not reach it: on a TPU, products
of float32 are by default rounded to bfloat16, on a GPU to TF32, whose own peak is half as high. A
vendor's table that counts products with sparse matrices has twice the numbers; they are halved
here.
"""

import re

import jax

from tljax.engine.devices import Compiled
from tljax.engine.reading import flops
from tljax.protocols import Tree

EXAMPLES = 'examples_per_second'  # names in the log
PEAK_SHARE = 'peak_share'
# Sources: TPU/ is https://cloud.google.com/tpu/docs/, NVIDIA/ is
# https://www.nvidia.com/en-us/data-center/
# [(pattern of a whole `jax.Device.device_kind`, FLOP per second of one JAX device)]; the first that
# fits counts. Each has its source beside it.
PEAKS = (
    (r'TPU v3', 123e12 / 2),  # TPU/v3: 123 a chip, which is two devices
    (r'TPU v4', 275e12),  # TPU/v4
    (r'TPU v5 lite|TPU v5e', 197e12),  # TPU/v5e
    (r'TPU v5p?', 459e12),  # TPU/v5p
    (r'TPU v6 lite|TPU v6e', 918e12),  # TPU/v6e
    (r'.*\bV100-(PCIE|FHHL).*', 112e12),  # NVIDIA/v100: 112 by PCIe
    (r'.*\bV100.*', 125e12),  # NVIDIA/v100: 125 by NVLink
    (r'.*\bA100.*', 312e12),  # NVIDIA/a100
    (r'.*\bH100 NVL.*', 835e12),  # NVIDIA/h100: 1,671 with sparsity
    (r'.*\bH100 PCIe.*', 756e12),  # the data sheet of the H100 PCIe: 1,513 with sparsity
    (r'.*\bH100.*', 989e12),  # NVIDIA/h100: 1,979 with sparsity
    (r'.*\bGH200.*', 989e12),  # NVIDIA/grace-hopper-superchip: 1,979 with sparsity
    (r'.*\bH200 NVL.*', 835e12),  # NVIDIA/h200: 1,671 with sparsity
    (r'.*\bH200.*', 989e12),  # NVIDIA/h200: 1,979 with sparsity
    (r'.*\bGB200.*', 2500e12),  # NVIDIA/gb200-nvl72: 360,000 of 72 GPUs with sparsity
    (r'.*\bB200.*', 2250e12),  # NVIDIA/hgx: 36,000 of 8 GPUs with sparsity
)


def peak(kind: str) -> float | None:
    """Returns the published peak of a device, FLOP per second; None if it is not known.

    Args:
        kind: `jax.Device.device_kind`.

    >>> peak('NVIDIA H200'), peak('TPU v5 lite'), peak('cpu')
    (989000000000000.0, 197000000000000.0, None)
    """
    return next((value for pattern, value in PEAKS if re.fullmatch(pattern, kind)), None)


def step_flops(step: Compiled, *arguments: Tree) -> float:
    """Returns the operations of a step on all devices; 0 if the peak of the devices is not known.

    The step is traced and lowered, which its first call needs anyway, but not compiled.

    Args:
        step: the compiled step.
        *arguments: state, batch and seeds of a call.

    >>> step_flops(Compiled(jax.jit(lambda x: x @ x), lambda batch: batch), jax.numpy.eye(2))
    0.0
    """
    lower = getattr(step.run, 'lower', None)  # of several processes, pmap's program has none
    if lower is None or peak(jax.devices()[0].device_kind) is None:
        return 0.0
    return step.copies * flops(lower(*arguments))


def speeds(steps_per_second: float, examples: int, step_flops: float = 0.0) -> dict[str, float]:
    """Returns the numbers of the log that tell how fast steps are.

    Args:
        steps_per_second: of all seeds together; 0 if it was not measured.
        examples: number of examples of a step, of all seeds and devices.
        step_flops: operations of a step on all devices; 0 if they are not known.

    Returns:
        {EXAMPLES: examples per second, PEAK_SHARE: share of the published peak of all devices, in
        [0, 1]}, each only if it is known.

    >>> speeds(2.5, examples=64)
    {'examples_per_second': 160.0}
    >>> speeds(0.0, examples=64)
    {}
    """
    if not steps_per_second:
        return {}
    numbers = {EXAMPLES: steps_per_second * examples}
    most = peak(jax.devices()[0].device_kind)
    if most and step_flops:
        numbers[PEAK_SHARE] = steps_per_second * step_flops / (most * jax.device_count())
    return numbers
