"""Prompts that match no known template, the latest of them, in memory alone, found by what they share with another."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Final

from gateway.prompts.alignment import Sample
from gateway.prompts.pattern import Shape
from gateway.prompts.postings import Postings
from gateway.prompts.view import View

SAMPLES_MAX: Final = 1_000
SHINGLES_MAX: Final = 60_000  # of all samples: what a few hundred long prompts have, some 20 MB
CROWD_MAX: Final = 64  # samples that share a shingle; one that more share says nothing of them


class Pool:
    """Each different prompt once, times and numbers aside. What is oldest makes room."""

    def __init__(self, samples_max: int = SAMPLES_MAX, shingles_max: int = SHINGLES_MAX) -> None:
        self._samples_max, self._shingles_max = samples_max, shingles_max
        self._samples: OrderedDict[View, Sample] = OrderedDict()
        self._by_shingle: Postings[int, Sample] = Postings()
        self._by_fingerprint: Postings[str, Sample] = Postings()
        self._shingles = 0

    def __len__(self) -> int:
        return len(self._samples)

    def __contains__(self, sample: Sample) -> bool:
        return sample.masked in self._samples

    def add(self, sample: Sample) -> None:
        self._samples[sample.masked] = sample
        self._shingles += len(sample.shingles)
        for shingle in sample.shingles:
            self._by_shingle.add(shingle, sample)
        for id_ in sample.fingerprints:
            self._by_fingerprint.add(id_, sample)
        while len(self._samples) > self._samples_max or self._shingles > self._shingles_max:
            self._remove(next(iter(self._samples)))

    def remove_matching(self, shape: Shape) -> None:
        for masked in [masked for masked, sample in self._samples.items() if shape.matches(sample.view)]:
            self._remove(masked)

    def sharing(self, sample: Sample) -> Counter[Sample]:
        """The other samples, with how many shingles each shares with this one."""
        shared: Counter[Sample] = Counter()
        for shingle in sample.shingles:
            crowd = self._by_shingle.at(shingle)
            if 1 < len(crowd) <= CROWD_MAX:
                shared.update(crowd)
        del shared[sample]
        return shared

    def fingerprints_of(self, shape: Shape) -> tuple[str, ...]:
        """Those that several samples of this template have, and no other sample: what one alone has is nobody's business."""
        count = Counter(id_ for s in self._samples.values() if shape.matches(s.view) for id_ in s.fingerprints)
        return tuple(sorted(id_ for id_, n in count.items() if n > 1 and n == len(self._by_fingerprint.at(id_))))

    def _remove(self, masked: View) -> None:
        sample = self._samples.pop(masked)
        self._shingles -= len(sample.shingles)
        for shingle in sample.shingles:
            self._by_shingle.remove(shingle, sample)
        for id_ in sample.fingerprints:
            self._by_fingerprint.remove(id_, sample)
