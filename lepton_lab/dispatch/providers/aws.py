"""Machines of Amazon EC2."""

from __future__ import annotations

from typing import Any

from ...recipe.option import option
from .machines import MachineOptions, Machines

_GPU_FAMILIES = ("g", "p")


class AwsOptions(MachineOptions):
    """EC2's own words."""

    region: str = option("us-east-1", "Region of the machines.")
    instance_type: str = option("g5.xlarge", "Machine type of the workers.", aliases=("worker-instance-type",))
    scheduler_instance_type: str = option("t3.medium", "Machine type of the scheduler.", advanced=True)
    ami: str | None = option(None, "Machine image. Default: Ubuntu, on which Docker is installed at start.")
    security_group: list[str] = option(
        [], "Security group that lets this machine reach port 8786. Default: the library makes one open to the world."
    )
    subnet: str | None = option(None, "Subnet of the machines.", advanced=True)
    spot: bool = option(False, "Cheaper machines that may be taken away; runs go on from their last checkpoint.")


class Aws(Machines):
    """EC2."""

    name = "aws"
    summary = "machines of Amazon EC2"
    packages = ("dask_cloudprovider", "aiobotocore")
    options = AwsOptions
    environment = ("AWS_*",)
    cluster_class = "dask_cloudprovider.aws:EC2Cluster"
    example = "aws --image registry.example.org/lepton-lab:1 --instance-type g5.xlarge --workers 2"

    def arguments(self, options: AwsOptions) -> dict[str, Any]:
        """Of ``EC2Cluster``."""
        return {
            "region": options.region,
            "scheduler_instance_type": options.scheduler_instance_type,
            "worker_instance_type": options.instance_type,
            "ami": options.ami,
            "security_groups": list(options.security_group) or None,
            "subnet_id": options.subnet,
            "filesystem_size": options.disk_gb,
            "spot": options.spot,
        }

    def has_gpu(self, options: AwsOptions) -> tuple[bool, bool]:
        """By the first letter of the type."""
        return (
            options.scheduler_instance_type.startswith(_GPU_FAMILIES),
            options.instance_type.startswith(_GPU_FAMILIES),
        )

    def machines(self, options: AwsOptions) -> dict[str, int]:
        """Workers and the scheduler."""
        found = {options.instance_type: options.workers}
        found[options.scheduler_instance_type] = found.get(options.scheduler_instance_type, 0) + 1
        return found
