"""Real processes on one journal in PostgreSQL: one task, one POST, one download."""

from __future__ import annotations

from money.test_money_processes import (  # noqa: F401 - collected by pytest
    other,
    pair,
    pytestmark,
    test_suspended_process_does_not_send_a_request_that_was_taken_over,
    test_suspended_process_records_its_answer_after_all,
    test_two_processes_download_a_file_once,
)
