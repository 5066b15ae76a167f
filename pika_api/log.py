"""The logger of the pack.

A line begins with its subject: ``task <id>: ``, or ``request #<number>: `` while there is no id
yet. DEBUG is for normal operation and for what the user sees anyway. INFO is for what costs money,
and for errors that the pack handles itself. WARNING is for what the user should look at. ComfyUI
shows INFO, so a normal run is one line there.
"""

from __future__ import annotations

import logging
from typing import Final


class _SingleLineFilter(logging.Filter):
    """Joins a message to one line: text from the gateway may contain line breaks."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = " ".join(record.getMessage().split()), None
        return True


log: Final = logging.getLogger("pika")
log.addFilter(_SingleLineFilter())
