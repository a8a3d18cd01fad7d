"""Knowledge distillation: Hinton, Vinyals and Dean 2015, https://arxiv.org/abs/1503.02531, section
2."""

import jax

from tljax.core import Method, Net, Tree, UserError, abbreviated
from tljax.losses import linear, weighted_mean
from tljax.methods.fine_tuning.source_network import (
    frozen_copy,
    refuse_numbers,
    refuse_temperature,
    regularised,
    softened_cross_entropy,
    source_taps,
)
from tljax.paths import flatten

BATCHES = 'labelled'
CACHED = False  # the teacher sees the inputs
TEACHER = True


def distillation(
    net: Net,
    classes: int,
    teacher: Net | None = None,
    temperature: float = 2.0,
    hard: float = 0.5,
) -> Method:
    """Distillation: a student learns the softened predictions of a trained teacher.

    The loss is hard * CE(label, student) + T^2 * H(teacher, student), the mean over examples of the
    cross-entropy of softmax(teacher's logits / T) and softmax(student's logits / T). T^2 keeps the
    second gradient as large as the first, whatever the temperature. For high temperatures that
    gradient is the one of matching logits (equation 4).

    Args:
        net: the student.
        classes: number of classes, the same as the teacher's.
        teacher: network of the teacher; None: the same as the student's. The run of the config's
            `teacher` holds its parameters.
        temperature: the paper's T. The default is the best one of section 4.
        hard: weight of the labels, in section 4 a half.

    Returns:
        A Method as `source_network.regularised` makes it. The teacher answers at inference.

    Raises:
        UserError: the data has no classes, the temperature is not above 0, or (in `remember`) the
            run holds another network than `teacher`.

    >>> import jax.numpy as jnp
    >>> from tljax.core import Start, Tick
    >>> from tljax.data import arrays
    >>> from tljax.zoo.families.identity import identity
    >>> method = distillation(identity(2), 2, temperature=1.0, hard=0.0)
    >>> train = arrays(jnp.eye(2), jnp.arange(2), ('a', 'b'))
    >>> batch = train.take(jnp.arange(2))
    >>> params, state = jax.jit(method.init)(jax.random.key(0), batch)
    >>> head = {'kernel': 2 * jnp.eye(2), 'bias': jnp.zeros(2)}
    >>> teacher = {'backbone': {}, 'head': head}, {'backbone': {}}
    >>> state = method.remember(params, state, Start(train, teacher=teacher))
    >>> for scale in (0.0, 2.0):  # before, and when the student answers as the teacher
    ...     params['head']['kernel'] = scale * jnp.eye(2)
    ...     loss = jax.jit(method.loss)(params, state, batch, Tick(0, jax.random.key(0)))[0]
    ...     print(round(float(loss), 4))
    0.6931
    0.3653
    """
    refuse_numbers('distillation', classes)
    refuse_temperature(temperature)
    teacher_net = teacher or net

    def remember(params, state, start):
        copy = frozen_copy(*start.teacher, head='head')
        sample = start.train.take([0])['input']
        shapes = jax.eval_shape(teacher_net.init, jax.random.key(0), sample)[0]
        _refuse_other_network(copy['params'], shapes)
        return {**state, 'teacher': copy}

    def term(params, state, taps, batch):
        soft = source_taps(teacher_net, state['teacher'], batch['input'])['logits']
        logits = linear(params['head'], taps['features'])
        values = softened_cross_entropy(logits, soft, temperature)
        return temperature**2 * weighted_mean(values, batch)

    return regularised(net, classes, term, remember, labels=hard)


def _refuse_other_network(params: Tree, shapes: Tree) -> None:
    """Refuses parameters of another network than the one whose shapes are given."""
    found, expected = (
        {path: leaf.shape for path, leaf in flatten(tree).items()} for tree in (params, shapes)
    )
    paths = {*found, *expected}
    if different := sorted(path for path in paths if found.get(path) != expected.get(path)):
        raise UserError(
            f'the run of the teacher holds another network (see {abbreviated(different, 3)}): give '
            'the net of that run as method.teacher'
        )
