"""PBS jobs, through dask-jobqueue."""

from __future__ import annotations

from typing import Any

from .jobqueue import JobOptions, JobQueue


class Pbs(JobQueue):
    """Jobs submitted with qsub."""

    name = "pbs"
    summary = "jobs of a PBS site"
    cluster_class = "PBSCluster"
    submit_command = "qsub"
    example = "pbs --queue gpu --gpus 1 --cores 8 --memory 32GB --walltime 08:00:00"

    def own_arguments(self, options: JobOptions) -> dict[str, Any]:
        """PBS takes cores, memory and GPUs in one line, and no days in a walltime."""
        from dask.utils import parse_bytes

        gpus = f":ngpus={options.gpus}" if options.gpus else ""
        memory_mb = parse_bytes(options.memory) // 10**6
        hours, rest = divmod(options.walltime_seconds, 3600)
        return {
            "account": options.account,
            "resource_spec": f"select=1:ncpus={options.cores}:mem={memory_mb}mb{gpus}",
            "walltime": f"{hours:02}:{rest // 60:02}:{rest % 60:02}",
        }
