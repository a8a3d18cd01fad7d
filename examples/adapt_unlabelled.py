# %% [markdown]
# # Adapt to a domain without labels
#
# The source is printed digits with labels. The target is handwritten digits without labels. CDAN,
# which also sees the target's pictures, is compared with a network that is trained on the source
# only. The target's labels are used for the test accuracies at the end only.

# %%
import os
from pathlib import Path

import tljax

STEPS = int(os.environ.get('STEPS', 500))
RUNS = Path(os.environ.get('RUNS', 'runs/adaptation'))

# %% [markdown]
# ## Two domains are one data set
#
# A batch has labelled pictures of the source, and as many pictures of the target without labels.

# %%
data = {
    'name': 'domains',
    'source': {'name': 'glyphs', 'part': 'digits', 'size': 16, 'resolution': 8, 'per_class': 60},
    'target': {'name': 'digits'},
}
shared = dict(
    data=data,
    net={'name': 'conv4', 'width': (32, 64, 128), 'blocks': 3, 'size': 16},
    steps=STEPS,
    batch=32,
)

# %%
source_only = tljax.train(**shared, method='finetune', workdir=RUNS / 'source_only')
adapted = tljax.train(
    **shared,
    method={'name': 'cdan', 'width': 500, 'ramp': STEPS},
    workdir=RUNS / 'cdan',
)

# %% [markdown]
# ## Which one, without the target's labels?
#
# Information maximisation is a score of predictions on the target, without its labels. It is high
# if the predictions are confident and all classes are about equally frequent.

# %%
target = tljax.data.digits()['train']
pictures = target.take(range(target.size))['input']
for name, model in (('source only', source_only), ('CDAN', adapted)):
    score = tljax.when.information_maximisation(model.predict(pictures))
    print(f'{name}: information maximisation {score:.3f}, test scores {model.scores["test"]}')
