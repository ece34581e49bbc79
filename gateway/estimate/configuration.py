"""From a Hugging Face config.json to the sizes of a decoder, or to what is wrong with it and in which line.

What a file leaves out has the value that the class of its `model_type` in transformers gives it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from gateway.estimate.decoder import Decoder
from gateway.policy.errors import PolicyError, Problem
from gateway.policy.problems import problem_of
from gateway.policy.source import parse_source

EXAMPLE = "examples/opt-350m.json"
Size = Annotated[int, Field(ge=1, le=10**7)]


class _Configuration(BaseModel):
    """Such files hold much that changes no size; only what does is read."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    def decoder(self) -> Decoder:
        raise NotImplementedError


class _Llama(_Configuration):
    """LLaMA and those that share its parts."""

    vocab_size: Size
    hidden_size: Size
    intermediate_size: Size
    num_hidden_layers: Size
    num_attention_heads: Size
    num_key_value_heads: Size | None = None
    head_dim: Size | None = None
    max_position_embeddings: Size
    tie_word_embeddings: bool = False
    attention_bias: bool = False
    mlp_bias: bool = False

    @model_validator(mode="after")
    def _heads_fit(self) -> _Llama:
        if self.head_dim is None:
            _check_multiple("hidden_size", self.hidden_size, "num_attention_heads", self.num_attention_heads)
        if self.num_key_value_heads is not None:
            _check_multiple("num_attention_heads", self.num_attention_heads, "num_key_value_heads", self.num_key_value_heads)
        return self

    def decoder(self) -> Decoder:
        return Decoder(
            kind="llama",
            vocabulary=self.vocab_size,
            hidden=self.hidden_size,
            embedding=self.hidden_size,
            layers=self.num_hidden_layers,
            heads=self.num_attention_heads,
            kv_heads=self.num_key_value_heads or self.num_attention_heads,
            head_size=self.head_dim or self.hidden_size // self.num_attention_heads,
            feed_forward=self.intermediate_size,
            context_max=self.max_position_embeddings,
            is_gated=True,
            is_tied=self.tie_word_embeddings,
            norm_vectors=1,
            has_qkv_bias=self.attention_bias,
            has_output_bias=self.attention_bias,
            has_feed_forward_bias=self.mlp_bias,
        )


class _Mistral(_Llama):
    """LLaMA with attention that looks back so far and no further."""

    num_key_value_heads: Size | None = 8
    sliding_window: Size | None = 4096

    def decoder(self) -> Decoder:
        return replace(super().decoder(), kind="mistral", window=self.sliding_window)


class _Qwen2(_Llama):
    """LLaMA with biases on what goes into attention."""

    num_key_value_heads: Size | None = 32
    use_sliding_window: bool = False

    @model_validator(mode="after")
    def _no_window(self) -> _Qwen2:
        if self.use_sliding_window:
            message = "`use_sliding_window` is only known as false here; set it so, and the cache is counted in full"
            raise PydanticCustomError("window", "{message}", {"message": message})
        return self

    def decoder(self) -> Decoder:
        return replace(super().decoder(), kind="qwen2", has_qkv_bias=True, has_output_bias=False, has_feed_forward_bias=False)


class _Qwen3(_Qwen2):
    """Norms over each head in place of the biases."""

    head_dim: Size | None = 128

    def decoder(self) -> Decoder:
        biased = self.attention_bias
        return replace(super().decoder(), kind="qwen3", has_qkv_bias=biased, has_output_bias=biased, has_head_norms=True)


class _Gpt2(_Configuration):
    """GPT-2: learned positions, biases everywhere, the embedding is the output layer too."""

    vocab_size: Size
    n_embd: Size
    n_layer: Size
    n_head: Size
    n_positions: Size
    n_inner: Size | None = None
    tie_word_embeddings: bool = True

    @model_validator(mode="after")
    def _heads_fit(self) -> _Gpt2:
        _check_multiple("n_embd", self.n_embd, "n_head", self.n_head)
        return self

    def decoder(self) -> Decoder:
        return Decoder(
            kind="gpt2",
            vocabulary=self.vocab_size,
            hidden=self.n_embd,
            embedding=self.n_embd,
            layers=self.n_layer,
            heads=self.n_head,
            kv_heads=self.n_head,
            head_size=self.n_embd // self.n_head,
            feed_forward=self.n_inner or 4 * self.n_embd,
            context_max=self.n_positions,
            is_gated=False,
            is_tied=self.tie_word_embeddings,
            norm_vectors=2,
            has_qkv_bias=True,
            has_output_bias=True,
            has_feed_forward_bias=True,
            positions=self.n_positions,
        )


class _Opt(_Configuration):
    """OPT: as GPT-2, but that embeddings may be narrower than the layers; Zhang et al., "OPT" (2022)."""

    vocab_size: Size
    hidden_size: Size
    ffn_dim: Size
    num_hidden_layers: Size
    num_attention_heads: Size
    max_position_embeddings: Size
    word_embed_proj_dim: Size | None = None
    do_layer_norm_before: bool = True
    remove_final_layer_norm: Annotated[bool, Field(alias="_remove_final_layer_norm")] = False
    enable_bias: bool = True
    layer_norm_elementwise_affine: bool = True
    tie_word_embeddings: bool = True

    @model_validator(mode="after")
    def _heads_fit(self) -> _Opt:
        _check_multiple("hidden_size", self.hidden_size, "num_attention_heads", self.num_attention_heads)
        return self

    def decoder(self) -> Decoder:
        return Decoder(
            kind="opt",
            vocabulary=self.vocab_size,
            hidden=self.hidden_size,
            embedding=self.word_embed_proj_dim or self.hidden_size,
            layers=self.num_hidden_layers,
            heads=self.num_attention_heads,
            kv_heads=self.num_attention_heads,
            head_size=self.hidden_size // self.num_attention_heads,
            feed_forward=self.ffn_dim,
            context_max=self.max_position_embeddings,
            is_gated=False,
            is_tied=self.tie_word_embeddings,
            norm_vectors=2 if self.layer_norm_elementwise_affine else 0,
            has_final_norm=self.do_layer_norm_before and not self.remove_final_layer_norm,
            has_qkv_bias=self.enable_bias,
            has_output_bias=self.enable_bias,
            has_feed_forward_bias=self.enable_bias,
            positions=self.max_position_embeddings + 2,  # the table begins two rows before the first token
        )


KINDS: dict[str, type[_Configuration]] = {
    "llama": _Llama,
    "mistral": _Mistral,
    "qwen2": _Qwen2,
    "qwen3": _Qwen3,
    "gpt2": _Gpt2,
    "opt": _Opt,
}


def read_configuration(file: str, text: str) -> Decoder:
    """The decoder that a config.json describes. Raises PolicyError with all problems found. file: its name, for messages."""
    source = parse_source(file, text.replace("\t", " "), EXAMPLE)  # JSON is YAML, but for tabs between its values
    kind = source.data.get("model_type")
    if not isinstance(kind, str) or kind not in KINDS:
        said = "is missing" if kind is None else f"is {kind!r}"
        message = f"`model_type` {said}; decoders that can be counted: {', '.join(KINDS)}"
        raise PolicyError([Problem(file, source.line_of(("model_type",)), message)])
    try:
        return KINDS[kind].model_validate(source.data).decoder()
    except ValidationError as exc:
        raise PolicyError([problem_of(source, error) for error in exc.errors(include_url=False)]) from exc


def _check_multiple(name: str, whole: int, of: str, part: int) -> None:
    if whole % part:
        message = f"`{name}` ({whole}) is not a multiple of `{of}` ({part}); one of them is wrong"
        raise PydanticCustomError("multiple", "{message}", {"message": message})
