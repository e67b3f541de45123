"""The real worker, with a job that fails as careless libraries do: with secrets in what it prints and raises."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from typing import Any

from lepton_lab.work import worker


def _leak(context: Any) -> dict[str, Any]:
    token, password = os.environ["HF_TOKEN"], os.environ["MLFLOW_TRACKING_PASSWORD"]
    context.events.log(f"asking with {token}")
    context.events.report("metrics", {"url": f"https://me:{password}@tracker/", "nested": [token]})
    context.events.status(stage="train", message=f"token={token}")
    print("printed", token)
    sys.stdout.write(token[:5])
    sys.stdout.write(token[5:] + "\n")
    warnings.warn(f"warned {password}", stacklevel=1)
    logging.getLogger("library").error("logged %s", os.environ["HTTPS_PROXY"])
    raise RuntimeError(f"401 for https://me:{password}@tracker/ with {token}")


if __name__ == "__main__":
    worker._do_job = _leak
    worker.main()
