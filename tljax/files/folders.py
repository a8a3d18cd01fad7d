"""A check of a run's folder, made before anything is written there."""

from pathlib import Path

from tljax.core import UserError


def refuse_file(workdir: str | Path) -> None:
    """Raises an error if a file stands where the folder of a run should be.

    Args:
        workdir: path of the run's folder, which need not exist; `~` is expanded.

    Raises:
        UserError: the path or one of its parents is a file.

    >>> refuse_file(__file__)
    Traceback (most recent call last):
    tljax.core.UserError: --workdir=... is a file, and a run is a folder: take another --workdir
    """
    folder = Path(workdir).expanduser()
    file = next((path for path in (folder, *folder.parents) if path.is_file()), None)
    if file is not None:
        where = 'is' if file == folder else f'lies in {file}, which is'
        raise UserError(
            f'--workdir={workdir} {where} a file, and a run is a folder: take another --workdir'
        )
