"""Arrays and names from MATLAB's files, of version 5 to 7, and of version 7.3, which is HDF5.

MATLAB stores arrays by columns. In a file of version 7.3 they therefore appear transposed, and are
turned back here. A list of names is a cell array there, or a matrix of characters, whose rows are
padded with blanks. Names are stripped.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyfive
from scipy.io import loadmat
from scipy.io.matlab import MatlabFunction, MatlabObject, MatlabOpaque

from tljax.core import UserError, abbreviated
from tljax.data.reading import UNREADABLE, reading

HDF5 = b'\x89HDF\r\n\x1a\n'
USER_BLOCK = 512  # bytes of MATLAB's own header before HDF5 begins
BASE_ADDRESS = {0: 24, 1: 28, 2: 12}  # its place in a superblock of each version; 3 is as 2
CONTIGUOUS = 1  # layout of an array
NUMBERS = 'biuf'


def matlab(path: str | Path, names: Sequence[str], remedy: str) -> dict[str, np.ndarray]:
    """Reads some variables of a MATLAB file. All others are passed over unread.

    Args:
        path: path of the file; `~` is expanded.
        names: names of the variables.
        remedy: what the user can do if the file is missing or damaged, for errors.

    Returns:
        {variable: numbers as MATLAB shows them, or an array of names (n,)}.

    Raises:
        UserError: the file is missing or damaged, lacks a variable, or a variable holds anything
            but numbers or names, such as objects, functions or structures.

    >>> import tempfile
    >>> from scipy.io import savemat
    >>> names = np.array(['zebra  ', 'horse'], object)
    >>> savemat(path := tempfile.mktemp('.mat'), {'att': np.eye(2), 'names': names})
    >>> matlab(path, ['names'], 'give a file')['names'].tolist()
    ['zebra', 'horse']
    """
    with reading(path, remedy) as file:
        with open(file, 'rb') as opened:
            start = opened.read(USER_BLOCK + len(HDF5))
        is_hdf5 = HDF5 in (start[: len(HDF5)], start[USER_BLOCK:])
        try:
            content = _hdf5(file, names) if is_hdf5 else loadmat(file, variable_names=names)
        except (*UNREADABLE, UserError):
            raise
        except Exception as error:  # damage may raise any error, by its place in the file
            raise ValueError(str(error) or type(error).__name__) from error
    missing = [name for name in names if name not in content]
    if missing:
        raise UserError(f'{file} has no variable {abbreviated(missing)}: {remedy}')
    return {name: _plain(content[name], f'{file}: {name}') for name in names}


def _plain(value: Any, what: str) -> np.ndarray:
    """A variable as numbers or names, or an error where it is neither."""
    is_object = isinstance(value, MatlabObject | MatlabOpaque | MatlabFunction)
    if not is_object and isinstance(value, np.ndarray):
        if value.dtype.kind in NUMBERS:
            return value
        if value.dtype.kind == 'U':
            return np.array([str(name).strip() for name in value.ravel()])
        if value.dtype == object:
            texts = [np.asarray(cell).ravel() for cell in value.ravel()]
            if all(text.size == 1 and isinstance(text[0], str) for text in texts):
                return np.array([text[0].strip() for text in texts])
    raise UserError(
        f'{what} holds objects of MATLAB, and not numbers or names: save it as a matrix or a cell '
        'array of names'
    )


def _hdf5(path: Path, names: Sequence[str]) -> dict[str, Any]:
    """Variables of a file of version 7.3.

    pyfive 1.3.0 reads contiguous arrays behind MATLAB's header from the wrong place. It is given
    the file without the header, and with a base address of 0 in place of the header's length.
    """
    content = bytearray(path.read_bytes())
    if not content.startswith(HDF5):
        del content[:USER_BLOCK]
        place = BASE_ADDRESS[min(content[len(HDF5)], 2)]
        content[place : place + 8] = bytes(8)
    with pyfive.File(io.BytesIO(content)) as file:
        opened: Any = file  # pyfive's annotations allow None for a member
        return {name: _variable(opened, opened[name], content) for name in names if name in opened}


def _variable(file: Any, dataset: Any, content: bytearray) -> Any:
    """A variable of a file of version 7.3: numbers, texts or an array of cells; None for others."""
    kind = dataset.attrs.get('MATLAB_class', b'')
    kind = kind.decode() if isinstance(kind, bytes) else str(kind)
    if not isinstance(dataset, pyfive.Dataset):
        return None
    if kind == 'cell':
        cells = [_variable(file, cell, content) for cell in _cells(file, dataset, content)]
        found = np.empty(len(cells), object)
        found[:] = cells
        return found
    if dataset.dtype.kind not in NUMBERS or not dataset.shape:
        return None
    values: Any = dataset[:]
    values = values.T
    if kind == 'char':  # a row of numbers of characters for each text
        return np.array([''.join(map(chr, row)) for row in np.atleast_2d(values)])
    return values


def _cells(file: Any, dataset: Any, content: bytearray) -> list[Any]:
    """The variables that a cell array refers to. They lie in one group of MATLAB.

    pyfive 1.3.0 reads no references of a contiguous array with two axes, and finds none in groups
    of the old style. Both are done here: a reference is an address of 8 bytes.
    """
    group = file['#refs#']
    name_of = {address: name for name, address in group._links.items()}
    if dataset.id.layout_class == CONTIGUOUS:
        count, start = int(np.prod(dataset.shape)), dataset.id.data_offset
        addresses = np.frombuffer(content, '<u8', count, start).tolist()
    else:
        addresses = [int(cell.address_of_reference) for cell in np.ravel(dataset[:])]
    return [group[name_of[address]] for address in addresses]
