"""Runs that older code has made are read as before."""

import numpy as np
import pytest

from tljax.core import UserError
from tljax.engine.checkpoint import claim, load_final, save_final

NET = {'name': 'by_domain', 'of': {'name': 'lenet', 'size': 28}}
OLD_NET = {'name': 'by_domain', 'of': {'name': 'lenet', 'size': 28, 'form': 'plain'}}


def test_a_run_that_named_the_form_of_its_convolutions_is_read(tmp_path):
    claim(tmp_path, {'net': OLD_NET, 'steps': 1})
    claim(tmp_path, {'net': NET, 'steps': 1})
    save_final(tmp_path, {'w': np.ones(1)}, {}, {'config': {'net': OLD_NET, 'steps': 1}})
    assert load_final(tmp_path)[2]['config'] == {'net': NET, 'steps': 1}
    with pytest.raises(UserError, match='belongs to another config .net.of.size: 28 there'):
        claim(tmp_path, {'net': {'name': 'by_domain', 'of': {'name': 'lenet', 'size': 32}}})
