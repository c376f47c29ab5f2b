# Sourced by the other scripts: makes .venv beside the project if it is missing, installs requirements.txt when it has
# changed since the last time, and activates it. PYTHON names the interpreter that .venv is made with.
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ ! -x .venv/bin/python ]; then
  "${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { echo "rw_jax needs Python 3.11 or newer; name one with PYTHON=python3.11." >&2; exit 2; }
  "${PYTHON:-python3}" -m venv .venv
fi
if ! cmp -s requirements.txt .venv/installed-requirements.txt; then
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
  cp requirements.txt .venv/installed-requirements.txt
fi
. .venv/bin/activate
