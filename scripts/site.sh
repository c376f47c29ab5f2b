#!/usr/bin/env bash
# Builds the pages of docs/ and the API reference into site/, which needs no network. Further arguments go to mkdocs. The
# notebooks are executed, which takes some minutes; NOTEBOOKS=unexecuted shows them without outputs.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
python -m pip install --quiet --disable-pip-version-check -r requirements-docs.txt
export DOCS_DIR
DOCS_DIR=$(mktemp -d)
trap 'rm -rf "$DOCS_DIR"' EXIT
cp -r docs/. "$DOCS_DIR"
rm -rf "$DOCS_DIR/notebooks"
mkdir "$DOCS_DIR/notebooks"
# The README is the front page: its links are as seen from docs/, and files beside docs/ are named without a link.
sed -E 's#\(docs/#(#g; s#\[([^]]*)\]\((WORKSPACE\.md|CHANGELOG\.md|CITATION\.cff|LICENSE)\)#\1#g' README.md > "$DOCS_DIR/index.md"
sed -E 's#\(notebooks/(\w+)\.py\)#(notebooks/\1.md)#' docs/notebooks.md > "$DOCS_DIR/notebooks.md"
for notebook in docs/notebooks/*.py; do
  python -m jupytext --quiet --to ipynb --output "$DOCS_DIR/notebooks/$(basename "$notebook" .py).ipynb" "$notebook"
done
[ "${NOTEBOOKS:-executed}" = unexecuted ] || execute=--execute
python -m nbconvert --log-level=WARN --KernelManager.transport=ipc --to markdown ${execute:-} "$DOCS_DIR"/notebooks/*.ipynb
rm "$DOCS_DIR"/notebooks/*.ipynb
sed -i 's#!\[png\]#![Figure]#' "$DOCS_DIR"/notebooks/*.md
NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict "$@"
echo "The site is built; open site/index.html."
