"""The older name of `ligo-report`: `python -m ligo_cpc_snn.reports FOLDER`."""

import sys

from ligo_cpc_snn.report import main

if __name__ == "__main__":
    sys.exit(main())
