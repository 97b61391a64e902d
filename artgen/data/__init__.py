"""Files -> uint8 batches: decoding, folders, the cache, the order of showing.

Pictures at rest are uint8 RGB, (N, H, W, 3); in networks float in [-1, 1], (N, 3, H, W). `images` is the one door for
files, `pixels` for that change of form; of these modules only `pixels` and `feed` import torch.
"""

from artgen.data.dataset import Dataset, Neighbour, Pictures, Progress, Repainting, StylePicture, Workshop

__all__ = ["Dataset", "Neighbour", "Pictures", "Progress", "Repainting", "StylePicture", "Workshop"]
