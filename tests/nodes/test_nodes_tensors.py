"""ComfyUI hands over torch tensors; `pika_api` knows numpy alone, and takes what looks like it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from pika_api.media.images import to_rgb8


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_a_tensor_gives_what_its_array_gives(kind: Any) -> None:
    """Even one that is not contiguous."""
    values = (np.arange(60).reshape(1, 4, 5, 3) * 4 / 255).astype(kind)
    tensor = torch.from_numpy(values).permute(0, 2, 1, 3)
    assert (to_rgb8(tensor) == to_rgb8(values).transpose(1, 0, 2)).all()
