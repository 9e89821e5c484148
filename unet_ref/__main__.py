"""``python -m unet_ref`` is ``unet-ref``."""

from .cli import main

raise SystemExit(main())
