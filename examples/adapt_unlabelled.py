# %% [markdown]
# # Adapt to a domain without labels
#
# The source is printed digits with labels, the target handwritten ones without. A network that is
# trained on the source alone is compared with CDAN, which also sees the target's pictures. The
# target's labels are used for the last line of each table only, to tell what would have been
# gained.

# %%
import os
from pathlib import Path

import tljax

STEPS = int(os.environ.get('STEPS', 500))
RUNS = Path(os.environ.get('RUNS', 'runs/adaptation'))

# %% [markdown]
# ## Two domains are one data set
#
# A batch has labelled pictures of the source, and beside them pictures of the target.

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
alone = tljax.train(**shared, method='finetune', workdir=RUNS / 'source_only')
adapted = tljax.train(
    **shared,
    method={'name': 'cdan', 'width': 500, 'ramp': STEPS},
    workdir=RUNS / 'cdan',
)

# %% [markdown]
# ## Which one, without the target's labels?
#
# Information maximisation looks at predictions on the target alone: they are to be sure, and to
# take every class about equally often.

# %%
target = tljax.data.digits()['train']
pictures = target.take(range(target.size))['input']
for name, model in (('source only', alone), ('CDAN', adapted)):
    score = tljax.when.information_maximisation(model.predict(pictures))
    print(f'{name}: information maximisation {score:.3f}, on the test {model.scores["test"]}')
