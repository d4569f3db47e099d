"""Which way a metric gets better; the rule itself lies with the pictures, which need it too."""

from nbtrack.reprs.directions import Direction, better_direction

__all__ = ["Direction", "better_direction"]
