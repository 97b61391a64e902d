"""How a film moves: optical flow between frames, and where it can be relied upon.

The flow is DIS (Kroeger et al. 2016, "Fast optical flow using dense inverse search", arXiv 1603.03590), of OpenCV: it
has no weights to download, and the same frames give the same flow on any number of threads. Which pixels are trusted is
decided as in Ruder et al. 2016, "Artistic style transfer for videos" (arXiv 1604.08610), section 4.2, after Sundaram
et al. 2010.

A flow is (H, W, 2) in pixels: right, down.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import grid_sample

from artgen.data.pixels import to_uint8

_SMALLEST_PX = 16
"""DIS needs a side of 12 px, and finds no numbers where the other one is long."""


def flow(earlier: NDArray[np.uint8], later: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Where each pixel of a frame goes.

    Args:
        earlier: A frame, (H, W, 3) RGB.
        later: Another one of the same size.

    Returns:
        (H, W, 2): what is at (x, y) in the earlier frame is at (x, y) + flow[y, x] in the later one.
    """
    height, width = earlier.shape[:2]
    below, beside = max(0, _SMALLEST_PX - height), max(0, _SMALLEST_PX - width)
    greys = (
        cv2.copyMakeBorder(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), 0, below, 0, beside, cv2.BORDER_REPLICATE)
        for frame in (earlier, later)
    )
    dis: Any = cv2  # its stubs leave this out
    found = dis.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(*greys, None)
    return np.asarray(found[:height, :width], np.float32)


@torch.no_grad()
def motion_between(contents: Tensor, *, loops: bool = False) -> tuple[Tensor, Tensor]:
    """How each frame of a film comes to look like the next one.

    Args:
        contents: Frames in their order, (T, 3, H, W) in [-1, 1].
        loops: The first frame follows the last.

    Returns:
        For each of the M frames that another one follows, M being T - 1, or T in a loop: the grid (M, H, W, 2) by which
        `warp` moves it to where the next one is, and where that can be trusted, (M, 1, H, W), 1 or 0.
    """
    frames = list(to_uint8(contents).permute(0, 2, 3, 1).contiguous().cpu().numpy())
    following = [*frames[1:], frames[0]] if loops else frames[1:]
    height, width = contents.shape[2:]
    grids, trusted = [contents.new_empty(0, height, width, 2)], [contents.new_empty(0, 1, height, width)]
    for earlier, later in zip(frames, following, strict=False):
        forward, backward = (torch.from_numpy(flow(*pair))[None] for pair in ((earlier, later), (later, earlier)))
        grid = grid_of(backward)
        grids.append(grid.to(contents))
        trusted.append(_trusted(forward, backward, grid).to(contents))
    return torch.cat(grids), torch.cat(trusted)


def grid_of(backward: Tensor) -> Tensor:
    """Flow from the next frame back, (M, H, W, 2) in pixels -> the grid that takes each of its pixels from there.

    It is in the units of `grid_sample`: -1 and 1 are the outer edges of the frame.
    """
    height, width = backward.shape[1:3]
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    at = torch.stack([column, row], dim=-1).to(backward) + backward + 0.5
    return at * 2 / at.new_tensor([width, height]) - 1


def warp(pictures: Tensor, grid: Tensor) -> Tensor:
    """Move pictures (M, C, H, W) by their grids (M, H, W, 2): bilinear, the border is repeated; differentiable."""
    return grid_sample(pictures, grid.to(pictures), "bilinear", "border", align_corners=False)


def _trusted(forward: Tensor, backward: Tensor, grid: Tensor) -> Tensor:
    """Where the next frame shows what this one showed, (M, 1, H, W): 1 there, 0 elsewhere.

    Args:
        forward: w, the flow from this frame to the next, (M, H, W, 2).
        backward: w^, the flow from the next one back.
        grid: That of `backward`.
    """
    there = warp(forward.permute(0, 3, 1, 2), grid).permute(0, 2, 3, 1)  # w~, which is w at where w^ leads
    there_squared, back_squared = there.square().sum(-1), backward.square().sum(-1)
    leads_home = (there + backward).square().sum(-1) < 0.01 * (there_squared + back_squared) + 0.5
    # Where motion has an edge the flow is blurred.
    down, right = backward.diff(dim=1, append=backward[:, -1:]), backward.diff(dim=2, append=backward[:, :, -1:])
    no_edge = (down.square() + right.square()).sum(-1) <= 0.01 * back_squared + 0.002
    inside = (grid.abs() <= 1).all(-1)
    return (leads_home & no_edge & inside).unsqueeze(1)
