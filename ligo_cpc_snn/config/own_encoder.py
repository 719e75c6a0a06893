"""Where an encoder of the user's own is: `model.encoder.own=my_module:MyEncoder`."""

import re
import sys
from importlib.util import find_spec

NAME = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def place_of(own: str) -> tuple[str, str]:
    """Return module and class of `model.encoder.own`, without importing either.

    Args:
        own: `module:Class`, the module on Python's path.

    Raises:
        ValueError: it has another form, or there is no such module. A module of Python's own has
            no encoder, and a detector's file from elsewhere shall not have one imported.
    """
    if not NAME.fullmatch(own):
        raise ValueError(
            f"model.encoder.own={own}: expected module:Class, such as my_encoder:MyEncoder, with "
            "model.encoder.kind=own"
        )
    module, name = own.split(":")
    top = module.split(".")[0]
    if top in sys.stdlib_module_names:
        raise ValueError(f"model.encoder.own={own}: {top} is part of Python and has no encoder")
    if top not in sys.modules and find_spec(top) is None:
        raise ValueError(
            f"model.encoder.own={own}: there is no module {top} on Python's path; start in its "
            f"folder with `PYTHONPATH=.`, or install it"
        )
    return module, name
