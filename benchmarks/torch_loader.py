"""Passes of a PyTorch DataLoader with Pillow over a folder, for `benchmarks.input`."""

import torch
from torch.utils.data import DataLoader, Dataset

from benchmarks.passes import load, serve


class Pictures(Dataset):
    """Pictures as bytes, decoded one at a time."""

    def __init__(self, files, size):
        self.files, self.size = files, size

    def __len__(self):
        return len(self.files)

    def __getitem__(self, row):
        return torch.from_numpy(load(self.files[row], self.size))


def batches(files, size, workers, batch):
    """Returns a call that yields the batches of one pass; the workers stay between passes."""
    loader = DataLoader(Pictures(files, size), batch, num_workers=workers, persistent_workers=True)
    return lambda: (pictures.numpy() for pictures in loader)


if __name__ == '__main__':
    serve(batches)
