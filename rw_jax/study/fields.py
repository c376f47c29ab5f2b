"""The fields of a study."""

_SYMBOLS = {
    "num_nodes": "K",
    "walk_length": "N",
    "position_width": "M",
    "p": "p",
    "learning_rate": "η",
    "epsilon": "ε",
    "walks": "walks",
    "init": "start",
    "steps": "steps",
    "form": "form",
    "loss": "loss",
}


def symbol(axis: str) -> str:
    """What titles and tables call the field of an axis: its symbol in the paper, or its own name."""
    return _SYMBOLS.get(axis, axis)
