"""Folders of runs, before anything is written there."""

from pathlib import Path

from tljax.core import UserError


def refuse_file(workdir: str | Path) -> None:
    """Refuses a file where the folder of a run is to be.

    Args:
        workdir: what is to be the folder.

    Raises:
        UserError: for a file, and for a folder in a file.

    >>> refuse_file(__file__)
    Traceback (most recent call last):
    tljax.core.UserError: --workdir=... is a file, and a run is a folder: take another --workdir
    """
    place = Path(workdir).expanduser()
    if file := next((each for each in (place, *place.parents) if each.is_file()), None):
        where = 'is' if file == place else f'lies in {file}, which is'
        raise UserError(
            f'--workdir={workdir} {where} a file, and a run is a folder: take another --workdir'
        )
