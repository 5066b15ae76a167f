"""Waiting times and attempt limits of a service, in one value that tests can replace."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..gateway import RetryPolicy, SizeLimits, Timeouts
from ..media import DecodeLimits


@dataclass(frozen=True)
class ServicePolicy:
    """How long and how often a service tries. Times are in seconds.

    Attributes:
        timeouts: Time limits of the HTTP exchanges.
        size_limits: Size limits of the HTTP exchanges.
        retry: How long a submit that was not accepted is repeated.
        row_check: Between two looks at a journal row that another worker holds.
        record_retries: Before each further attempt to record the id of a paid task.
        new_task_grace: How long the feed of a task that this journal submitted may answer that it
            does not exist.
        max_misses: How many such answers in a row mean that the gateway does not know any other
            task.
        unclear_patience: How long the feed may report an error with a status that is not known.
        rate_limit_pause: How long nothing is sent after a 429 without a Retry-After header.
        exit_grace: How long the process waits at exit for the answers to submits in progress.
        download_attempts: How often a download is started before it is an error.
        refused_links: How many links the media host may refuse before it is an error.
        download_pause: Before the second download attempt; it doubles with each further one.
        relink_timeout: How long the feed is asked for a fresh link.
        account_interval: Between two readings of the balance, unless something was sent since.
        account_delay: After a submit before the balance is read: the gateway writes the charge
            down after it has answered.
        account_settle: After a submit before its charge is certainly in the usage counter. Some
            gateways write charges down in batches.
        account_fresh: How old a reading of the balance may be before it is compared with a limit.
        account_retry: After an error before the balance is read again for a limit.
        account_absent: Before a gateway without account endpoints is asked again.
        decode_limits: Limits of what is decoded when a file is inspected.
    """

    timeouts: Timeouts = field(default_factory=Timeouts)
    size_limits: SizeLimits = field(default_factory=SizeLimits)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    row_check: float = 0.2
    record_retries: tuple[float, ...] = (0.1, 0.5, 2.0, 5.0)
    new_task_grace: float = 60.0
    max_misses: int = 3
    unclear_patience: float = 60.0
    rate_limit_pause: float = 2.0
    exit_grace: float = 5.0
    download_attempts: int = 5
    refused_links: int = 2
    download_pause: float = 0.5
    relink_timeout: float = 60.0
    account_interval: float = 60.0
    account_delay: float = 3.0
    account_settle: float = 20.0
    account_fresh: float = 15.0
    account_retry: float = 5.0
    account_absent: float = 3600.0
    decode_limits: DecodeLimits = field(default_factory=DecodeLimits)
