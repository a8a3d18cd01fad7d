"""Settings of the command line: keys of the defaults, keywords of the functions of a config."""

import pytest
from commands import call, error

from experiments import config_file
from tljax.configuration import call_each, phases, plain
from tljax.core import UserError
from tljax.keywords import is_of_type, parse_value

FINETUNE, DIGITS = 'configs/finetune.py', 'configs/digits.py'


def laid(given, *arguments):
    """The config of a file, as a plain dict, with the settings of a command line laid over it."""
    _, _, settings = config_file.split(['train', *arguments])
    config = config_file.load(given)
    config_file.apply_settings(config, given, settings)
    command = 'compare' if 'compare' in config.commands else config.commands[0]
    config_file.refuse_unread(config, settings, command)
    return plain(config)


def at(config, setting):
    for key in setting.split('.'):
        config = config[key]
    return config


@pytest.mark.parametrize(
    'given, setting, text, expected',
    [
        (FINETUNE, 'data.channels', '1', 1),
        (FINETUNE, 'data.validation', '2e-1', 0.2),
        (FINETUNE, 'data.resize', 'None', None),  # a number in the config
        (FINETUNE, 'data.path', '12', '12'),  # a folder of that name
        (FINETUNE, 'data.task', 'classes', 'classes'),
        (FINETUNE, 'net.dropout', '1', 1.0),
        (FINETUNE, 'phases.all.batch', '8', 8),
        (FINETUNE, 'phases.all.per_class', '5', 5),
        (FINETUNE, 'phases.head.data.size', '64', 64),
        (FINETUNE, 'phases.all.augment', "('flip',)", ['flip']),
        (
            FINETUNE,
            'phases.all.augment',
            "({'name': 'crop', 'padding': 2},)",
            [{'name': 'crop', 'padding': 2}],
        ),
        (FINETUNE, 'study.strategies.recipe.optim.lr', '1e-3', 0.001),
        (FINETUNE, 'groups.backbone.scale', '.1', 0.1),
        (DIGITS, 'net.width', '8', 8),  # a list in the config
        (DIGITS, 'optim.b1', '.5', 0.5),
        (DIGITS, 'seeds', '3', [3]),
        (DIGITS, 'seeds', '(4, 5)', [4, 5]),
        (DIGITS, 'study.budgets', '(1, None)', [1, None]),
        (DIGITS, 'init.path', '', ''),
        ('configs/matching.py', 'data.test.ways', '3', 3),
        ('configs/matching.py', 'data.of.resolution', '8', 8),
        ('configs/maml.py', 'method.method.name', 'finetune', 'finetune'),
        ('configs/adapt.py:data=photo-sketch', 'data.of.source.resize', '128', 128),
        ('configs/adapt.py:data=photo-sketch', 'data.net.dropout', '0.', 0.0),
        ('configs/rank.py', 'study.sources.letters.data.part', 'digits', 'digits'),
        ('configs/rank.py', 'study.targets.digits.size', '8', 8),
        ('configs/soup.py', 'study.members.fast_plain.groups.backbone.scale', '.2', 0.2),
        ('configs/soup.py', 'label_seeds', '(4, 4)', [4, 4]),
        (DIGITS, 'withdrawn', 'gone.txt', 'gone.txt'),
        (DIGITS, 'withdrawn', "('a.png', 'b.png')", ['a.png', 'b.png']),
        ('configs/office_caltech.py', 'methods.tca.map.kernel', 'rbf', 'rbf'),
    ],
)
def test_what_a_config_does_not_say_can_be_set(given, setting, text, expected):
    found = at(laid(given, f'--config.{setting}={text}'), setting)
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(
    'given, setting, said',
    [
        (
            FINETUNE,
            'data.chanels=1',
            'config.data.chanels is no setting of configs/finetune.py: did you mean channels? '
            '(folder takes path, size, channels',
        ),
        (FINETUNE, 'data.size=big', "--config.data.size=big: 'big' is not a whole number"),
        (FINETUNE, 'data.channels=1.5', "'1.5' is not a whole number"),
        (FINETUNE, 'data.resize=much', "'much' is not a whole number or None"),
        (FINETUNE, 'net.alpha=True', "'True' is not a number"),
        (
            FINETUNE,
            'data.path.x=8',
            "config.data.path is 'pictures' in configs/finetune.py, which has",
        ),
        (FINETUNE, 'phases.all.batch.x=8', 'config.phases.all.batch is 32 in configs/finetune.py'),
        (
            FINETUNE,
            'phases.al.batch=8',
            'config.phases.al is no setting of configs/finetune.py: did you mean all?',
        ),
        (FINETUNE, 'phases.all.bach=8', 'did you mean batch?'),
        (FINETUNE, 'study.strategies.recip.optim.lr=1', 'did you mean recipe?'),
        (FINETUNE, 'groups.backbone.scal=1', 'did you mean scale? (adam takes'),
        (FINETUNE, 'net.name=resnet5', "net.name='resnet5' is unknown: did you mean resnet50?"),
        (DIGITS, 'net.width=(1,a)', "'(1,a)' is not a whole number or a list"),
        (DIGITS, 'optim.momentum=.9', 'config.optim.momentum is no setting'),  # of SGD, not of Adam
        ('configs/matching.py', 'data.of.sise=8', 'did you mean size? (glyphs takes'),
    ],
)
def test_what_is_no_setting_or_no_value_of_it_is_refused_in_words(given, setting, said):
    with pytest.raises(UserError) as refused:
        laid(given, f'--config.{setting}')
    assert said in str(refused.value)


def test_another_name_brings_its_own_keywords(capsys):
    found = laid(
        FINETUNE,
        '--config.net.width=(4,8)',
        '--config.net.name=conv4',
        '--config.net.size=224',
        '--config.optim.name=sgd',
        '--config.optim.momentum=.9',
    )
    assert found['net'] == {'name': 'conv4', 'width': [4, 8], 'size': 224}
    assert found['optim']['momentum'] == 0.9
    said = capsys.readouterr().err
    assert said == 'config.net.alpha=0.25 is removed: conv4 does not take it\n'
    with pytest.raises(UserError, match='config.net.alpha is no setting'):
        laid(FINETUNE, '--config.net.name=resnet50', '--config.net.alpha=.5')
    found = laid(
        FINETUNE,
        '--config.data.name=resampled',
        '--config.data.of.size=8',
        '--config.data.size=12',
        '--config.data.of.name=digits',
    )
    assert found['data'] == {'name': 'resampled', 'size': 12, 'of': {'name': 'digits', 'size': 8}}


def test_what_follows_another_setting_stops_following_when_it_is_set():
    given = 'configs/adapt.py:train=dann'
    assert at(laid(given, '--config.steps=7'), 'phases.adapt.method.ramp') == 7
    found = laid(given, '--config.phases.adapt.method.ramp=5')
    assert at(found, 'phases.adapt.method.ramp') == 5 and found['steps'] == 1000


def test_a_command_line_is_taken_apart():
    rest, given, settings = config_file.split(
        [
            'train',
            '--config',
            'configs/digits.py:smoke',
            '--config.per_class',
            '3',
            '--json',
            '--noconfig.cache',
            '--config.shuffled',
            '--workdir=a',
            '-config.steps=-1',
        ]
    )
    assert rest == ['train', '--json', '--workdir=a'] and given == 'configs/digits.py:smoke'
    assert settings == [
        (['per_class'], '3'),
        (['cache'], 'False'),
        (['shuffled'], None),
        (['steps'], '-1'),
    ]
    found = laid(DIGITS, '--noconfig.cache', '--config.shuffled')
    assert found['cache'] is False and found['shuffled'] is True
    with pytest.raises(UserError, match='--config.steps: a value is missing'):
        laid(DIGITS, '--config.steps')


def test_types_are_those_of_annotations():
    assert parse_value('3', float) == 3.0 and isinstance(parse_value('3', float), float)
    assert parse_value('None', int | None) is None and parse_value('None', str) == 'None'
    assert (
        not is_of_type(True, int)
        and not is_of_type(True, float)
        and is_of_type({'a': 1}, dict | None)
    )
    with pytest.raises(UserError, match='is neither true nor false'):
        parse_value('maybe', bool)


def test_a_keyword_of_the_command_line_reaches_its_function(tmp_path):
    done = call(
        'train',
        '--config=configs/pacs.py:smoke',
        '--config.data.part=digits',
        '--config.steps=0',
        '--config.seeds=0',
        f'--workdir={tmp_path}/a',
    )
    assert done.code == 0 and 'classes: 0, 1, 2, 3' in done.err, done.err
    line = error(call('train', '--config=configs/pacs.py:smoke', '--config.net.norm=bach'))
    assert "norm='bach'" in line


SMOKE = 'configs/digits.py:smoke'


@pytest.mark.parametrize(
    'setting, said',
    [
        ('seeds=99999999999999999999', 'give numbers of at most 2147483647'),
        ('batch=99999999999999999999999', 'give at most 1048576'),
        ('chunk=-1', 'config.chunk=-1: give a'),
        ("optim={'name':'sgd'}", 'says no name or no rate: give optim.name and optim.lr'),
        ('optim.lr=-1', 'optim.lr=-1.0: give a number, 0 or more'),
        ('optim.lr=1e400', 'optim.lr=inf'),
        ('optim.clip=-1', 'optim.clip=-1.0'),
        ('optim.weight_decay=-1', 'optim.weight_decay=-1.0'),
        ("groups={'backbone':3}", 'groups.backbone=3 is no dict'),
        ('groups.backbone.scale=-2', 'groups.backbone.scale=-2.0: give a number'),
        ('init.rules=abc', "'abc' is no pair of a pattern and a text"),
        ('init.rules=None', 'is no pair'),
        ("init.rules=(('(',None),)", "'(' is no pattern (missing )"),
        ('init.rules=((1,2),)', 'no pair'),
        ("augment=({'padding':2},)", "augment={'padding': 2} names no function: give augment.name"),
        ('augment=(3,)', 'augment=3 names no function'),
        ("net={'width':4}", 'give net.name'),
        ('net.width=(4,0)', 'each 1 or more'),
        ('net.width=()', 'channels of a block or more'),
        ('data.size=0', 'data.size=0: give a whole number, 1 or more'),
        ('data.size=-4', 'data.size=-4'),
        ("phases={'a':3}", 'phases.a=3 is no dict: set its keys one by one'),
        ("study.strategies={'a':3}", 'study.strategies.a=3 is no dict'),
        ('study.budgets=(1,1)', 'none twice'),
        ('commands=foo', 'leave it out'),
        ('init.path=None', 'None is no name: write nothing after ='),
        ('penalty.name=None', 'None is no name'),
        ('net=None', 'is not a dict'),
        ('partition=None', 'is not a dict'),
        ('groups=None', 'is not a dict'),
        ('steps=None', 'whole'),
    ],
)
def test_what_no_run_can_go_by_is_refused_in_a_line(setting, said, tmp_path):
    name = 'compare' if setting.startswith('study') else 'train'
    done = call(name, f'--config={SMOKE}', f'--config.{setting}', f'--workdir={tmp_path}/run')
    assert said in error(done) and not (tmp_path / 'run').exists()


def test_a_seed_of_the_data_and_a_path_are_looked_at(tmp_path):
    for setting, said in (
        ('data.seed=-1', 'data.seed=-1: give a whole number from 0 to 2147483647'),
        ('data.path=None', 'None is no name'),
        ('data.pixels=0', 'data.pixels=0: give a whole number, 1 or more'),
    ):
        assert said in error(
            call(
                'train', f'--config={FINETUNE}', f'--config.{setting}', f'--workdir={tmp_path}/run'
            )
        )


@pytest.mark.parametrize('text', ['None', 'none', '()', '(None,)'])
def test_no_augmentation_has_several_names(text):
    found = laid(f'{FINETUNE}:smoke', f'--config.phases.all.augment={text}')
    assert call_each('tljax.nn.augment', dict(phases(found))['all']['augment'], 'augment') == []
    assert call_each('tljax.nn.augment', None, 'augment') == []
    assert len(call_each('tljax.nn.augment', 'flip', 'augment')) == 1


def test_a_folder_of_a_run_is_no_file(tmp_path):
    (tmp_path / 'file').write_text('')
    (tmp_path / 'a.png').write_bytes(b'')
    weights = ['--model=mobilenet', '--weights=imagenet']
    for name, flags in (
        ('train', [f'--config={SMOKE}']),
        ('predict', [tmp_path / 'a.png']),
        ('convert', weights),
    ):
        line = error(call(name, *flags, f'--workdir={tmp_path}/file'))
        assert f'{tmp_path}/file is a file, and a run is a folder' in line
    line = error(call('train', f'--config={SMOKE}', f'--workdir={tmp_path}/file/run'))
    assert f'lies in {tmp_path}/file, which is a file, and a run is a folder' in line
