"""Configs: their arguments, the settings that they share, and what they leave to the methods."""

from pathlib import Path

import pytest
from commands import call, error

from configs import adapt, finetune, office_caltech, pacs_shallow, reviews
from experiments.config_file import workdir
from tljax.configuration import phases, plain
from tljax.engine import optim
from tljax.keywords import method_names, method_takes
from tljax.zoo import mobilenet


def test_a_pair_of_domains_is_spelt_alike():
    for spelling in ('data=photo-sketch', 'source=photo,target=sketch'):
        data = plain(adapt.get_config(spelling))['data']['of']
        assert (data['source']['domain'], data['target']['domain']) == ('photo', 'sketch')
    data = plain(reviews.get_config('source=kitchen,target=books'))['data']
    assert (data['source']['domain'], data['target']['domain']) == ('kitchen', 'books')
    assert pacs_shallow.get_config('source=photo,target=sketch').tasks == ('photo-sketch',)
    assert office_caltech.get_config('source=amazon,target=dslr').tasks == ('amazon-dslr',)
    assert office_caltech.get_config().tasks == ()


@pytest.mark.parametrize(
    'module, arg, said',
    [
        (adapt, 'source=photo', 'config argument target is missing: write source=A,target=B'),
        (adapt, 'target=photo', 'config argument source is missing'),
        (adapt, 'source=photo,target=photo', 'source and target are both photo'),
        (adapt, 'source=photo,target=usps', 'source=photo,target=usps are no pair of this config'),
        (adapt, 'source=photo,target=sketch,data=mnist-usps', 'differ: give one of them'),
        (
            adapt,
            'source=phto,target=nowhere',
            'config argument source=phto is no domain of this config (did you mean photo?) and no '
            'folder that is there',
        ),
        (
            adapt,
            'source=photo,target=tests',
            'source=photo,target=tests are no pair of this config',
        ),
        (adapt, 'data=moon', 'config argument data=moon is not one of glyphs-digits, mnist-usps'),
        (adapt, 'method=dan+cdam', 'config argument method=cdam is unknown: did you mean cdan?'),
        (adapt, 'train=dannn', 'config argument train=dannn is unknown: did you mean dann?'),
        (pacs_shallow, 'source=photo,target=painting', 'target=painting is not one of photo, art_'),
    ],
)
def test_an_argument_that_does_not_fit_is_refused(module, arg, said):
    with pytest.raises(ValueError) as refused:
        module.get_config(arg)
    assert said in str(refused.value)
    line = error(
        call(
            'shallow' if module is pacs_shallow else 'compare',
            f'--config=configs/{module.__name__.split(".")[1]}.py:{arg}',
        )
    )
    assert said[:60] in line


def test_two_folders_of_ones_own_are_domains(tmp_path):
    for name in ('a/ants', 'b/ants', 'flat'):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / 'flat' / '0.png').write_bytes(b'')
    source = f'source={tmp_path}/a'
    for arg, name in (
        (f'{source},target={tmp_path}/b', 'folder'),
        (f'{source},target={tmp_path}/flat', 'unlabelled'),
        (f'{source},target={tmp_path}/b,unlabelled', 'unlabelled'),
    ):
        config = plain(adapt.get_config(f'{arg},method=shot'))
        of = config['data']['of']
        assert config['data']['weights'] == 'imagenet' and of['source']['name'] == 'folder'
        assert (of['target']['name'], of['target']['size']) == (name, 224)
        assert config['study']['strategies']['shot']['data'] == {'of': {'alone': True}}
    config = plain(adapt.get_config(f'{source},target={tmp_path}/b,train=dann,finetune'))
    assert config['init']['path'] == 'imagenet' and config['data']['target']['size'] == 112
    assert workdir(f'configs/adapt.py:source={tmp_path}/a,target=../b').parent == Path('runs')


def test_a_method_needs_no_entry_in_the_config():
    assert plain(adapt.get_config('method=ddc'))['study']['strategies']['ddc'] == {
        'method': {'name': 'ddc', 'ramp': 1000}
    }
    for name in method_names():  # whatever it takes, the config says no more than its name
        method = plain(adapt.get_config(f'train={name}'))['phases']['adapt']['method']
        assert method['name'] == name and ('ramp' in method) == method_takes(name, 'ramp')
    assert list(plain(adapt.get_config())['study']['strategies']) == [
        'source_only',
        *method_names('adaptation'),
    ]


def test_a_ramp_follows_the_steps_of_the_command_line():
    config = adapt.get_config('method=dann+mcd')
    config.steps = 77
    strategies = plain(config)['study']['strategies']
    assert strategies['dann']['method']['ramp'] == 77 and strategies['mcd']['steps'] == 6 * 77


def test_the_commands_of_a_config_claim_no_workdir():
    for name, settings in phases(plain(adapt.get_config('smoke'))):
        assert 'commands' not in settings and 'study' not in settings, name


def test_gradual_unfreezing_trains_more_and_more_layers():
    fits = phases(plain(finetune.get_config('gradual')))
    names = [name for name, _ in fits]
    assert names == ['head', 'top', 'upper', 'middle', 'all']
    assert [fit['init']['phase'] for _, fit in fits] == ['', *names[:-1]]
    trained = []
    for _, fit in fits[1:]:
        keywords = {key: value for key, value in fit['partition'].items() if key != 'name'}
        trained.append(len(optim.layerwise(mobilenet(alpha=0.25).groups, **keywords).scales))
        assert fit['optim']['schedule'] == 'slanted_triangular'
    assert trained == [1, 4, 8, 14]


@pytest.mark.slow
def test_gradual_unfreezing_runs(tmp_path):
    done = call('train', '--config=configs/finetune.py:gradual,smoke', f'--workdir={tmp_path}')
    assert done.code == 0, done.err[-2000:]
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == [
        '00-head',
        '01-top',
        '02-all',
    ]
