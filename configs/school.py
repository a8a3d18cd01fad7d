"""Priors that are learnt from many tasks: exam scores of pupils in 139 schools (School data).

    python -m experiments.tasks --config=configs/school.py
    python -m experiments.tasks --config=configs/school.py:share=0.2
    python -m experiments.tasks --config=configs/school.py:share=0.1,new=0.3

By default 75 % of each school's pupils are trained on, as in the literature. `share` is another
share of them. With `new` that share of the schools is new, and methods learn from all pupils of the
other schools first. `school.mat` is read from `$TLJAX_DATA`.

Expected (results/priors.md), explained variance in %: independent 35.0, pooled 33.5, biased 37.4,
hierarchical 37.9; with 20 % of the pupils 23.0, 33.4, 35.7 and 35.9. Seven minutes of one core.
"""

from ml_collections import ConfigDict

from configs import base

SCHOOLS = 139
PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 1e4)


def get_config(arg: str | None = None) -> ConfigDict:
    """Returns the locked config.

    Args:
        arg: comma-separated options after the colon of `--config`: 'share=0.2', 'new=0.3', 'smoke';
            None for the defaults.
    """
    options = base.parse_arg(arg, share=0.75, new=0.0, smoke=False)
    config = base.many_tasks()
    with config.unlocked():
        # Data
        path = base.data('school/school.mat')
        for number in range(1, SCHOOLS + 1):
            config.sets[f'school{number}'] = dict(name='school', path=path, number=number)
        config.share = options.share
        config.new = options.new

        # Methods
        config.methods = ConfigDict(
            dict(
                independent=dict(
                    learner=dict(name='independent_ridge'),
                    penalties=PENALTIES,
                ),
                pooled=dict(
                    learner=dict(name='pooled_ridge'),
                    penalties=PENALTIES,
                ),
                biased=dict(
                    learner=dict(name='pooled_start'),
                    penalties=PENALTIES,
                ),
                joint_features=dict(
                    learner=dict(name='joint_features', tolerance=1e-4),
                    penalties=(30.0, 100.0, 300.0, 1000.0),
                ),
                hierarchical=dict(
                    learner=dict(name='hierarchical_regression', covariance='diagonal'),
                ),
                hierarchical_full=dict(
                    learner=dict(name='hierarchical_regression', covariance='full'),
                ),
                process=dict(
                    learner=dict(name='gaussian_process_prior', mean='zero', by_task=False),
                ),
                process_linear_mean=dict(
                    learner=dict(name='gaussian_process_prior', mean='linear', by_task=False),
                ),
            ),
            sort_keys=False,
        )
        config.baselines = ('independent', 'pooled')

        # Study
        config.seeds = tuple(range(1000, 1010))
        if options.smoke:
            base.smoke_many_tasks(config)
    return config
