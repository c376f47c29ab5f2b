# Sourced by the other scripts: makes .venv beside the project if it is missing, installs requirements.txt when it has
# changed since the last time, and puts .venv first. PYTHON names the interpreter that .venv is made with.
CDPATH= cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

if [ ! -x .venv/bin/python ] || ! cmp -s requirements.txt .venv/installed-requirements.txt; then
  rm -f .venv/installed-requirements.txt # written again when everything is installed: an interrupted install is repeated
  if ! .venv/bin/python -m pip --version > /dev/null 2>&1; then
    "${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
      { echo "rw_jax needs Python 3.11 or newer; name one with PYTHON=python3.11." >&2; exit 2; }
    "${PYTHON:-python3}" -m venv --clear .venv || exit 1
  fi
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt || exit 1
  cp requirements.txt .venv/installed-requirements.txt.tmp
  mv .venv/installed-requirements.txt.tmp .venv/installed-requirements.txt
fi
# Not by `activate`, which names the folder that .venv was made in, also after the project has been moved.
export VIRTUAL_ENV="$PWD/.venv" PATH="$PWD/.venv/bin:$PATH"
