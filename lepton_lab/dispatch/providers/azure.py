"""Machines of Microsoft Azure."""

from __future__ import annotations

from typing import Any

from ...errors import Problem
from ...recipe.option import option
from .machines import MachineOptions, Machines

_GPU_FAMILIES = ("_NC", "_ND", "_NV")


class AzureOptions(MachineOptions):
    """Azure's own words."""

    location: str = option("westeurope", "Location of the machines.")
    resource_group: str = option("", "Resource group that they belong to.")
    vnet: str = option("", "Virtual network of that group.")
    security_group: str = option("", "Network security group that lets this machine reach port 8786.")
    subscription: str = option("", "Subscription that pays, by its id.")
    vm_size: str = option("Standard_NC4as_T4_v3", "Size of the workers.")
    scheduler_vm_size: str = option("Standard_B2s", "Size of the scheduler.", advanced=True)


_NEEDED = {
    "resource_group": "a resource group",
    "vnet": "a virtual network",
    "security_group": "a network security group",
    "subscription": "a subscription",
}


class Azure(Machines):
    """Azure."""

    name = "azure"
    summary = "machines of Microsoft Azure"
    packages = ("dask_cloudprovider", "azure.mgmt.compute", "azure.identity")
    options = AzureOptions
    environment = ("AZURE_*",)
    cluster_class = "dask_cloudprovider.azure:AzureVMCluster"
    example = "azure --resource-group lab --vnet lab --security-group dask --subscription ID --image IMAGE"

    def check(self, options: AzureOptions) -> list[Problem]:
        """What Azure makes nothing without."""
        problems = super().check(options)
        for name, what in _NEEDED.items():
            if not getattr(options, name):
                do = f"Set --{name.replace('_', '-')}."
                problems.append(Problem(f"Azure needs {what}", "none", do, where="resources.cluster"))
        return problems

    def arguments(self, options: AzureOptions) -> dict[str, Any]:
        """Of ``AzureVMCluster``."""
        return {
            "location": options.location,
            "resource_group": options.resource_group,
            "vnet": options.vnet,
            "security_group": options.security_group,
            "subscription_id": options.subscription,
            "vm_size": options.vm_size,
            "scheduler_vm_size": options.scheduler_vm_size,
            "disk_size": options.disk_gb,
        }

    def has_gpu(self, options: AzureOptions) -> tuple[bool, bool]:
        """By the family in the size's name."""
        scheduler, worker = (
            any(family in size.upper() for family in _GPU_FAMILIES)
            for size in (options.scheduler_vm_size, options.vm_size)
        )
        return scheduler, worker

    def machines(self, options: AzureOptions) -> dict[str, int]:
        """Workers and the scheduler."""
        found = {options.vm_size: options.workers}
        found[options.scheduler_vm_size] = found.get(options.scheduler_vm_size, 0) + 1
        return found
