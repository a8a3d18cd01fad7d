"""A graph of one's own: a table of edges and a table of nodes, as CSV."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tljax.core import Dataset, UserError, abbreviated, nearest_name
from tljax.data.graph_nodes import held_out, labelled_nodes
from tljax.graphs import Graph, make_graph


def nodes(
    edges: str | Path,
    table: str | Path,
    label: str = 'label',
    hops: int | None = None,
    fanouts: Sequence[int] = (),
    draws: int = 1,
    weights: str = 'gcn',
    whole: bool = False,
    directed: bool = False,
    validation: float = 0.2,
    test: float = 0.2,
    seed: int = 0,
) -> dict[str, Dataset]:
    """Reads a graph whose nodes are examples.

    Args:
        edges: CSV with a header and two columns, the names of the two nodes of an edge.
        table: CSV with a header. Its first column names the node, the column `label` is its class,
            empty for none, and all other columns are numbers.
        label: name of the column of classes.
        hops: as `graph_nodes.labelled_nodes` takes it; 2 if no other way of inputs is given.
        fanouts: as `graph_nodes.labelled_nodes` takes it.
        draws: as `graph_nodes.labelled_nodes` takes it.
        weights: as `graph_nodes.labelled_nodes` takes it.
        whole: as `graph_nodes.labelled_nodes` takes it.
        directed: whether only the first node of an edge hears the second.
        validation: share of the labelled nodes.
        test: share of the labelled nodes.
        seed: of the cut.

    Splits: nodes are drawn at random; all nodes and edges stay in the graph of every split.

    Returns:
        {'train', 'validation', 'test'}: Datasets; without any label 'train' alone.

    Raises:
        UserError: a file is missing or has no such columns, a value is no number, a node is named
            twice, or an edge names a node that is not in the table.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / 'edges.csv').write_text('from,to\\na,b\\nb,c\\n')
    >>> _ = (folder / 'nodes.csv').write_text('node,age,label\\na,1,old\\nb,3,new\\nc,5,\\n')
    >>> splits = nodes(folder / 'edges.csv', folder / 'nodes.csv', hops=0, test=0.5, validation=0)
    >>> splits['train'].size, splits['train'].classes
    (1, ('new', 'old'))
    """
    graph = read_graph(edges, table, label, directed)
    if hops is None and not fanouts and not whole:
        hops = 2
    dataset = labelled_nodes(graph, hops, fanouts, draws, weights, seed, whole)
    if dataset.task.kind == 'unlabelled':
        return {'train': dataset}
    count = dataset.size // (draws if fanouts else 1)
    if not 0 <= validation < 1 or not 0 <= test < 1 or validation + test >= 1:
        raise UserError(f'validation={validation}, test={test}: give shares that leave some nodes')
    return held_out(dataset, count, {'validation': validation, 'test': test}, seed)


def read_graph(
    edges: str | Path, table: str | Path, label: str = 'label', directed: bool = False
) -> Graph:
    """Reads a graph from two CSV files.

    Args:
        edges: as `nodes` takes it.
        table: as `nodes` takes it.
        label: as `nodes` takes it.
        directed: as `nodes` takes it.

    Raises:
        UserError: as `nodes`.
    """
    header, rows = _rows(table)
    if label not in header[1:]:
        raise UserError(f'{table} has no column {label!r}: {nearest_name(label, header[1:])}')
    place = header.index(label)
    names = [row[0] for row in rows]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f'{table} names the node {twice!r} twice: give each node one row')
    texts = [row[place].strip() for row in rows]
    classes = tuple(sorted({text for text in texts if text}))
    number = {text: i for i, text in enumerate(classes)} | {'': -1}
    columns = [i for i in range(1, len(header)) if i != place]
    if not columns:
        raise UserError(
            f'{table} has no column of numbers: give nodes inputs, such as their degree'
        )
    values = [[_number(row[i], header[i], table) for i in columns] for row in rows]
    node = {name: i for i, name in enumerate(names)}
    pairs = []
    _, lines = _rows(edges)
    for line in lines:
        for name in line[:2]:
            if name not in node:
                raise UserError(f'{edges}: the node {name!r} is not in {table}: add its row')
        pairs.append((node[line[0]], node[line[1]]))
    return make_graph(
        np.array(pairs, int).reshape(-1, 2),
        np.array(values, np.float32),
        np.array([number[text] for text in texts]),
        classes,
        directed,
    )


def _rows(path: str | Path) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of a CSV file, all as long as the header."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise UserError(f'{path} does not exist: give a CSV file')
    try:
        with path.open(encoding='utf-8-sig', newline='') as file:
            rows = [row for row in csv.reader(file) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f'{path} is no CSV in UTF-8 ({error})') from None
    if len(rows) < 1 or len(rows[0]) < 2:
        raise UserError(f'{path} has no header of two columns or more')
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(rows[0]):
            raise UserError(
                f'{path}, row {number}: {len(row)} values under the {len(rows[0])} columns '
                f'{abbreviated(rows[0], 4)}'
            )
    return rows[0], [[value.strip() for value in row] for row in rows[1:]]


def _number(text: str, column: str, path: str | Path) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f'{path}: {column}={text!r} is no number: fill it') from None
