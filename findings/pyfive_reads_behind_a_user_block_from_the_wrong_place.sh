#!/usr/bin/env bash
# A guess: pyfive reads every HDF5 file that h5py writes with its default settings. A file may begin
# with a block of the user's own, and MATLAB's files of version 7.3 begin with 512 bytes. Behind such
# a block pyfive reads arrays from the wrong place: contiguous ones have wrong numbers, without an
# error. It also reads no references from arrays with two axes, nor into groups of the old style,
# which h5py writes by default.
#
# Seen with pyfive 1.3.0, h5py 3.16.0 and numpy 2.4.6, Python 3.11; all three arrays hold or mean
# [1, 2, 3]:
#
#     {'contiguous': [0, 0, 0], 'chunked': 'AssertionError', 'cell': 'ValueError'}
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q pyfive==1.3.0 h5py==3.16.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder/a.h5" <<'PYTHON'
import sys

import h5py
import numpy as np
import pyfive

numbers = np.array([1, 2, 3])
with h5py.File(sys.argv[1], 'w', userblock_size=512) as file:
    file['contiguous'] = numbers
    file.create_dataset('chunked', data=numbers, chunks=(3,))
    file['group/member'] = numbers
    file.create_dataset('cell', (1, 1), h5py.ref_dtype)[0, 0] = file['group/member'].ref
found = {}
for name in ('contiguous', 'chunked', 'cell'):
    with pyfive.File(sys.argv[1]) as file:
        try:
            values = file[name][:]
            found[name] = (file[values.ravel()[0]][:] if name == 'cell' else values).tolist()
        except Exception as error:
            found[name] = type(error).__name__
print(found)
assert [1, 2, 3] not in found.values()
PYTHON
