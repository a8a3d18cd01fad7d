"""Writes what ai-edge-litert computes with two published detectors, for
tests/zoo/test_lite_detectors.py.

    LITERT/bin/python tests/zoo/lite_reference.py $TLJAX_DATA/detection_weights tests/zoo/lite.json

LITERT is an environment with ai-edge-litert 2.3. The file has some box codes and logits of a
picture of coloured squares, before suppression. Those of the quantised detector are whole numbers,
by the default kernels and by the reference kernels of the runtime.
"""

import json
import sys
from pathlib import Path

import lite_samples as samples
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType


def computed(path, x, names=None, kernels=OpResolverType.AUTO):
    """Codes and logits; `names` are those of tensors inside of the graph."""
    interpreter = Interpreter(
        str(path), experimental_op_resolver_type=kernels, experimental_preserve_all_tensors=True
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]['index'], x)
    interpreter.invoke()
    found = {tensor['name']: tensor for tensor in interpreter.get_tensor_details()}
    names = names or [tensor['name'] for tensor in interpreter.get_output_details()]
    arrays = [interpreter.get_tensor(found[name]['index'])[0] for name in names]
    return arrays, [found[name]['quantization'] for name in names]


def numbers(array):
    return [float(f'{x:.7g}') for x in samples.picked(array)]


if __name__ == '__main__':
    folder, pictures = Path(sys.argv[1]), samples.pictures()
    whole, inner = {}, ('Squeeze', 'concat_1')
    for kernels in ('AUTO', 'BUILTIN_REF'):
        arrays, steps = computed(
            folder / samples.QUANTISED, pictures, inner, getattr(OpResolverType, kernels)
        )
        whole[kernels] = [[int(x) for x in samples.picked(array)] for array in arrays]
    (codes, logits), _ = computed(folder / samples.HALF, np.float32(pictures / 127.5 - 1))
    answers = {
        'quantised': {'steps': [[float(scale), int(zero)] for scale, zero in steps], **whole},
        'half': {'codes': numbers(codes), 'logits': numbers(logits)},
    }
    text = json.dumps(answers, separators=(',', ':')).replace('],"', '],\n"')
    Path(sys.argv[2]).write_text(text + '\n', encoding='utf-8')
