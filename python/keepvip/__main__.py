"""`python -m keepvip` is `keepvip`."""

import sys

from keepvip.cli.main import main

sys.exit(main())
