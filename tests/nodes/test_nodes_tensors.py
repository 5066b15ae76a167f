"""ComfyUI passes torch tensors. `pika_api` only knows numpy, and accepts similar objects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pika_api.media.images import to_rgb8


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_tensor_is_converted_like_its_array(kind: Any) -> None:
    """Also a tensor that is not contiguous."""
    values = (np.arange(60).reshape(1, 4, 5, 3) * 4 / 255).astype(kind)
    import torch  # late: each worker collects this file, and the import takes seconds

    tensor = torch.from_numpy(values).permute(0, 2, 1, 3)
    assert (to_rgb8(tensor) == to_rgb8(values).transpose(1, 0, 2)).all()
