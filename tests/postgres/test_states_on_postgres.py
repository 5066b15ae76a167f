"""The states and transitions of an entry, in PostgreSQL."""

from __future__ import annotations

import pytest

from journal.test_states import *  # noqa: F403
from journal.test_transitions import *  # noqa: F403

pytestmark = pytest.mark.slow
