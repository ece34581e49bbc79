"""From the grammar's cascade to the engine's: each rung's rule, and whether asking it can save anything. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.policy.catalog import Model, Price, TokenPrice
from gateway.policy.model import AcceptRule, Agreement, Calibration, Saving
from gateway.policy.schema_models import AnthropicProvider, ProviderSpec
from gateway.policy.schema_routes import AcceptSpec, RungSpec
from gateway.policy.source import Path

Rungs = tuple[tuple[str, AcceptRule | None], ...]
Problem = Callable[[Path, str], None]
ReadCalibration = Callable[[str, Path], Calibration | None]


def compile_rungs(
    specs: list[RungSpec],
    path: Path,
    provider_of: Callable[[str], ProviderSpec | None],
    models: Mapping[str, Model],
    read: ReadCalibration,
    problem: Problem,
) -> Rungs:
    """(model, when its answer stands) of each rung. path: of the cascade. read: a calibration file by its name."""
    rungs: list[tuple[str, AcceptRule | None]] = []
    seen: set[str] = set()
    for k, spec in enumerate(specs):
        here: Path = (*path, k)
        if spec.model in seen:
            problem(here, f"model '{spec.model}' is in this cascade already; each rung is another model")
        seen.add(spec.model)
        rule = _rule(spec.accept, (*here, "accept"), read, problem) if spec.accept is not None else None
        if rule is not None and rule.needs_logprobs and isinstance(provider_of(spec.model), AnthropicProvider):
            problem(
                (*here, "accept"),
                f"'{spec.model}' is served by kind `anthropic`, whose API gives no log-probabilities; "
                "use `agreement`, `min_chars`, `max_chars` or the checks",
            )
        elif rule is not None and rule.needs_logprobs and spec.model in models and "logprobs" in models[spec.model].cannot:
            message = f"'{spec.model}' cannot give log-probabilities; use `agreement`, `min_chars`, `max_chars` or the checks"
            problem((*here, "accept"), message)
        rungs.append((spec.model, rule))
    return tuple(rungs)


def _rule(spec: AcceptSpec, path: Path, read: ReadCalibration, problem: Problem) -> AcceptRule:
    if spec.calibration is not None and spec.confidence is None:
        problem((*path, "calibration"), "`calibration` has no effect without `confidence`; add it, or remove the file")
    if spec.min_chars is not None and spec.max_chars is not None and spec.min_chars > spec.max_chars:
        problem((*path, "min_chars"), f"no answer has at least {spec.min_chars} and at most {spec.max_chars} characters")
    calibration = read(spec.calibration, (*path, "calibration")) if spec.calibration is not None else None
    highest = calibration.curve[-1][1] if calibration is not None and calibration.curve else 1.0
    if spec.confidence is not None and spec.confidence > highest:
        problem(
            (*path, "confidence"), f"no answer reaches {spec.confidence:g}: by '{spec.calibration}' {highest:.3g} is the highest"
        )
    return AcceptRule(
        **spec.model_dump(exclude={"agreement", "calibration"}),
        agreement=Agreement(spec.agreement.samples, spec.agreement.share) if spec.agreement is not None else None,
        calibration=calibration,
    )


def savings(rungs: Rungs, models: Mapping[str, Model]) -> dict[str, Saving]:
    """What each judged rung costs beside the last one, for those where both prices are known by the token.

    A last rung that costs nothing is no reason to leave the others out: then it is not money that the cascade saves.
    """
    last = _price(rungs[-1][0], models) if rungs else None
    if last is None or not (last.input or last.output):
        return {}
    found = {}
    for name, rule in rungs[:-1]:
        price = _price(name, models)
        if price is not None and rule is not None:
            times = rule.agreement.samples if rule.agreement is not None else 1
            found[name] = Saving(price, last, times)
    return found


def _price(name: str, models: Mapping[str, Model]) -> TokenPrice | None:
    price: Price | None = models[name].price if name in models else None
    return price if isinstance(price, TokenPrice) else None
