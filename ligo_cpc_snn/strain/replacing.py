"""Write a file whole or not at all."""

import os
import secrets
from pathlib import Path


def write_whole(path: Path, body: bytes) -> None:
    """Write a file that other processes see with all of its bytes or not at all."""
    new = path.with_name(f"{path.name[:32]}-{secrets.token_hex(6)}.new")
    try:
        with new.open("xb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
