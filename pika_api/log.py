"""The pack's one logger.

A line begins with what it is about: ``task <id>: ``, ``request #<number>: `` where there is no id
yet, and so on. DEBUG is what goes as it should, or what the user sees anyway; INFO is what costs
money, and trouble that is dealt with; WARNING is what the user should look at. ComfyUI shows INFO,
so that a run is one line there.
"""

from __future__ import annotations

import logging
from typing import Final


class _OneLine(logging.Filter):
    """Keeps a line one line: the gateway's words are in some, with whatever breaks it likes."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = " ".join(record.getMessage().split()), None
        return True


log: Final = logging.getLogger("pika")
log.addFilter(_OneLine())
