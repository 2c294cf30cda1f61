"""Image operations on torch tensors that trace to standard operators on every target: resize, crop, normalise.

Images are (batch, height, width) or (batch, height, width, channels), as the Signature has them; `channels_first` turns
them for convolutions. Resizing is two matrix products with triangle (bilinear) weights that widen when shrinking, the
antialiased form that PIL and torchvision use: constants where the size is fixed, computed from `size` for a canvas.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ...sdk.core.errors import TraceError

__all__ = ["channels_first", "crop", "normalise", "resize", "resize_canvas"]


def resize(image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Resize images of one fixed size with antialiasing.

    Args:
        image: (batch, H, W) or (batch, H, W, channels), any dtype; H and W must be fixed (see `resize_canvas`).
        size: (height, width) of the result.

    Returns:
        float32 of the same layout, unrounded: PIL differs by up to half a grey level because it rounds to uint8.
    """
    height, width = image.shape[1], image.shape[2]
    rows = triangle_weights(torch.tensor([float(height)]), height, size[0])[0]
    columns = triangle_weights(torch.tensor([float(width)]), width, size[1])[0]
    return _apply(image, rows, columns)


def resize_canvas(canvas: torch.Tensor, extent: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Resize images of any size that lie in the top left corner of a canvas; exact, with static shapes.

    Args:
        canvas: (batch, H, W) or (batch, H, W, channels), any dtype; what lies beyond an image is not read.
        extent: (batch, 2) integers, (height, width) of each image: the input `<name>_size`.
        size: (height, width) of the result.

    Returns:
        (batch, height, width[, channels]) float32.
    """
    held = extent.to(torch.float32)
    rows = triangle_weights(held[:, 0], canvas.shape[1], size[0])
    columns = triangle_weights(held[:, 1], canvas.shape[2], size[1])
    return _apply(canvas, rows, columns)


def triangle_weights(length: torch.Tensor, most: int, out: int) -> torch.Tensor:
    """Weights of an antialiased bilinear resize along one axis.

    Args:
        length: (batch,) float, true lengths.
        most: length of the padded axis.
        out: length of the result.

    Returns:
        (batch, out, most) float32; each row sums to 1 and is 0 beyond `length`.
    """
    scale = (length / out).reshape(-1, 1, 1)
    centre = (torch.arange(out, dtype=torch.float32).reshape(1, -1, 1) + 0.5) * scale
    place = torch.arange(most, dtype=torch.float32).reshape(1, 1, -1)
    weights = (1.0 - ((place + 0.5 - centre) / scale.clamp(min=1.0)).abs()).clamp(min=0.0)
    inside = (place < length.reshape(-1, 1, 1)).to(torch.float32)
    weights = weights * inside
    return weights / weights.sum(-1, keepdim=True).clamp(min=1e-12)


def crop(image: torch.Tensor, size: tuple[int, int], at: tuple[int, int] | None = None) -> torch.Tensor:
    """Cut a window of `size` = (height, width) out of images of one fixed size, at (top, left) or in the centre.

    Raises TraceError where the window leaves the image.
    """
    height, width = image.shape[1], image.shape[2]
    top, left = at or ((height - size[0]) // 2, (width - size[1]) // 2)
    if top < 0 or left < 0 or top + size[0] > height or left + size[1] > width:
        raise TraceError("The window leaves the image", got=f"{size} at {(top, left)}", expected=f"within {height} x {width}")
    return image[:, top : top + size[0], left : left + size[1]]


def normalise(image: torch.Tensor, mean: Sequence[float], std: Sequence[float], scale: float = 255.0) -> torch.Tensor:
    """(image / scale - mean) / std per channel, as float32.

    Args:
        image: (batch, H, W, channels) or (batch, H, W), any dtype.
        mean: one number per channel, or one for all.
        std: one number per channel, or one for all.
        scale: value of white.
    """
    shift = torch.tensor(list(mean), dtype=torch.float32)
    spread = torch.tensor(list(std), dtype=torch.float32)
    return (image.to(torch.float32) / scale - shift) / spread


def channels_first(image: torch.Tensor) -> torch.Tensor:
    """(batch, H, W, channels) -> (batch, channels, H, W); a grey image gains its one channel."""
    return image.unsqueeze(1) if image.dim() == 3 else image.permute(0, 3, 1, 2)


def _apply(image: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """rows (.., h, H) and columns (.., w, W) applied to (batch, H, W[, channels])."""
    planes = image.to(torch.float32)
    if planes.dim() == 3:
        return rows @ planes @ columns.transpose(-1, -2)
    planes = planes.permute(0, 3, 1, 2)
    shared = rows.dim() == 2
    rows, columns = (rows, columns) if shared else (rows.unsqueeze(1), columns.unsqueeze(1))
    return (rows @ planes @ columns.transpose(-1, -2)).permute(0, 2, 3, 1)
