"""Prompts of some 700 characters on many subjects, no two alike: what a cache has never seen, at no cost to the load.

Each is its serial number in letters and six sentences out of 512, drawn by a hash of the number.
"""

from __future__ import annotations

from typing import Final

# A serial number in digits could be a card or a phone number, and would be looked into as no other prompt is.
LETTERS: Final = bytes.maketrans(b"0123456789", b"abcdefghij")
PATTERNS: Final = (
    "Compare two ways of dealing with {}, by what they cost in a year and by how soon either of them could begin",
    "Explain to somebody who is new in the office what matters about {} and which mistakes people make at first",
    "List what we would have to know about {} before we decide, and say where such figures are usually found",
    "Draft a short note to our customers about {} that is friendly, says what changes and promises nothing else",
    "Give three reasons for and three against spending more on {}, with the weakest of each side at the end",
    "Describe how the handling of {} has changed over the last decades and what is likely to come of it next",
    "Suggest a way of measuring progress with {} that a small team can keep up without buying any new tool",
    "Think through what happens with {} on a day with twice the usual demand and half of the staff at home",
)
SUBJECTS: Final = (
    "parcel deliveries, glacier tours, night trains, school libraries, rooftop gardens, dental appointments, "
    "wheat harvests, museum tickets, harbour cranes, piano lessons, bicycle repairs, hospital laundry, "
    "wedding photographs, wind turbines, street lighting, cheese ageing, sailing permits, mountain rescue, "
    "spare parts, flood insurance, election posters, coffee roasting, theatre costumes, public fountains, "
    "forest fires, language courses, airport lounges, bee keeping, rental contracts, chess tournaments, "
    "ferry schedules, bridge inspections, ice rinks, tax returns, puppet shows, solar panels, pharmacy stocks, "
    "city archives, marathon routes, vineyard tours, letter boxes, railway crossings, kitchen hygiene, "
    "orchestra rehearsals, sheep shearing, water meters, book bindings, antique clocks, youth hostels, stage lighting, "
    "salmon farms, tram tickets, carpet cleaning, weather stations, choir concerts, quarry blasting, lost luggage, "
    "dog licences, bakery ovens, radio licences, potato storage, canal locks, fire drills, observatory visits"
).split(", ")
SENTENCES: Final = tuple(f" {pattern.format(subject)}.".encode() for pattern in PATTERNS for subject in SUBJECTS)
_BITS = 9  # of a sentence's number
_EACH = 6


def prompt(serial: int) -> bytes:
    """The prompt of this number, below 10^8; plain ASCII without anything that JSON would escape."""
    # Fibonacci hashing (Knuth, TAOCP 3, 6.4): neighbouring numbers fall far apart.
    drawn = (serial * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF) >> 64 - _BITS * _EACH
    number = (b"Case %08d." % serial).translate(LETTERS)
    return number + b"".join([SENTENCES[drawn >> shift & 511] for shift in _SHIFTS])


_SHIFTS: Final = range(0, _BITS * _EACH, _BITS)
