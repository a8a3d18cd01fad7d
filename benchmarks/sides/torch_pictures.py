"""Passes of a PyTorch DataLoader with Pillow over a folder of pictures."""

from pathlib import Path

import torch
from torch.utils.data import DataLoader, Dataset

from benchmarks.sides.pictures import load, total
from benchmarks.sides.protocol import Calls, serve


class Pictures(Dataset):
    """Pictures as bytes, decoded one at a time.

    Args:
        files: paths of the pictures.
        size: side of the decoded pictures, pixels.
    """

    def __init__(self, files: list[str], size: int) -> None:
        self.files, self.size = files, size

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> torch.Tensor:
        return torch.from_numpy(load(self.files[row], self.size))


def make(listing: str, size: int, workers: int, batch: int) -> tuple[str, Calls]:
    """Prepares the call 'pass', which decodes all pictures in processes and returns their sum.

    The processes stay between two passes.

    Args:
        listing: file with the path of a picture in each line.
        size: side of the decoded pictures, pixels.
        workers: number of processes.
        batch: number of pictures in a batch.
    """
    files = Path(listing).read_text().splitlines()
    loader = DataLoader(Pictures(files, size), batch, num_workers=workers, persistent_workers=True)
    return f'PyTorch {torch.__version__}', {
        'pass': lambda: total(pictures.numpy() for pictures in loader),
    }


if __name__ == '__main__':
    serve(make)
