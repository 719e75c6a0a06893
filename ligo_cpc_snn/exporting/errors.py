"""What cannot be exported, or an exported folder that cannot be read."""

from ligo_cpc_snn.errors import UserError


class ExportError(UserError):
    """The message names what stands in the way and what to do."""
