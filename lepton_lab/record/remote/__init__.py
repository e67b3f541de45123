"""A home in an object store: ``LEPTON_HOME=s3://bucket/prefix``, or any other URL that fsspec knows.

Every host works in a local home of its own (:func:`places.lepton_home`), which looks as always.
Runs submitted here are enlisted, and one process a host copies what they write to the store
(:mod:`.mirror`); runs of other hosts are pulled when somebody looks (:mod:`.pull`). ::

    runs/RUN/recipe.yaml  run.json                    what makes the run exist is written last
    runs/RUN/control/cancel.json  save.json           both ways
    runs/RUN/attempts/1/lease.json                    created, never replaced (If-None-Match: *)
    runs/RUN/attempts/1/heartbeat.json  outcome.json  worker.log
    runs/RUN/attempts/1/events-trainer/000000004096.jsonl
    runs/RUN/manifests/attempts/1/model.json          digest and files of an artifact, behind its files
    runs/RUN/final.json                               behind everything else, created once

A segment's number is where it begins in the event file. So a pusher that starts again goes on where
the segments end, a viewer's cursor is the length of its own file and the next segment's name, and
neither can leave a gap or write anything twice.

Nothing here is imported unless ``LEPTON_HOME`` is a URL.
"""

from __future__ import annotations

from .bucket import BucketError, open_bucket
from .enlisting import enlist, is_pulled, keep_mirror
from .pull import bring_artifact, forget_run, refresh_run, refresh_runs, send_request

__all__ = [
    "BucketError",
    "bring_artifact",
    "enlist",
    "forget_run",
    "is_pulled",
    "keep_mirror",
    "open_bucket",
    "refresh_run",
    "refresh_runs",
    "send_request",
]
