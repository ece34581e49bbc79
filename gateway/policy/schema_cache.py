"""The grammar of `cache:`, of a route and of the whole policy: whether answers are kept, and how alike questions are found."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Discriminator, Field, Tag

from gateway.policy.grammar import Duration, Name, Share, Strict, Timeout


class CacheSpec(Strict):
    """Whether answers are kept, and for whom. What is not given comes from `defaults`.

    `scope`: who may share them, never wider than said. `false_hit_budget`: of the answers given to a similar question, the
    share that may be wrong. `audit`: the share of them that is also asked upstream, to measure that. `stale`: how long
    after its `ttl` an answer may still be given while it is asked for anew.
    """

    mode: Literal["off", "exact", "semantic"]
    ttl: Timeout | None = None
    stale: Duration | None = None
    scope: Annotated[
        Literal["key", "team", "all"] | None, Field(description="`all`: every caller of this gateway shares the answers")
    ] = None
    false_hit_budget: Annotated[float | None, Field(gt=0, le=0.5)] = None
    audit: Share | None = None
    min_similarity: Annotated[
        float | None, Field(ge=0, le=1, description="cosine under which two questions are not even compared")
    ] = None
    max_temperature: Annotated[
        float | None, Field(ge=0, le=2, description="a request that asks for more is neither answered from the cache nor kept")
    ] = None


class EmbeddingModel(Strict):
    """A model of the policy that serves OpenAI's embeddings API."""

    model: Name
    dimensions: Annotated[int, Field(ge=8, le=8192, description="asked of the model, if given")] | None = None


def _shape(value: object) -> str:
    return "keys" if isinstance(value, (dict, BaseModel)) else "word"


class CacheSetup(Strict):
    """How similar questions are found and told apart, for all routes."""

    embedder: Annotated[
        Annotated[Literal["wordllama", "minilm"], Tag("word")] | Annotated[EmbeddingModel, Tag("keys")], Discriminator(_shape)
    ] = "wordllama"
    verifier: Annotated[
        str | None, Field(min_length=1, description="a folder beside the policy, of `turnout cache train`; else the one shipped")
    ] = None
    judge: Annotated[
        Name | None, Field(description="the model that compares the two answers of an audit; else their texts are compared")
    ] = None
