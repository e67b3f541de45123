"""The record: run folders, events and the view folded from them. Standard library only."""

from .aliases import AliasMove, alias_history, alias_word, aliases, aliases_of, find_alias, move_alias
from .batch import BatchPlan, can_shrink, memory_problem, next_plan, plan_of
from .checkpoints import (
    COMPLETE_MARK,
    best_of,
    checkpoint_step,
    checkpoints_in,
    checkpoints_to_resume,
    complete_checkpoints,
    is_complete,
    is_intact,
    last_complete,
    mark_complete,
)
from .event import Event, EventWriter, in_order, read_events
from .files import create_json, digest_of, read_json, write_json
from .folder import DISTURBED, HEARTBEAT_SECONDS, LOST_AFTER_SECONDS, AttemptFolder, RunFolder, new_run_id
from .runs import (
    best_trial,
    children_of,
    find_run,
    list_runs,
    newest_run,
    newest_training,
    run_folders,
    unfinished_runs,
)
from .series import Series
from .tail import RunTail
from .view import ENDED, STATUSES, RunFold, RunView, fold, folded_events, view_of

__all__ = [
    "COMPLETE_MARK",
    "DISTURBED",
    "ENDED",
    "HEARTBEAT_SECONDS",
    "LOST_AFTER_SECONDS",
    "STATUSES",
    "AliasMove",
    "AttemptFolder",
    "BatchPlan",
    "Event",
    "EventWriter",
    "RunFold",
    "RunFolder",
    "RunTail",
    "RunView",
    "Series",
    "best_of",
    "best_trial",
    "can_shrink",
    "checkpoint_step",
    "checkpoints_in",
    "checkpoints_to_resume",
    "children_of",
    "complete_checkpoints",
    "alias_history",
    "alias_word",
    "aliases",
    "aliases_of",
    "create_json",
    "digest_of",
    "find_alias",
    "find_run",
    "fold",
    "folded_events",
    "in_order",
    "is_complete",
    "is_intact",
    "last_complete",
    "list_runs",
    "mark_complete",
    "memory_problem",
    "move_alias",
    "new_run_id",
    "newest_run",
    "newest_training",
    "next_plan",
    "plan_of",
    "read_events",
    "read_json",
    "run_folders",
    "unfinished_runs",
    "view_of",
    "write_json",
]
