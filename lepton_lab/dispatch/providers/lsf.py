"""LSF jobs, through dask-jobqueue."""

from __future__ import annotations

from typing import Any

from .jobqueue import JobOptions, JobQueue


class Lsf(JobQueue):
    """Jobs submitted with bsub."""

    name = "lsf"
    summary = "jobs of an LSF site"
    cluster_class = "LSFCluster"
    submit_command = "bsub"
    example = "lsf --queue gpu --gpus 1 --cores 8 --memory 32GB --walltime 08:00:00"

    def own_arguments(self, options: JobOptions) -> dict[str, Any]:
        """LSF's project; its walltimes have no seconds."""
        minutes = options.walltime_seconds // 60
        return {"project": options.account, "walltime": f"{minutes // 60:02}:{minutes % 60:02}"}

    def gpu_directives(self, options: JobOptions) -> list[str]:
        """GPUs for the job alone."""
        return [f'-gpu "num={options.gpus}:mode=exclusive_process"'] if options.gpus else []
