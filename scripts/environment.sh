# Sourced by the other scripts: makes .venv beside the project if it is missing, installs the project into it with what
# its tests take when that has changed since the last time, and puts .venv first. Set PYTHON to build .venv with another
# interpreter.
CDPATH= cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

wanted=$(cat pyproject.toml requirements.txt requirements-test.txt; pwd)
if [ ! -x .venv/bin/python ] || [ "$wanted" != "$(cat .venv/installed 2> /dev/null)" ]; then
  rm -f .venv/installed # written again when everything is installed: an interrupted install is repeated
  if ! .venv/bin/python -m pip --version > /dev/null 2>&1; then
    "${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
      { echo "rw_jax needs Python 3.11 or newer; name one with PYTHON=python3.11." >&2; exit 2; }
    "${PYTHON:-python3}" -m venv --clear .venv || exit 1
  fi
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test]' || exit 1
  printf '%s\n' "$wanted" > .venv/installed.tmp
  mv .venv/installed.tmp .venv/installed
fi
# Not by `activate`, which names the folder that .venv was made in, also after the project has been moved.
export VIRTUAL_ENV="$PWD/.venv" PATH="$PWD/.venv/bin:$PATH"
