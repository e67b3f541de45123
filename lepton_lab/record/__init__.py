"""The record: run folders, events and the view folded from them. Standard library only."""

from .checkpoints import COMPLETE_MARK, checkpoint_step, checkpoints_in, is_complete, last_complete, mark_complete
from .event import Event, EventWriter, in_order, read_events
from .files import digest_of, read_json, write_json
from .folder import HEARTBEAT_SECONDS, LOST_AFTER_SECONDS, AttemptFolder, RunFolder, new_run_id
from .store import find_run, list_runs, newest_run, run_folders
from .tail import RunTail
from .view import ENDED, STATUSES, RunFold, RunView, Series, fold, folded_events, view_of

__all__ = [
    "COMPLETE_MARK",
    "ENDED",
    "HEARTBEAT_SECONDS",
    "LOST_AFTER_SECONDS",
    "STATUSES",
    "AttemptFolder",
    "Event",
    "EventWriter",
    "RunFold",
    "RunFolder",
    "RunTail",
    "RunView",
    "Series",
    "checkpoint_step",
    "checkpoints_in",
    "digest_of",
    "find_run",
    "fold",
    "folded_events",
    "in_order",
    "is_complete",
    "last_complete",
    "list_runs",
    "mark_complete",
    "new_run_id",
    "newest_run",
    "read_events",
    "read_json",
    "run_folders",
    "view_of",
    "write_json",
]
