"""What keeps our dependencies from calling home, in every process that is ours: shell commands, agents, supervisors,
workers, mirrors. A notebook's kernel is its user's; ``os.environ`` there is left alone.

``openvino-telemetry`` knows no variable: it is left out where OpenVINO is imported (:mod:`lepton_lab.work.backends`).
Coiled's has a setting of Dask's (:mod:`lepton_lab.dispatch.providers.coiled`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping

NO_TELEMETRY: Mapping[str, str] = {
    "DO_NOT_TRACK": "1",  # huggingface_hub, MLflow, Gradio and others that keep to donottrack.sh
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DISABLE_TELEMETRY": "1",  # the older name, which transformers and datasets read
    "HF_UPDATE_DOWNLOAD_COUNTS": "0",  # datasets counts what is loaded, also local files
    "DISABLE_SAFETENSORS_CONVERSION": "1",  # transformers would ask a Space of the Hub to convert pickled weights
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime sends usage to Microsoft, on Linux too
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "WANDB_ERROR_REPORTING": "false",
    "COMET_DISABLE_ANNOUNCEMENT": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "AZURE_TELEMETRY_DISABLED": "1",
}
"""Variables of every process of ours. They win over the user's: who wants to be counted can be so elsewhere."""


def switch_off() -> None:
    """Set them here. Before the dependencies are imported: most look once."""
    os.environ.update(NO_TELEMETRY)
