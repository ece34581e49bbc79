"""The shared ledger on a real PostgreSQL: the suite of every ledger, and what is the database's own."""

from __future__ import annotations

import psycopg
import pytest

from gateway.errors import ConfigError
from gateway.ledger.base import LedgerReader, LedgerStore
from gateway.ledger.postgres import PostgresLedger
from gateway.ledger.postgres_reader import PostgresReader
from gateway.postgres_link import PostgresLink, with_marks
from gateway.postgres_url import check_postgres_url
from tests.contract.ledger_suite import LedgerSuite
from tests.ledger.entries import answered, entry
from tests.postgres_server import PostgresServer, postgres

__all__ = ["postgres"]


class TestPostgres(LedgerSuite):
    @pytest.fixture(autouse=True)
    def new_place(self, postgres: PostgresServer) -> None:
        self.url = postgres.new_database()
        self.opener = f"from gateway.ledger.postgres import PostgresLedger\nledger = PostgresLedger({self.url!r})"

    def open(self) -> LedgerStore:
        return PostgresLedger(self.url)

    def reader(self) -> LedgerReader:
        return PostgresReader(self.url)


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.new_database()


def test_a_nul_that_the_database_keeps_not_costs_no_entry(url: str) -> None:
    ledger = PostgresLedger(url)
    ledger.append([entry("r-1", error="a\0b", tags={"a": "b\0c"})])
    found = ledger.find("r-1")
    assert found is not None and (found.error, found.tags) == ("a\ufffdb", {"a": "b\0c"})
    ledger.close()


def test_a_group_that_is_too_long_to_be_told_apart_is_never_kept(url: str) -> None:
    ledger = PostgresLedger(url)
    words = "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(9_000))
    with pytest.raises(ValueError, match="index row"):
        ledger.append([entry("r-1", route=words)])
    ledger.append([entry("r-2")])
    assert ledger.find("r-1") is None
    assert ledger.find("r-2") is not None
    ledger.close()


def test_a_connection_that_was_lost_is_made_anew(url: str, postgres: PostgresServer) -> None:
    ledger = PostgresLedger(url)
    ledger.append([entry("r-1")])
    with psycopg.connect(postgres.url(), autocommit=True) as operator:
        operator.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'turnout'")
    with pytest.raises(OSError, match="cannot write the ledger at postgresql://127"):
        ledger.append([entry("r-2")])
    ledger.append([entry("r-2")])
    assert ledger.find("r-2") is not None
    ledger.close()


def test_a_server_that_says_nothing_is_given_up(url: str, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    link = PostgresLink(url)
    with link.transaction() as cursor:
        cursor.execute("SELECT 1")
    postgres.freeze()
    try:
        with pytest.raises(OSError), link.transaction(bound_s=0.5) as cursor:
            cursor.execute("SELECT 1")
    finally:
        postgres.thaw()
    with link.transaction(bound_s=5.0) as cursor:
        assert cursor.execute("SELECT 1 AS one").fetchall() == [{"one": 1}]
    link.close()


def test_whoever_reads_a_month_keeps_it_from_being_dropped_and_delays_no_entry(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.postgres_link.LOCK_SHARE", 0.01)
    ledger = PostgresLedger(url)
    ledger.append([entry("r-1")])
    with psycopg.connect(url) as somebody:
        somebody.execute("SELECT * FROM entry").fetchall()  # and its transaction is not over
        with pytest.raises(OSError, match="lock timeout"):
            ledger.prune(2e9)
        ledger.append([entry("r-2"), entry("r-3", at=5e6)])  # one in a month that is new
        somebody.rollback()
        assert len(ledger.prune(2e9)) == 2
    ledger.close()


def test_sessions_are_left_as_they_were(url: str) -> None:
    link = PostgresLink(url)
    asked = "SELECT current_setting('statement_timeout') AS a, current_setting('transaction_read_only') AS b"
    with link.transaction(is_read_only=True, bound_s=3.0) as cursor:
        assert cursor.execute(asked).fetchone() == {"a": "3s", "b": "on"}
    with link.transaction(bound_s=None) as cursor:
        assert cursor.execute(asked).fetchone() == {"a": "0", "b": "off"}
    assert link._connection is not None
    assert link._connection.execute(asked).fetchone() == {"a": "0", "b": "off"}
    link.close()


def test_values_of_a_query_are_told_from_what_it_says() -> None:
    assert with_marks("a = ? AND b LIKE '50 % ?''?' AND c % 2 = ?") == "a = %s AND b LIKE '50 %% ?''?' AND c %% 2 = %s"


# Opening.


def test_a_database_without_a_ledger_is_said_and_not_begun_by_a_reader(url: str) -> None:
    with pytest.raises(ConfigError, match=r"there is no ledger at postgresql://127\.0\.0\.1:\d+/test_\d+; start the gateway"):
        PostgresReader(url)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


def test_a_ledger_of_a_newer_version_is_left_alone(url: str) -> None:
    PostgresLedger(url).close()
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE ledger_layout SET version = 99")
    for open_ in (PostgresLedger, PostgresReader):
        with pytest.raises(ConfigError, match=r"written by a newer Turnout \(layout 99"):
            open_(url)


def test_tables_of_somebody_else_are_left_alone(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE feedback (mine text)")
    with pytest.raises(ConfigError, match=r'relation "feedback" already exists.*of the ledger'):
        PostgresLedger(url)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall() == [("feedback",)]


def test_a_role_needs_no_more_than_a_schema_of_its_own_and_readers_no_more_than_select(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as operator:
        for statement in (
            "DROP ROLE IF EXISTS gateway_role",
            "DROP ROLE IF EXISTS report_role",
            "CREATE ROLE gateway_role LOGIN",
            "CREATE ROLE report_role LOGIN",
            "CREATE SCHEMA turnout AUTHORIZATION gateway_role",
            "ALTER ROLE gateway_role SET search_path = turnout",
            "ALTER ROLE report_role SET search_path = turnout",
        ):
            operator.execute(statement)
    ledger = PostgresLedger(url.replace("turnout:hush-hush", "gateway_role"))
    ledger.append([answered("a", "r", "m", 7)])
    with psycopg.connect(url, autocommit=True) as operator:
        operator.execute("GRANT USAGE ON SCHEMA turnout TO report_role")
        operator.execute("GRANT SELECT ON ALL TABLES IN SCHEMA turnout TO report_role")
        grant = "ALTER DEFAULT PRIVILEGES FOR ROLE gateway_role IN SCHEMA turnout GRANT SELECT ON TABLES TO report_role"
        operator.execute(grant)
    ledger.append([answered("b", "r", "m", 8, at=5e6)])  # in a month whose table is made after the grant
    assert len(ledger.prune(1_000_000 + 86_400 * 30)) == 1
    ledger.close()
    reader = PostgresReader(url.replace("turnout:hush-hush", "report_role"))
    assert reader.rows("SELECT sum(cost_nusd) AS cost FROM rollup") == [{"cost": 15}]
    assert reader.rows("SELECT request_id FROM entry") == [{"request_id": "b"}]
    assert [part.entry for part in reader.parts()] == ["entry_197002"]
    assert "entry_197002" in reader.sizes()
    reader.close()


def test_a_role_that_may_not_read_is_told_what_to_grant_it(url: str) -> None:
    told = r"GRANT its role USAGE on the ledger's schema and SELECT on all tables in it, as docs/ledger\.md shows"
    with psycopg.connect(url, autocommit=True) as operator:
        operator.execute("DROP ROLE IF EXISTS stranger")
        operator.execute("CREATE ROLE stranger LOGIN")
        operator.execute("CREATE SCHEMA turnout")
        operator.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET search_path = turnout")
        PostgresLedger(url).close()
        theirs = url.replace("turnout:hush-hush", "stranger")
        with pytest.raises(ConfigError, match=f"no schema in the search path of postgresql://127.* is open to the role; {told}"):
            PostgresReader(theirs)
        operator.execute("GRANT USAGE ON SCHEMA turnout TO stranger")
        with pytest.raises(ConfigError, match=f"permission denied for table ledger_layout; {told}") as caught:
            PostgresReader(theirs)
        assert "is up" not in str(caught.value)
        operator.execute("GRANT SELECT ON turnout.ledger_layout TO stranger")
        reader = PostgresReader(theirs)
        with pytest.raises(OSError, match=f"permission denied for table rollup; {told}"):
            reader.rows("SELECT * FROM rollup")
        with pytest.raises(OSError, match=f"permission denied for table entry; {told}"):
            next(reader.batches("SELECT * FROM entry"))
        reader.close()


@pytest.mark.parametrize(
    "bad", ["postgresql://u:secret@h:no-port/d", "postgresql://u:secret/x@h/d", "postgresql://u:secret@h/d?no=1"]
)
def test_an_address_that_is_none_is_said_without_its_password(bad: str) -> None:
    with pytest.raises(ConfigError, match="TURNOUT_LEDGER_URL is not an address of PostgreSQL; give one such as") as caught:
        check_postgres_url(bad)
        PostgresLedger(bad)
    assert "secret" not in str(caught.value)


def test_a_server_that_is_not_there_is_said_without_its_password() -> None:
    bad = "postgresql://u:hush-hush@127.0.0.1:9/d"
    check_postgres_url(bad)
    for open_ in (PostgresLedger, PostgresReader):
        with pytest.raises(
            ConfigError, match=r"cannot open the ledger: postgresql://127\.0\.0\.1:9/d: .*TURNOUT_LEDGER_URL"
        ) as caught:
            open_(bad)
        assert "hush" not in str(caught.value)


def test_what_a_server_is_can_be_asked(url: str) -> None:
    link = PostgresLink(url)
    server = link.server()
    link.close()
    assert server.major >= 13
    assert server.version.startswith(str(server.major))
    assert server.may_create
    assert abs(server.skew_s) < 5
