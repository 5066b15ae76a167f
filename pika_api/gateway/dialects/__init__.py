"""How gateways of this family really answer: tables, each entry with its source.

The API specification describes one shape. Gateways in front of the same API wrap it, use other
words, or answer with their own errors. The client (submit) and the feed read every answer through
this package, so a new dialect is a new row of a table here.

Sources, read November 2026: the API specification; *feed page*, the public reference page of
``GET /pika/feed/{task id}``; *new-api* (github.com/QuantumNous/new-api) and *one-api*
(github.com/songquanpeng/one-api), the programs that most gateways of this family run, by file or
issue; *Kling*, the error codes that gateways pass on from that provider.
"""

from .feeds import FeedView, Word, read_feed
from .ids import named_ids, new_task_id
from .problems import Meaning, Problem, problem_in

__all__ = [
    "FeedView",
    "Meaning",
    "Problem",
    "Word",
    "named_ids",
    "new_task_id",
    "problem_in",
    "read_feed",
]
