"""What the numbers of a run depend on besides its config."""

import hashlib
import importlib.metadata
import os
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
    package = Path(__file__).parents[1]
    packages = ("jax", "jaxlib", "flax", "optax", "chex", "orbax-checkpoint", "numpy", "xarray")
    return {
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in packages},
        },
        "devices": [f"{device.platform} {device.device_kind}" for device in mesh.devices.flat],
        "processes": jax.process_count(),
        "machine": platform.machine(),
        "variables": {name: value for name, value in sorted(os.environ.items()) if name.startswith(("JAX_", "XLA_"))},
        "commit": commit_of(package),
        "package": digest_of(package),
        "command": shlex.join(sys.orig_argv),
        "cells_per_batch": cells_per_batch,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def changes(earlier: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """In what an earlier call on a run directory differs from this one that last bits can depend on, in words."""
    found = []
    for name, here in now["versions"].items():
        there = earlier.get("versions", {}).get(name)
        if there != here:
            found.append(f"{name} is {here}, and was {there}")
    for name in ("package", "machine", "processes"):
        if earlier.get(name) != now[name]:
            what = "the code of rw_jax" if name == "package" else name
            found.append(f"{what} is {now[name]}, and was {earlier.get(name)}")
    kinds = [sorted(set(environment.get("devices", []))) for environment in (now, earlier)]
    if kinds[0] != kinds[1]:
        found.append(f"devices are {', '.join(kinds[0])}, and were {', '.join(kinds[1])}")
    for name in ("XLA_FLAGS", "JAX_DISABLE_MOST_OPTIMIZATIONS"):
        here, there = (environment.get("variables", {}).get(name, "") for environment in (now, earlier))
        if here != there:
            found.append(f"{name} is {here!r}, and was {there!r}")
    return found


def digest_of(package: Path) -> str:
    """A digest of the Python files of a package; 12 hexadecimal digits."""
    content = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        content.update(str(path.relative_to(package)).encode() + b"\0" + path.read_bytes())
    return content.hexdigest()[:12]


def commit_of(package: Path) -> str | None:
    """The hash of the commit that is checked out where a package is tracked; None if it is not, or there is no git.

    "+" stands behind it if files of the package are not as they are there.
    """

    def git(*words: str) -> str | None:
        # What a user's variables say of another repository is not ours.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        try:
            called = subprocess.run(
                ["git", *words], cwd=package, capture_output=True, text=True, check=False, env=environment
            )
        except OSError:  # there is no git
            return None
        return called.stdout.strip() if called.returncode == 0 else None

    # An installed copy can lie in the checkout of another project, which does not track it.
    if git("ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    commit = git("rev-parse", "--verify", "--quiet", "HEAD")
    return f"{commit}+" if commit and git("status", "--porcelain", "--", ".") else commit
