"""Sets the formulas of the pages as MathML in the site, as GitHub sets them: a hook of mkdocs (mkdocs.yml)."""

import re
from typing import Any

from latex2mathml.converter import convert

_FORMULA = re.compile(r"^```math\n(.*?)\n```$", re.MULTILINE | re.DOTALL)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The text of a page with each block of mathematics as MathML, which browsers set without a script."""
    return _FORMULA.sub(lambda found: f"<div>{convert(found[1], display='block')}</div>", markdown)
