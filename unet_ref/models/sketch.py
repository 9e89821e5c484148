"""What a picture of a network shows, read from its plan: feature maps, and what leads from one to the next.

A convolution, its norm and its activation are one arrow; so is a block with a shortcut; so is everything that doubles
an image before it meets its skip. Every step of the plan is in exactly one of the maps, or in the vectors beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from .plan import PlannedStep

FOLLOWERS = {"batch_norm": "batch norm", "group_norm": "group norm", "relu": "ReLU", "gelu": "GELU", "reshape": ""}
KINDS = {
    "conv2d": "conv", "linear": "linear", "conv_transpose2d": "up", "upsample_nearest2d": "up", "max_pool2d": "pool",
    "avg_pool2d": "pool", "adaptive_avg_pool2d": "pool", "film": "film",
}  # fmt: skip


@dataclass(eq=False)
class Map:
    """A feature map: the steps that made it, its shape, and its channels part by part (and which part is a copy)."""

    steps: list[PlannedStep]
    shape: tuple[int, ...]
    level: int = 0
    parts: list[tuple[int, bool]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The last step's."""
        return self.steps[-1].name


class Way(NamedTuple):
    """An arrow: ``kind`` is its family, ``text`` what happens on it, ``part`` the part of the target that it fills."""

    source: Map
    target: Map
    kind: str
    text: str
    part: int = 0


class Sketch(NamedTuple):
    """Maps in order, the way to each but the first, skip connections, and the vectors that enter a map."""

    maps: list[Map]
    ways: list[Way]
    skips: list[Way]
    vectors: list[tuple[Map, list[str]]]


def sketch(steps: Iterable[PlannedStep], inputs: Mapping[str, tuple[int, ...]]) -> Sketch:
    """Gather the steps of a plan into maps; the first of ``inputs`` is the image."""
    return _Sketcher({step.name: step for step in steps}, inputs).sketch


class _Sketcher:
    def __init__(self, steps: dict[str, PlannedStep], inputs: Mapping[str, tuple[int, ...]]) -> None:
        self.steps, self.inputs = steps, inputs
        self.order = {name: k for k, name in enumerate((*inputs, *steps))}
        self.above: dict[str, set[str]] = {name: {name} for name in inputs}  # a step and all that it is made from
        for step in steps.values():
            self.above[step.name] = {step.name}.union(*(self.above[name] for name in step.inputs))
        self.uses = [name for step in steps.values() for name in dict.fromkeys(step.inputs)]
        image = next(iter(inputs))
        self.blocks = self._blocks()
        start = Map([PlannedStep(image, "input", (), inputs[image], 0, 0, 0)], inputs[image])
        start.parts = [(_channels(start.shape), False)]
        self.home = {image: start}  # in which map a step is
        self.sketch = Sketch([start], [], [], [])
        for step in steps.values():
            if image in self.above[step.name]:
                self._place(step)
        for target in self.sketch.maps[1:]:
            self._connect(target)

    def _blocks(self) -> dict[str, str]:
        """Steps between a fork and the sum where its branches meet, by the name of that sum."""
        members: dict[str, str] = {}
        for step in self.steps.values():
            if step.op == "add":
                first, second = (self.above[name] for name in step.inputs)
                members |= dict.fromkeys((first ^ second) & self.steps.keys(), step.name) | {step.name: step.name}
        return members

    def _place(self, step: PlannedStep) -> None:
        """Into the map of its input, where it only finishes that; else into a new one."""
        before = step.inputs[0]
        if step.op == "center_crop2d":  # part of the skip: drawn with the concatenation that takes it
            return
        finishes = step.op in FOLLOWERS or (step.op == "conv2d" and self._op(before) == "upsample_nearest2d")
        block = self.blocks.get(step.name)
        if step.op == "concat":
            before = max(step.inputs, key=self._made)  # the skip is the older one
        if block and block in self.home:
            home = self.home[block]
        elif not block and (finishes or step.op == "concat") and self.uses.count(before) == 1 and before in self.steps:
            home = self.home[before]
        else:
            home = Map([], step.shape)
            self.sketch.maps.append(home)
        crops = [self.steps[name] for name in step.inputs if self._op(name) == "center_crop2d"]
        home.steps += [*crops, step]
        home.shape = step.shape
        self.home[step.name] = home
        if block:
            self.home[block] = home

    def _connect(self, target: Map) -> None:
        """The way to a map, and its level: its skip's, or one deeper than its source where it is smaller."""
        lead = next(step for step in target.steps if step.op != "center_crop2d")
        source = self.home[max((name for name in lead.inputs if name in self.home), key=self._made)]
        concat = target.steps[-1] if target.steps[-1].op == "concat" else None
        skip = min(concat.inputs, key=self._made) if concat else ""
        kept = self.steps[skip].inputs[0] if self._op(skip) == "center_crop2d" else skip
        film = next((step for step in target.steps if step.op == "film"), None)
        if film:
            self.sketch.vectors.append((target, self._vectors(film)))
        strides = any(step.stride > 1 or step.op == "adaptive_avg_pool2d" for step in target.steps)
        higher, lower = (_height(m.shape) for m in (source, target))
        target.level = source.level + strides * ((lower < higher) - (lower > higher))
        target.parts = [(_channels(target.shape), False)]
        if concat:
            target.level = self.home[kept].level
            target.parts = [(_channels(self._shape(name)), name == skip) for name in concat.inputs]
        part = next(k for k, (_, copied) in enumerate(target.parts) if not copied)
        self.sketch.ways.append(Way(source, target, *self._describe(target.steps), part))
        if skip:
            text = "copy and concatenate" if kept == skip else "copy, crop and concatenate"
            self.sketch.skips.append(Way(self.home[kept], target, "skip", text, 1 - part))

    def _describe(self, steps: list[PlannedStep]) -> tuple[str, str]:
        """Family and words of an arrow."""
        total = next((step for step in steps if step.op == "add"), None)
        if total is None:
            words = [_words(step) for step in steps]
            return KINDS.get(steps[0].op, "other"), ", ".join(word for word in words if word)
        branches = [self.above[name] for name in total.inputs]
        short, body = sorted((branches[0] - branches[1], branches[1] - branches[0]), key=len)
        windows = [f"{s.kernel}×{s.kernel}" for s in steps if s.name in body and s.op == "conv2d"]
        rest = dict.fromkeys(FOLLOWERS[s.op] for s in steps if s.name in body and s.op in FOLLOWERS)
        shortcut = "projected input" if short else "input"
        return "residual", f"conv {', '.join(windows)} ({', '.join(rest)}) + {shortcut}"

    def _vectors(self, film: PlannedStep) -> list[str]:
        """Where gamma and beta come from: ``γ: t 1 → 512, GELU → 512``."""
        gamma, beta = film.inputs[1:]
        names = {gamma: "γ, β"} if gamma == beta else {gamma: "γ", beta: "β"}
        lines = []
        for name, greek in names.items():
            chain = sorted(self.above[name], key=self.order.__getitem__)
            text = f"{greek}: {chain[0]} {self.inputs[chain[0]][-1]}"
            for step in (self.steps[link] for link in chain[1:]):
                width = step.shape[-1]
                text += {"linear": f" → {width}", "chunk": f" = 2 × {width // 2}"}.get(step.op) or _after(step)
            lines.append(text)
        return lines

    def _made(self, name: str) -> int:
        """When a step's values were made: a crop makes none."""
        return self.order[self.steps[name].inputs[0] if self._op(name) == "center_crop2d" else name]

    def _op(self, name: str) -> str:
        return self.steps[name].op if name in self.steps else "input"

    def _shape(self, name: str) -> tuple[int, ...]:
        return self.steps[name].shape if name in self.steps else self.inputs[name]


def _after(step: PlannedStep) -> str:
    word = FOLLOWERS[step.op]
    return f", {word}" if word else ""


def _words(step: PlannedStep) -> str:
    """What an arrow does, in the words of the field."""
    k, stride = step.kernel, step.stride
    return FOLLOWERS.get(step.op) or {
        "conv2d": f"conv {k}×{k}" + (f" / {stride}" if stride > 1 else ""),
        "conv_transpose2d": f"up-conv {k}×{k}" + (f" / {stride}" if stride != k else ""),
        "upsample_nearest2d": f"nearest neighbours ×{stride}",
        "max_pool2d": f"max pool {k}×{k}" + (f" / {stride}" if stride != k else ""),
        "avg_pool2d": f"average pool {k}×{k}",
        "adaptive_avg_pool2d": "mean of each channel",
        "film": "FiLM: scale by γ, shift by β",
        "linear": "linear",
    }.get(step.op, "")


def _channels(shape: tuple[int, ...]) -> int:
    return shape[1]


def _height(shape: tuple[int, ...]) -> int:
    return shape[2] if len(shape) == 4 else 1
