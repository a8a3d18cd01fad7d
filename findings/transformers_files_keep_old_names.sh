#!/usr/bin/env bash
# A guess: the names of a model's tensors in transformers are those in the file that the model saves,
# since both are called its state dict. In version 5 that is not so: the layers of a ViT were renamed
# in the model, and save_pretrained turns the names back into those of earlier versions. A converter
# that is written from `model.state_dict()` therefore finds none of a file's attention layers.
#
# Seen with transformers 5.24.0, torch 2.13.0 and safetensors 0.8.0, Python 3.11; the kernel of the
# first block's query:
#
#     model vit.layers.0.attention.q_proj.weight
#     file vit.encoder.layer.0.attention.attention.query.weight
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 transformers==5.24.0 safetensors==0.8.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys

from safetensors import safe_open
from transformers import ViTConfig, ViTForImageClassification

config = ViTConfig(
    hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, image_size=32
)
model = ViTForImageClassification(config)
model.save_pretrained(sys.argv[1])
with safe_open(f'{sys.argv[1]}/model.safetensors', 'pt') as file:
    saved = set(file.keys())
here, there = (
    'vit.layers.0.attention.q_proj.weight',
    'vit.encoder.layer.0.attention.attention.query.weight',
)
print('model', *(name for name in model.state_dict() if name == here))
print('file', *(name for name in saved if name == there))
assert here in model.state_dict() and there not in model.state_dict()
assert there in saved and here not in saved
PYTHON
