#!/usr/bin/env bash
# Builds the pages of docs/ and the API reference into site/, which needs no network. Further arguments go to mkdocs.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
python -m pip install --quiet --disable-pip-version-check -r requirements-docs.txt
# The README is the front page: its links are as seen from docs/, and files beside docs/ are named without a link.
sed -E 's#\(docs/#(#g; s#\[([^]]*)\]\((WORKSPACE\.md|CHANGELOG\.md|CITATION\.cff|LICENSE)\)#\1#g' README.md > docs/index.md
trap 'rm -f docs/index.md' EXIT
NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict "$@"
echo "The site is built; open site/index.html."
