"""The comparison script is both a tool and the reader of the cases."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "oracle"))
