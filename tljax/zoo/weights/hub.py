"""Files of weights on the Hugging Face hub, by name: 'hub:timm/vit_small_patch16_224.dino'.

A file that is in the cache, `$TLJAX_CACHE/hub`, is taken from there without a question to the hub.
A download is checked against the hub's SHA-256.
"""

import hashlib
import re
from pathlib import Path

from tljax.core import UserError
from tljax.files.cache import cache_dir
from tljax.files.console import say

NAME = re.compile(r'hub:(?P<repository>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?')
FILE = 'model.safetensors'
SHA256 = re.compile(r'[0-9a-f]{64}')


def fetch(name: str, file: str = FILE) -> Path:
    """Returns the path of a file of a repository, and downloads an absent one.

    Args:
        name: 'hub:OWNER/NAME', or 'hub:OWNER/NAME@REVISION' for a branch, a tag or a commit; the
            default is main, as the cache has it, or else as the hub has it.
        file: name of the file.

    Raises:
        UserError: no such name; the library huggingface_hub is not installed; the file is neither
            in the cache nor on the hub, or the hub cannot be reached; the checksum is wrong.

    >>> fetch('hub:vit')
    Traceback (most recent call last):
    tljax.core.UserError: 'hub:vit' names no repository: write hub:OWNER/NAME or ...
    """
    match = NAME.fullmatch(name)
    if not match:
        raise UserError(
            f'{name!r} names no repository: write hub:OWNER/NAME or hub:OWNER/NAME@REVISION'
        )
    try:
        # imported late, since it is an extra
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import LocalEntryNotFoundError
    except ImportError:
        raise UserError(
            f"{name} needs the library huggingface_hub: pip install 'tljax[hub]', or name a file"
        ) from None
    repository, revision = match['repository'], match['revision'] or 'main'
    place = {'revision': revision, 'cache_dir': cache_dir() / 'hub'}
    try:
        return Path(hf_hub_download(repository, file, local_files_only=True, **place))
    except LocalEntryNotFoundError:
        pass
    try:
        path = Path(hf_hub_download(repository, file, **place))
    except Exception as error:  # the client and what it is made of raise errors of many types
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f'{name}: {file} is not in {place["cache_dir"]} and cannot be fetched ({line[:120]}): '
            'download it elsewhere and name the file'
        ) from error
    _check(path, name)
    say(f'{name}: {path.parent.name} in {place["cache_dir"]}; write @{path.parent.name} to keep it')
    return path


def _check(path: Path, name: str) -> None:
    """Compares a download with the hub's SHA-256, which is the name of its file in the cache."""
    blob = path.resolve()
    if not SHA256.fullmatch(blob.name):
        return
    with blob.open('rb') as file:
        digest = hashlib.file_digest(file, 'sha256').hexdigest()
    if digest != blob.name:
        blob.unlink()
        path.unlink(missing_ok=True)
        raise UserError(
            f'{name} has the SHA-256 {digest} in place of {blob.name}: fetch it again later'
        )
