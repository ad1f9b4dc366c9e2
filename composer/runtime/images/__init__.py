"""Images: an OCI content store, archives in and out, and the host itself as an image.

Importing this is cheap: formats, compression and threads are loaded where an archive is read or written.
"""

from __future__ import annotations

from composer.runtime.images.configuration import Image
from composer.runtime.images.store import Store

__all__ = ["Image", "Store"]
