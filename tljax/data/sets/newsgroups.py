"""Posts to newsgroups, as the Twenty Newsgroups are shared: a folder for each group."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from tljax.core import Dataset, UserError, nearest_name
from tljax.data.archives import File, members
from tljax.data.formats.texts import texts
from tljax.data.splits import cut_missing

REMEDY = (
    'give data.path mini_newsgroups, a folder, ZIP or tar archive '
    '(https://archive.ics.uci.edu/dataset/113/twenty+newsgroups)'
)


def newsgroups(
    path: str | Path,
    classes: dict[str, Sequence[str]] | None = None,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
) -> dict[str, Dataset]:
    """Loads posts of newsgroups, such as mini_newsgroups: 100 posts of each of 20 groups.

    Inputs are texts, which `tljax.data.tfidf` turns into numbers. The header of a post, which names
    its group, is left out; quotes and signatures stay. Classes that are made of several groups make
    domains: 'rec' of two groups is a source, and of two others a target.

    Args:
        path: folder, ZIP or tar archive with a folder for each group, at any depth.
        classes: {name of a class: its groups}; None: every group is a class. Classes are numbered
            in alphabetical order.
        validation: share of each class that is cut off for validation.
        test: share of each class that is cut off for the test.
        seed: seed of the cut.

    Returns:
        {'train': Dataset, 'validation': Dataset, 'test': Dataset}, with the posts' names, such as
        'rec.autos/103046'.

    Raises:
        UserError: the path does not exist or holds no posts, or a group is unknown or in two
            classes.

    Source: Lang, Newsweeder: learning to filter netnews, 1995
        (https://doi.org/10.1016/B978-1-55860-377-6.50048-7).

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for group in ('rec.autos', 'sci.space'):
    ...     (root / group).mkdir()
    ...     for i in range(4):
    ...         _ = (root / group / f'{i}').write_text(f'Newsgroups: {group}\\n\\nHello {i}')
    >>> splits = newsgroups(root)
    >>> splits['train'].take(np.array([0]))['input'].item()[:5], splits['train'].classes
    ('Hello', ('rec.autos', 'sci.space'))
    """
    path = Path(path).expanduser()
    posts = _posts(path)
    if classes is None:
        classes = {group: [group] for group in posts}
    groups = [group for groups in classes.values() for group in groups]
    for group in groups:
        if group not in posts:
            raise UserError(f'data.classes: {path} has no {group!r}: {nearest_name(group, posts)}')
        if groups.count(group) > 1:
            raise UserError(f'data.classes names {group!r} twice: give each group one class')
    input, label, names = [], [], []
    for number, name_of_class in enumerate(sorted(classes)):
        for group in classes[name_of_class]:
            for name, file in posts[group].items():
                input.append(_body(file.read().decode('latin-1')))
                label.append(number)
                names.append(f'{group}/{name}')
    everything = texts(input, np.array(label, np.int32), sorted(classes))
    everything = everything._replace(names=np.array(names))
    return cut_missing({'train': everything}, validation, test, seed, path)


def _posts(path: Path) -> Mapping[str, Mapping[str, File]]:
    """{group: {name: file of a post}}, in alphabetical order."""
    listed = members(path) if path.exists() else None
    if listed is None:
        raise UserError(f'{path} is no folder and no archive that is there: {REMEDY}')
    posts: dict[str, dict[str, File]] = {}
    for name, file in sorted(listed[0].items()):
        *_, group, last = ('', *PurePosixPath(name).parts)
        if file and '.' in group:
            posts.setdefault(group, {})[last] = file
    if not posts:
        raise UserError(f'{path} has no folders of newsgroups, such as rec.autos: {REMEDY}')
    return dict(sorted(posts.items()))


def _body(post: str) -> str:
    """The text of a post after its header, which ends at the first empty line."""
    return post.replace('\r\n', '\n').partition('\n\n')[2]
