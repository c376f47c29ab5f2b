"""What the numbers of a run depend on besides its config."""

import importlib.metadata
import platform
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh


def describe_environment(mesh: Mesh, cells_per_batch: int) -> dict[str, Any]:
    """What the numbers of a run depend on besides its config."""
    packages = ("jax", "jaxlib", "flax", "optax", "chex", "orbax-checkpoint", "numpy", "xarray")
    return {
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in packages},
        },
        "devices": [f"{device.platform} {device.device_kind}" for device in mesh.devices.flat],
        "processes": jax.process_count(),
        "machine": platform.machine(),
        "commit": commit_of(Path(__file__)),
        "command": shlex.join(sys.orig_argv),
        "cells_per_batch": cells_per_batch,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def commit_of(file: Path) -> str | None:
    """The hash of the commit that is checked out where a file is tracked; None if it is not, or there is no git."""
    # An installed copy can lie in the checkout of another project, which does not track it.
    for command in (["ls-files", "--error-unmatch", file.name], ["rev-parse", "--verify", "--quiet", "HEAD"]):
        try:
            git = subprocess.run(["git", *command], cwd=file.parent, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return None
        if git.returncode != 0:
            return None
    return git.stdout.strip()
