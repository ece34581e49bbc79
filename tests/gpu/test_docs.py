"""The figures of docs/self-hosted.md, made by what makes them in the ledger."""

from pathlib import Path

from gateway.gpu.hour import PaidHour
from gateway.ledger.base import GpuUse
from gateway.policy.catalog import BusyPrice
from gateway.pricing.cost import cost_nusd, usd
from gateway.report.machines import Machine
from tests.policy.sample import compiled

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "self-hosted.md").read_text(encoding="utf-8")
BUSY_S = {"app": 540.0, "batch": 1620.0}


def documented() -> str:
    """The policy of the page, made whole."""
    models = TEXT.split("```yaml\n")[1].split("```")[0]
    return f"version: 1\nproviders: {{rack: {{kind: fake}}}}\n{models}\nroutes: [{{name: all, model: own}}]\n"


def test_the_table_is_what_is_booked_and_settled() -> None:
    model = compiled(documented()).models["own"]
    assert model.gpu is not None and model.gpu.is_settled and isinstance(model.price, BusyPrice)
    paid = PaidHour("own", "rack", 0, model.gpu.pusd_per_hour // 1000, "p")
    booked = {key: cost_nusd(model.price, None, busy_s) or 0 for key, busy_s in BUSY_S.items()}
    uses = [GpuUse("all", key, None, busy_s, 0.0, 0, 0, booked[key]) for key, busy_s in BUSY_S.items()]
    settled = {entry.key: entry.cost_nusd or 0 for entry in paid.differences(uses)}
    assert sum([*booked.values(), *settled.values()]) == 2_000_000_000
    lines = [(f"`{key}`", BUSY_S[key], booked[key], settled[key]) for key in BUSY_S]
    lines.append(("total", sum(BUSY_S.values()), sum(booked.values()), sum(settled.values())))
    for name, busy_s, at_once, later in lines:
        assert f"| {name} | {busy_s:,.0f} s | {_usd(at_once)} | {_usd(later)} | {_usd(at_once + later)} |" in TEXT
    assert f"{model.price.pusd_per_second / 1e12:.6f} USD a second" in TEXT


def test_what_a_token_really_cost() -> None:
    machine = Machine("own", 1, 2_000_000_000, 2160.0, 540.0, 5_400_000, 600_000, 0, 0, 0)
    read, wrote = machine.usd_per_million
    assert f"the hour's 2 USD were {read:.4f} USD per million tokens in and {wrote:.2f} per million out" in TEXT.replace(
        "\n", " "
    )


def _usd(nusd: int) -> str:
    return f"{usd(nusd):.2f}"
