"""Readable names for runs that were given none, such as ``brisk-otter-417``."""

from __future__ import annotations

from os import urandom
from typing import Final

_ADJECTIVES: Final = """
    amber ample bold brave brisk bright calm candid clear clever copper cosy crisp curious deft eager early fair fleet
    fresh gentle glad golden grand green happy hardy honest ideal jolly keen kind light lively lucid lucky mellow merry
    mild misty modest neat nimble noble open patient placid plain polite prime proud quick quiet rapid rosy royal ruby
    serene sharp silver smart snug solid spry steady still sunny swift tidy vivid warm wise witty
""".split()
_NOUNS: Final = """
    acorn alder aspen badger basil beacon birch bison brook canyon cedar cloud comet coral crane creek dune ember falcon
    fern finch fjord flint forest fox galaxy garnet glade grove harbor hawk hazel heron island ivy jasper juniper lagoon
    lark laurel lily lynx maple marsh meadow meteor moss nebula oak olive orchid osprey otter owl pebble pine plover
    poplar prairie quartz rain raven reef ridge river robin sage sparrow spruce summit swan thicket tide topaz tulip
    valley walnut willow wren zephyr
""".split()


def new_run_name() -> str:
    """Return a name; two runs of one store rarely get the same, and nothing depends on it."""
    number, tail = divmod(int.from_bytes(urandom(5), "little"), 1000)
    number, adjective = divmod(number, len(_ADJECTIVES))
    return f"{_ADJECTIVES[adjective]}-{_NOUNS[number % len(_NOUNS)]}-{tail:03d}"
