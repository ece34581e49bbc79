"""`turnout keys` as it is typed: what is made, shown, refused, and with which exit status."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.key_options import rate_text
from gateway.cli.main import main
from gateway.keys.directory import Directory
from gateway.keys.sqlite import SqliteKeys
from gateway.ledger.sqlite import SqliteLedger
from gateway.policy.grammar import rate
from gateway.policy.limits import Rate
from gateway.tenant import Tenant
from tests.keys.making import make
from tests.ledger.entries import entry
from tests.scenario.policies import one_model


class Shell:
    """Runs a command line in the test's data directory."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys

    def run(self, *words: str, status: int = 0) -> str:
        """What it prints."""
        assert main(["keys", *words]) == status
        said = self._capsys.readouterr()
        return said.out if status == 0 else said.err

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json"))

    def wrong(self, *words: str) -> str:
        """The last line of a usage error."""
        with pytest.raises(SystemExit) as left:
            main(["keys", *words])
        assert left.value.code == 2
        return self._capsys.readouterr().err.splitlines()[-1]

    def tenant(self, secret: str) -> Tenant:
        """Who a gateway takes the bearer of the secret for."""
        store, directory = SqliteKeys(self.folder / "keys.db"), Directory()
        directory.replace(store.held())
        store.close()
        return directory.caller_of(secret.encode()).tenant


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.setenv("TURNOUT_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("TURNOUT_LEDGER_URL", raising=False)
    return Shell(tmp_path, capsys)


ALL = [
    *("--name", "the IDE", "--team", "search", "--model", "gpt-*", "--model", "small", "--route", "direct", "--tag", "app=ide"),
    *("--tag", "level=1", "--expires", "90d", "--requests", "600/min", "--requests", "10000/day", "--tokens", "50/10s"),
]


def test_a_key_that_is_made_opens_the_gateway_with_all_that_was_said_of_it(shell: Shell) -> None:
    made = shell.json("create", *ALL)
    assert list(made)[:2] == ["id", "secret"]
    assert made["limits"] == {"requests": ["600/min", "10000/day"], "tokens": ["50/10s"]}
    tenant = shell.tenant(made["secret"])
    assert (tenant.key, tenant.team, tenant.tags) == (made["id"], "search", {"app": "ide", "level": "1"})
    assert (tenant.permit.models, tenant.permit.routes) == (("gpt-*", "small"), ("direct",))
    assert tenant.limits == (("requests", Rate(600, 60)), ("requests", Rate(10_000, 86_400)), ("tokens", Rate(50, 10)))


def test_the_secret_is_shown_once_and_never_again(shell: Shell) -> None:
    said = shell.run("create", *ALL)
    (secret,) = re.findall(r"sk-turnout-\S+", said)
    assert "The secret is shown this once and kept as a hash." in said
    assert "It is the first key: from now on callers need one" in said
    assert "first key" not in shell.run("create")
    assert secret not in shell.run("list") + json.dumps(shell.json("list"))
    assert secret[11:].encode() not in (shell.folder / "keys.db").read_bytes()


def test_list_shows_every_key_and_when_it_was_last_used(shell: Shell) -> None:
    assert "there is no virtual key: a gateway started now serves programs on this machine without one" in shell.run("list")
    assert shell.json("list") == []
    used, unused = shell.json("create", *ALL), shell.json("create")
    ledger = SqliteLedger(shell.folder / "ledger.db")
    ledger.append([entry(key=used["id"], at=2e9), entry(key=used["id"], at=1e9), entry(key="open-1", at=3e9)])
    ledger.append([entry(key=unused["id"], at=3e9, purpose="audit")])
    ledger.close()
    listed = shell.json("list")
    assert [key["id"] for key in listed] == [used["id"], unused["id"]]
    assert [key["last_used_at"] for key in listed] == ["2033-05-18T03:33:20Z", None]
    assert {k: v for k, v in listed[0].items() if k != "last_used_at"} == {k: v for k, v in used.items() if k != "secret"}
    table = shell.run("list").splitlines()
    assert table[0].split("  ")[0] == "id" and len(table) == 4
    assert re.search(
        r"the IDE +search +valid +gpt-\*, small +direct +600/min requests, 10000/day requests, 50/10s tokens", table[2]
    )


def test_list_does_without_a_ledger_that_cannot_be_read(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.json("create")
    (shell.folder / "ledger.db").write_text("no ledger at all" * 20)
    assert main(["keys", "list"]) == 0
    said = capsys.readouterr()
    assert "never" in said.out
    assert said.err.startswith("turnout: when keys were last used is not known: cannot open the ledger")


def test_revoke_shuts_a_key_out(shell: Shell) -> None:
    id_ = shell.json("create")["id"]
    assert re.fullmatch(rf"{id_} revoked at \S+Z\n", shell.run("revoke", id_))
    assert [key["state"] for key in shell.json("list")] == ["revoked"]
    assert shell.run("revoke", id_).startswith(f"{id_} was revoked at ")


def test_rotate_gives_another_secret_and_lets_the_old_one_run_out(shell: Shell) -> None:
    made = shell.json("create", "--team", "search")
    rotated = shell.json("rotate", made["id"], "--overlap", "1h")
    assert rotated["id"] == made["id"]
    assert shell.tenant(rotated["secret"]) == shell.tenant(made["secret"])
    store = SqliteKeys(shell.folder / "keys.db")
    ends = [held.until for held in store.held()]
    store.close()
    assert ends[1] is None and ends[0] is not None and abs(ends[0] - time.time() - 3600) < 60
    assert "The old one is valid until" in shell.run("rotate", made["id"])
    assert shell.run("rotate", made["id"], "--overlap", "0s").count("sk-turnout-") == 1


def test_a_key_that_opens_nothing_is_not_rotated(shell: Shell) -> None:
    id_ = shell.json("create")["id"]
    shell.run("revoke", id_)
    assert f"key '{id_}' is revoked: another secret would open nothing; make a new key" in shell.run("rotate", id_, status=1)
    old, _ = make(shell.folder, expires_at=1.0)
    assert f"key '{old.id}' is expired" in shell.run("rotate", old.id, status=1)


@pytest.mark.parametrize("verb", ["revoke", "rotate"])
def test_a_key_that_is_not_there_is_said(shell: Shell, verb: str) -> None:
    assert shell.run(verb, "key_x", status=1) == "turnout: key 'key_x' is not there; `turnout keys list` shows those that are\n"
    assert not (shell.folder / "keys.db").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--expires", "2020-01-01"], "'2020-01-01' is not in the future"),
        (["--expires", "0d"], "'0d' is not in the future"),
        (["--expires", "soon"], "'soon' is no time; write one such as 90d, 2027-01-31 or 2027-01-31T18:00Z"),
        (["--expires", "99999999999d"], "is later than a date can be"),
        (["--requests", "many"], 'a number in a time is expected, such as "600/min"'),
        (["--tag", "app"], "cannot read 'app'; write NAME=VALUE, without commas"),
        (["--tag", "app=a,b"], "cannot read 'app=a,b'"),
        (["--tag", "app=a\nb"], "cannot read 'app=a\\nb'"),
        (["--team", "no spaces"], "'no spaces' is no team's name; give letters, digits"),
        (["--name", " "], "' ' is no name; give 1 to 100 printable characters"),
        (["--name", "a\x1b[31m"], "is no name"),
        (["--model", ""], "'' is no glob of names"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(shell: Shell, words: list[str], said: str) -> None:
    line = shell.wrong("create", *words)
    assert f"argument {words[0]}: " in line and said in line
    assert not (shell.folder / "keys.db").exists()


def test_what_contradicts_itself_is_refused(shell: Shell) -> None:
    assert "--tag: a name is there twice" in shell.run("create", "--tag", "a=1", "--tag", "a=2", status=2)
    said = shell.run("create", "--requests", "60/min", "--requests", "10/60s", status=2)
    assert "--requests, --tokens: two limits for the same length of time; give one" in said
    assert "a duration with its unit is expected" in shell.wrong("rotate", "key_x", "--overlap", "2y")
    assert "is more than a year" in shell.wrong("rotate", "key_x", "--overlap", "400d")


def test_dates_are_utc_unless_they_say_otherwise(shell: Shell) -> None:
    def until(text: str) -> str:
        return str(shell.json("create", "--expires", text)["expires_at"])

    assert until("2999-01-31") == "2999-01-31T00:00:00Z"
    assert until("2999-01-31T18:00") == "2999-01-31T18:00:00Z"
    assert until("2999-01-31T18:00+02:00") == "2999-01-31T16:00:00Z"


def test_keys_that_cannot_be_read_are_said_with_the_remedy(shell: Shell) -> None:
    (shell.folder / "keys.db").write_text("no database at all" * 20)
    for words in (["create"], ["list"], ["rotate", "key_x"], ["revoke", "key_x"]):
        assert shell.run(*words, status=1).startswith("turnout: cannot use the keys in '")


def test_keys_that_are_lost_are_said_and_new_ones_can_be_made(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.json("create")
    (shell.folder / "keys.db").unlink()
    assert shell.run("list", status=1).startswith("turnout: virtual keys were made here, as '")
    ((level, what, _),) = doctor(shell, capsys)
    assert level == "broken" and what.startswith("virtual keys were made here, as '")
    made = shell.json("create")
    assert [key["id"] for key in shell.json("list")] == [made["id"]]


@given(st.integers(1, 10**15 - 1), st.integers(1, 999), st.sampled_from(["s", "min", "h", "day"]))
def test_a_rate_is_written_as_it_is_read(amount: int, count: int, unit: str) -> None:
    one = Rate(*rate(f"{amount}/{count}{unit}"))
    assert Rate(*rate(rate_text(one))) == one


# The doctor.


def doctor(shell: Shell, capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str, str]]:
    policy = shell.folder / "policy.yaml"
    policy.write_text(one_model())
    main(["doctor", "--policy", str(policy), "--json"])
    return [(f["level"], f["what"], f["remedy"]) for f in json.loads(capsys.readouterr().out) if f["thing"] == "keys"]


def test_the_doctor_counts_the_keys(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor(shell, capsys) == [("ok", "no virtual key: programs on this machine are served without one", "")]
    ids = [shell.json("create")["id"] for _ in range(2)]
    assert doctor(shell, capsys) == [("ok", "2 virtual keys: callers need one", "")]
    shell.run("revoke", ids[0])
    make(shell.folder, expires_at=1.0)
    assert doctor(shell, capsys) == [("ok", "1 virtual key (1 revoked, 1 expired besides): callers need one", "")]
    shell.run("revoke", ids[1])
    remedy = "every request is refused; make one with `turnout keys create`"
    assert doctor(shell, capsys) == [("missing", "no virtual key is valid: 2 revoked, 1 expired", remedy)]


def test_the_doctor_names_globs_that_match_nothing(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    id_ = shell.json("create", "--model", "fir*", "--model", "gpt-4", "--route", "direct", "--route", "cheap")["id"]
    assert doctor(shell, capsys)[1:] == [
        ("missing", f"{id_}: --model 'gpt-4' is none of the policy's models", "the policy has first"),
        ("missing", f"{id_}: --route 'cheap' is none of the policy's routes", "the policy has direct, all"),
    ]


def test_the_doctor_says_that_keys_cannot_be_read(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    (shell.folder / "keys.db").write_text("no database at all" * 20)
    ((level, what, _),) = doctor(shell, capsys)
    assert level == "broken" and what.startswith("cannot use the keys in ")
