"""The fault matrix: every fault with what comes of it, streamed and not, and where kinds of provider differ.

docs/faults.md is made of this by `python -m tools.faults`; the tests play every cell of it through a running gateway.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tests.scenario.faults import plays
from tests.scenario.faults.outcomes import Breaks, Fails, Leaves, Outcome, Passes, Refuses
from tests.scenario.faults.plays import Play

Kind = Literal["openai", "anthropic", "responses", "litellm", "litellm-anthropic"]
"""Of provider; responses: kind openai, of a server that speaks only that; litellm's, with OpenAI's wire and with Anthropic's."""
Mode = Literal["stream", "whole"]
Where = Literal["server", "closed port", "unknown name", "untrusted TLS", "no TLS", "silent TLS"]

KINDS: tuple[Kind, ...] = ("openai", "anthropic", "responses", "litellm", "litellm-anthropic")
MODES: tuple[Mode, ...] = ("stream", "whole")


@dataclass(frozen=True)
class Fault:
    """One row. stream, whole: None where there is no such thing. but: what differs for a kind of provider; embeddings: for these.

    name: in tests. title: on the page. where: what address the provider has.
    """

    name: str
    title: str
    play: Play
    stream: Outcome | None
    whole: Outcome | None
    but: Mapping[tuple[Kind, Mode], Outcome] = field(default_factory=dict)
    embeddings: Outcome | None = None
    where: Where = "server"

    def outcome(self, mode: Mode, kind: Kind) -> Outcome | None:
        """What comes of it in a chat."""
        given = self.stream if mode == "stream" else self.whole
        return None if given is None else self.but.get((kind, mode), given)


def alike(
    name: str,
    title: str,
    play: Play,
    outcome: Outcome,
    *,
    embeddings: Outcome | None = None,
    where: Where = "server",
) -> Fault:
    """A fault of which the same comes, streamed and not."""
    return Fault(name, title, play, outcome, outcome, embeddings=embeddings, where=where)


def litellm(stream: Outcome | None = None, whole: Outcome | None = None) -> dict[tuple[Kind, Mode], Outcome]:
    """What differs behind litellm, whatever it speaks."""
    kinds: tuple[Kind, ...] = ("litellm", "litellm-anthropic")
    given = {"stream": stream, "whole": whole}
    return {(kind, mode): outcome for kind in kinds for mode in MODES if (outcome := given[mode]) is not None}


LATE = Fails("timeout", tries=1, usage="estimated", wait="first_token")
CUT = Fails("cut", usage="estimated")
BROKEN = Fails("malformed", tries=1, usage="estimated")
UNREAD = Fails("malformed", tries=1)  # and nobody can say whether it is owed

NO_CONNECTION = (
    alike("refused", "The connection is refused", plays.well, Fails("connect"), where="closed port"),
    alike("dns", "The host name is not known", plays.well, Fails("connect"), where="unknown name"),
    alike("tls-untrusted", "The certificate is not trusted", plays.well, Fails("connect"), where="untrusted TLS"),
    alike("tls-none", "The server at an `https` address speaks no TLS", plays.well, Fails("connect"), where="no TLS"),
    Fault(
        "tls-silent",
        "The TLS handshake hangs",
        plays.well,
        stream=Fails("timeout", wait="connect"),
        whole=Fails("timeout", wait="connect"),
        but={("litellm-anthropic", "stream"): LATE, ("litellm-anthropic", "whole"): LATE},  # does not bound the handshake
        where="silent TLS",
    ),
    alike("hang-up", "The server hangs up before it answers", plays.hang_up, Fails("connect")),
)

NOT_IN_TIME = (
    alike("silent", "The server takes the request and says nothing", plays.silent, LATE),
    alike("headers", "Headers, then silence", plays.headers_only, LATE),
    Fault("preamble", "The stream begins, and no token comes", plays.preamble_only, LATE, None),
    Fault("slow-start", "The first token is late", plays.slow_start, LATE, Passes(wait="slow")),
    Fault("trickle", "A token now and then, and no end", plays.trickle, Breaks("timeout", wait="total"), LATE),
    Fault("stall", "Silence in mid-answer", plays.stall, Breaks("timeout", wait="idle"), LATE),
)

BREAKING = (
    alike("cut-before", "Closed before the first token", plays.cut_before, CUT),
    Fault("cut", "Closed in mid-answer", plays.cut, Breaks("cut"), CUT),
    Fault("reset", "Reset in mid-answer", plays.reset, Breaks("cut"), CUT),
    Fault("ends-early", "The body ends well, the answer does not", plays.ends_early, Breaks("cut"), CUT, litellm(whole=UNREAD)),
    Fault("http10-cut", "Cut, in HTTP/1.0 without a length", plays.http10_cut, Breaks("cut"), CUT, litellm(whole=UNREAD)),
    Fault("gzip-cut", "Cut, inside gzip", plays.gzip_cut, Breaks("cut"), CUT, litellm(whole=UNREAD)),
    Fault(
        "bad-json",
        "Broken JSON in mid-answer",
        plays.broken_json,
        Breaks("malformed"),
        BROKEN,
        # litellm passes over the event and loses all that follows.
        {**litellm(whole=UNREAD), ("litellm-anthropic", "stream"): Breaks("cut")},
    ),
    Fault(
        "bad-json-first",
        "Broken JSON before the first token",
        plays.broken_json_first,
        BROKEN,
        None,
        {("litellm-anthropic", "stream"): CUT},
    ),
    Fault("error-event", "An error event in mid-answer", plays.error_event, Breaks("reported"), None),
    Fault(
        "error-event-first",
        "An error event after a good beginning",
        plays.error_event_first,
        Fails("reported"),
        None,
        # Anthropic counts the input before it answers. The status is litellm's.
        {
            ("anthropic", "stream"): Fails("reported", usage="estimated"),
            ("litellm-anthropic", "stream"): Fails("reported", status=500),
        },
    ),
    Fault(
        "error-body",
        "An error under status 200",
        plays.error_body,
        Fails("reported"),
        Fails("reported"),
        # litellm finds no event in it; and of OpenAI's no error.
        {**litellm(stream=CUT), ("litellm", "whole"): UNREAD},
    ),
    alike(
        "empty",
        "An answer with nothing in it",
        plays.empty,
        Fails("empty", usage="counted"),
        embeddings=Fails("empty"),
    ),
    Fault("page", "A web page under status 200", plays.page, UNREAD, UNREAD, litellm(stream=CUT)),
    Fault("events-unasked", "A stream where none was asked for", plays.other_form, None, BROKEN, litellm(whole=UNREAD)),
)

REFUSALS = (
    alike("429", "429", plays.status(429), Fails("status", 429)),
    alike(
        "429-seconds",
        "429 with `retry-after` in seconds",
        plays.status(429, retry_after="2"),
        Fails("status", 429, wait="retry-after"),
    ),
    alike(
        "429-date",
        "429 with `retry-after` as a date",
        plays.status(429, retry_after="date"),
        Fails("status", 429, wait="retry-after"),
    ),
    alike(
        "429-once",
        "429 with `retry-after: 1`, and then all is well",
        plays.status(429, retry_after="1", once=True),
        Passes(before=(Fails("status", 429),), wait="retry-after"),
    ),
    *(alike(str(code), str(code), plays.status(code), Fails("status", code)) for code in (500, 502, 503, 529)),
    Fault(
        "500-silence",
        "500, and its body does not come",
        plays.status_and_silence,
        Fails("status", 500, wait="error body"),
        Fails("status", 500, wait="error body"),
        litellm(stream=LATE, whole=LATE),  # waits for it
    ),
    Fault(
        "500-cut",
        "500, and its body is cut",
        plays.status_and_cut,
        Fails("status", 500),
        Fails("status", 500),
        {("litellm", "stream"): CUT, ("litellm", "whole"): CUT, ("litellm-anthropic", "whole"): CUT},
    ),
    alike("500-once", "500, and then all is well", plays.status(500, once=True), Passes(before=(Fails("status", 500),))),
    alike("401", "401, the key is wrong", plays.status(401), Fails("status", 401, tries=1)),
    alike("404", "404, there is no such model", plays.status(404), Fails("status", 404, tries=1)),
    alike("400", "400, the request is wrong", plays.status(400, message="`messages` is wrong"), Refuses(400)),
)

ODD = (
    alike("text", "A stream sent as text/plain", plays.as_text, Passes()),
    Fault("body-for-stream", "A whole body where a stream was asked for", plays.other_form, Passes(), None, litellm(stream=CUT)),
    alike("big", "An event of 5 MB", plays.big, Passes()),
    alike("split", "Events cut anywhere", plays.split, Passes()),
    alike("gzip", "Packed by gzip, which was not asked for", plays.gzipped, Passes()),
    alike("http10", "HTTP/1.0 without a length", plays.http10, Passes()),
    Fault(
        "uncounted",
        "No usage",
        plays.uncounted,
        Passes(usage="estimated"),
        Passes(usage="estimated"),
        {("litellm-anthropic", "whole"): Fails("reported", status=500)},  # litellm cannot read it
    ),
)

CALLER = (
    alike("leaves-silence", "The caller leaves before the headers", plays.silent, Leaves(has_content=False)),
    alike("leaves-before", "The caller leaves before the first token", plays.headers_only, Leaves(has_content=False)),
    alike("leaves-during", "The caller leaves in mid-answer", plays.stall, Leaves(has_content=True)),
)

GROUPS: Mapping[str, tuple[Fault, ...]] = {
    "No connection": NO_CONNECTION,
    "Nothing comes in time": NOT_IN_TIME,
    "The answer breaks": BREAKING,
    "The provider refuses": REFUSALS,
    "Odd answers": ODD,
    "The caller": CALLER,
}
FAULTS: tuple[Fault, ...] = tuple(fault for faults in GROUPS.values() for fault in faults)
