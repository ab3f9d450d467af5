"""Accounts, passwords, sessions, API tokens and throttling, on a real store with a clock of the test's own."""

import contextlib
import json
import stat
import threading
from pathlib import Path
from typing import Any

import pyotp
import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import Type
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from one_reviewer import GOOD, Clock

from chatbot_assets.cli import main
from chatbot_assets.commands import UserError
from resources.audit import AuditLog
from resources.environment import Home
from serving.people import sessions, throttle
from serving.people.accounts import LINK_SECONDS
from serving.people.directory import Directory, TooManyAttemptsError, first_administrator
from serving.people.passwords import CommonPasswordError, check_password
from serving.people.roles import ROLES, How, Permission, permissions_of
from serving.people.sessions import Identity
from serving.people.store import FILE, PeopleError

OTHER = "seven loud green parrots"
COMMON = "Password1234!"
HERE = "192.0.2.1"


def with_second_factor(directory: Directory, name: str = "kim") -> pyotp.TOTP:
    """Sets up somebody's second factor with a code of half a minute ago; gives the app."""
    secret = directory.second_factors.begin("acme", name)
    assert secret
    app = pyotp.TOTP(secret)
    assert directory.second_factors.confirm("acme", name, app.at(directory.store.now() - 30))
    return app


def session_of(directory: Directory, name: str = "kim") -> str:
    return directory.sessions.begin(Identity("acme", name, How.PASSWORD))


# -- passwords ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "password", ["", "short", "x" * 11, "x" * 40, "ababababababab", "kim is my own name", "x" * 129]
)
def test_a_password_that_is_easily_guessed_is_refused(password: str) -> None:
    with pytest.raises(PeopleError, match="a password"):
        check_password(password, "acme", "kim")


@pytest.mark.parametrize(
    "password",
    [
        COMMON,
        "qwertyuiop12",
        "1q2w3e4r5t6y",
        "P@ssw0rd2024",
        "administrator",
        "비밀번호12345678",
        "ｐａｓｓｗｏｒｄ1234",
    ],
)
def test_a_common_password_is_refused_and_says_so(password: str) -> None:
    with pytest.raises(CommonPasswordError, match="must not be a common one"):
        check_password(password, "acme", "kim")


@pytest.mark.timeout(60)
def test_a_password_made_to_keep_the_check_busy_is_answered() -> None:
    with contextlib.suppress(PeopleError):
        check_password("8<732|50+(@%$4{19![6" * 6)  # all of it would take zxcvbn for ever


@pytest.mark.parametrize("password", [GOOD, "비밀번호는 길어야 좋습니다 정말로", "  spaces are good too  "])
def test_a_long_password_of_any_characters_is_taken(password: str) -> None:
    check_password(password, "acme", "kim")


def test_passwords_are_kept_by_argon2id_and_never_as_they_are(directory: Directory, home: Home) -> None:
    row = directory.store.row("SELECT password FROM people")
    assert row
    parameters = extract_parameters(row["password"])
    kept = (parameters.type, parameters.memory_cost, parameters.time_cost)
    assert kept == (Type.ID, 19 * 1024, 2)
    for file in home.root.rglob("*"):
        if file.is_file():
            assert GOOD.encode() not in file.read_bytes()


def test_a_hash_of_other_parameters_is_made_anew_at_the_next_sign_in(directory: Directory) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(GOOD)
    directory.store.change("UPDATE people SET password = ?", weak)
    assert directory.sign_in("acme", "kim", GOOD, HERE)
    row = directory.store.row("SELECT password FROM people")
    assert row and row["password"] != weak
    assert directory.sign_in("acme", "kim", GOOD, HERE)


def test_composed_and_decomposed_letters_are_the_same_password(directory: Directory) -> None:
    account = directory.accounts.find("acme", "kim")
    assert account
    directory.accounts.change_password(account, "e\u0301te\u0301 sans nuages", "")
    assert directory.sign_in("acme", "kim", "\u00e9t\u00e9 sans nuages", HERE)


# -- accounts -----------------------------------------------------------------------------------------------------


def test_nobody_can_sign_in_before_a_password_was_set(directory: Directory) -> None:
    directory.accounts.add("acme", "lee", ["planner"])
    for password in ("", "admin", "lee", GOOD):
        assert directory.sign_in("acme", "lee", password, HERE) is None


def test_a_link_sets_a_password_once_and_ends(directory: Directory, clock: Clock) -> None:
    link = directory.accounts.invite("acme", "kim")
    with pytest.raises(PeopleError):
        directory.accounts.accept(link, "short")
    assert directory.accounts.accept(link, OTHER)
    assert directory.accounts.accept(link, GOOD) is None
    late = directory.accounts.invite("acme", "kim")
    clock.seconds += LINK_SECONDS + 1
    assert directory.accounts.invited(late) is None and directory.accounts.accept(late, GOOD) is None
    assert directory.sign_in("acme", "kim", OTHER, HERE)


def test_a_newer_link_ends_the_older_one(directory: Directory) -> None:
    older = directory.accounts.invite("acme", "kim")
    newer = directory.accounts.invite("acme", "kim")
    assert directory.accounts.invited(older) is None and directory.accounts.invited(newer)


def test_a_name_belongs_to_one_tenant(directory: Directory) -> None:
    directory.accounts.add("globex", "kim", ["planner"])
    assert directory.sign_in("globex", "kim", GOOD, HERE) is None
    assert directory.sign_in("acme", "kim", GOOD, HERE)


def test_the_last_administrator_stays(directory: Directory) -> None:
    directory.accounts.add("acme", "root", ["administrator"])
    for change in (
        lambda: directory.accounts.remove("acme", "root"),
        lambda: directory.accounts.set_roles("acme", "root", ["planner"]),
    ):
        with pytest.raises(PeopleError, match="last administrator"):
            change()
    directory.accounts.set_roles("acme", "kim", ["administrator"])
    directory.accounts.remove("acme", "root")
    assert [one.name for one in directory.accounts.listed("acme")] == ["kim"]


@given(st.text(max_size=120))
def test_whatever_is_given_as_a_name_is_taken_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    found = Directory(Home(tmp_path_factory.mktemp("names"), Path()))
    try:
        found.accounts.add("acme", name, ["planner"])
    except PeopleError as error:
        assert "\n" not in str(error)
    else:
        assert name == name.lower().strip() and found.accounts.find("acme", name)


def test_the_store_is_for_its_owner_alone_and_holds_no_secret(directory: Directory, home: Home) -> None:
    link = directory.accounts.invite("acme", "kim")
    session = session_of(directory)
    token = directory.tokens.make("acme", "bot", ["chat"], by="kim")
    files = sorted(home.root.glob(f"{FILE}*"))
    assert files
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        for secret in (link, session, token):
            assert secret.encode() not in file.read_bytes()


def test_the_first_administrator_comes_by_a_link_and_only_while_there_is_none(home: Home) -> None:
    found = Directory(home)
    link, again = first_administrator(found, "acme"), first_administrator(found, "acme")
    assert link and again and found.accounts.invited(link) is None
    account = found.accounts.accept(again, GOOD)
    assert account and (account.name, account.roles) == ("admin", ("administrator",))
    assert first_administrator(found, "acme") is None


# -- sessions -----------------------------------------------------------------------------------------------------


def test_a_session_ends_when_nobody_was_there_and_at_the_latest_after_half_a_day(
    directory: Directory, clock: Clock
) -> None:
    session = session_of(directory)
    clock.seconds += sessions.IDLE_SECONDS - 1
    assert directory.sessions.person(session)
    for _ in range(sessions.LONGEST_SECONDS // sessions.IDLE_SECONDS + 1):
        clock.seconds += sessions.IDLE_SECONDS - 1
        found = directory.sessions.person(session)
    assert found is None
    idle = session_of(directory)
    clock.seconds += sessions.IDLE_SECONDS
    assert directory.sessions.person(idle) is None


def test_a_change_of_roles_counts_at_the_next_request(directory: Directory) -> None:
    session = session_of(directory)
    for role in ("planner", "researcher"):
        directory.accounts.set_roles("acme", "kim", [role])
        person = directory.sessions.person(session)
        assert person and person.permissions == ROLES[role]


def test_another_password_ends_the_other_sessions(directory: Directory) -> None:
    mine, elsewhere = session_of(directory), session_of(directory)
    person = directory.sessions.person(mine)
    account = directory.accounts.find("acme", "kim")
    assert person and account
    directory.accounts.change_password(account, OTHER, person.session)
    assert directory.sessions.person(mine) and directory.sessions.person(elsewhere) is None


@pytest.mark.parametrize("how", ["reset", "remove", "link"])
def test_a_lost_account_has_no_session_left(directory: Directory, how: str) -> None:
    session = session_of(directory)
    if how == "reset":
        directory.accounts.forget_password("acme", "kim")
    elif how == "remove":
        directory.accounts.remove("acme", "kim")
    else:
        directory.accounts.accept(directory.accounts.invite("acme", "kim"), OTHER)
    assert directory.sessions.person(session) is None


def test_signing_out_everywhere_ends_one_person_s_sessions_alone(directory: Directory) -> None:
    directory.accounts.add("acme", "lee", ["planner"])
    assert directory.accounts.accept(directory.accounts.invite("acme", "lee"), OTHER)
    mine, mine_too, other = session_of(directory), session_of(directory), session_of(directory, "lee")
    person = directory.sessions.person(mine)
    assert person
    directory.sessions.end_all(person)
    assert [bool(directory.sessions.person(one)) for one in (mine, mine_too, other)] == [False, False, True]


# -- tokens -------------------------------------------------------------------------------------------------------


def test_a_token_may_do_what_its_scopes_say_until_it_ends(directory: Directory, clock: Clock) -> None:
    token = directory.tokens.make("acme", "shop", ["chat"], by="kim", days=1)
    found = directory.tokens.find(token)
    assert found and (found.tenant, found.scopes) == ("acme", {Permission.CHAT})
    clock.seconds += 86400
    assert directory.tokens.find(token) is None


def test_a_revoked_token_is_none_in_any_process_and_its_sessions_end(directory: Directory, home: Home) -> None:
    token = directory.tokens.make("acme", "shop", ["read"], by="kim")
    worker = Directory(home, directory.store.now)
    found = worker.tokens.find(token)
    assert found
    session = worker.sessions.begin(Identity.of_token(found))
    assert worker.sessions.person(session)
    directory.tokens.revoke("acme", "shop")
    assert worker.tokens.find(token) is None and worker.sessions.person(session) is None


def test_when_a_token_was_used_is_told(directory: Directory, clock: Clock) -> None:
    token = directory.tokens.make("acme", "shop", ["read"], by="kim")
    assert directory.tokens.listed("acme")[0].used_at is None
    clock.seconds += 5
    directory.tokens.find(token)
    assert directory.tokens.listed("acme")[0].used_at == clock.seconds


@pytest.mark.parametrize(
    ("name", "scopes", "days"),
    [("x", [], 1), ("x", ["all"], 1), ("x", ["chat"], 0), ("local", ["chat"], 1), ("", ["chat"], 1)],
)
def test_a_token_that_cannot_be_is_refused(directory: Directory, name: str, scopes: list[str], days: int) -> None:
    with pytest.raises(PeopleError):
        directory.tokens.make("acme", name, scopes, by="kim", days=days)


def test_the_machine_s_own_token_reads_and_chats_and_manages_nothing(directory: Directory, home: Home) -> None:
    (home.root / "tokens.json").write_text(json.dumps({"acme": "own", "globex": ""}), encoding="utf-8")
    found = directory.tokens.find("own")
    assert found and (found.tenant, found.name) == ("acme", "local")
    assert not found.scopes & {Permission.ADMIN, Permission.REVIEW}
    assert directory.tokens.find("") is None


# -- throttling ---------------------------------------------------------------------------------------------------


def failures(directory: Directory, count: int, address: str = HERE, name: str = "kim") -> None:
    for _ in range(count):
        assert directory.sign_in("acme", name, "wrong", address) is None


@pytest.mark.parametrize("name", ["kim", "nobody"])
def test_each_failure_doubles_the_wait_whether_the_account_exists_or_not(
    directory: Directory, clock: Clock, name: str
) -> None:
    failures(directory, 5, name=name)
    waits = []
    for _ in range(12):
        with pytest.raises(TooManyAttemptsError) as caught:
            directory.sign_in("acme", name, GOOD, HERE)
        waits.append(caught.value.seconds - 1)
        clock.seconds += waits[-1]
        failures(directory, 1, name=name)
    assert waits[:4] == [1, 2, 4, 8] and waits[-1] == throttle.LONGEST_SECONDS


def test_waiting_lets_the_right_password_in_and_forgets_the_failures(directory: Directory, clock: Clock) -> None:
    failures(directory, 5)
    clock.seconds += 1
    assert directory.sign_in("acme", "kim", GOOD, HERE)
    failures(directory, 4)
    assert directory.sign_in("acme", "kim", GOOD, HERE)


def test_failures_are_known_after_a_restart(directory: Directory, home: Home) -> None:
    failures(directory, 5)
    with pytest.raises(TooManyAttemptsError):
        Directory(home, directory.store.now).sign_in("acme", "kim", GOOD, HERE)


def test_an_address_that_tries_many_accounts_waits_and_another_one_does_not(directory: Directory) -> None:
    for number in range(30):
        failures(directory, 1, name=f"somebody{number}")
    with pytest.raises(TooManyAttemptsError):
        directory.sign_in("acme", "kim", GOOD, HERE)
    assert directory.sign_in("acme", "kim", GOOD, "192.0.2.2")


def test_attempts_at_the_same_time_are_all_counted(directory: Directory) -> None:
    allowed = []

    def attempt() -> None:
        source = throttle.account_source("acme", "kim")
        allowed.append(throttle.Throttle(directory.store).attempt([source]) == 0)

    threads = [threading.Thread(target=attempt) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(allowed) == 5


# -- what is noted ------------------------------------------------------------------------------------------------


def test_sign_ins_are_noted_without_what_was_typed(directory: Directory, home: Home) -> None:
    directory.sign_in("acme", "kim", "my wrong secret", HERE)
    directory.sign_in("acme", "typed-into-the-wrong-field", "x", HERE)
    directory.sign_in("acme", "kim", GOOD, HERE)
    log = AuditLog(home.root, "acme")
    noted = [(entry["actor"], entry["outcome"]) for entry in log.entries()]
    assert noted == [("kim", "refused"), ("an unknown account", "refused"), ("kim", "done")]
    text = log.path.read_text(encoding="utf-8")
    assert not [typed for typed in ("my wrong secret", "typed-into", GOOD) if typed in text]


def test_a_stranger_makes_no_log_of_a_tenant_that_is_none(directory: Directory, home: Home) -> None:
    assert directory.sign_in("nobody", "kim", GOOD, HERE) is None
    assert directory.sign_in("../../etc", "kim", GOOD, HERE) is None
    assert not list((home.root / "audit").glob("*"))


# -- commands -----------------------------------------------------------------------------------------------------


@pytest.fixture
def call(home: Home, write_bot: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    write_bot()
    monkeypatch.setenv("CHATBOT_HOME", str(home.root))
    monkeypatch.setenv("CHATBOT_BOTS", str(home.bots))

    def run(*arguments: str, status: int = 0) -> dict[str, Any]:
        done = CliRunner().invoke(main, [*arguments, "--json"])
        if isinstance(done.exception, UserError):
            raise done.exception
        assert done.exit_code == status, done.output
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return run


def test_people_are_managed_by_commands_and_each_change_is_noted(call: Any, home: Home, clock: Clock) -> None:
    made = call("people", "add", "acme", "kim", "--role", "administrator")
    assert made["link"].startswith("http://127.0.0.1:8080/password?link=") and not made["has_password"]
    call("people", "add", "acme", "lee", "--role", "planner", "--role", "reviewer")
    call("people", "role", "acme", "lee", "administrator")
    assert call("people", "reset", "acme", "kim")["link"] != made["link"]
    with_second_factor(Directory(home, clock), "kim")
    assert call("people", "list", "acme")["people"][0]["has_second_factor"]
    assert not call("people", "reset-second-factor", "acme", "kim")["has_second_factor"]
    call("people", "remove", "acme", "kim")
    assert [one["name"] for one in call("people", "list", "acme")["people"]] == ["lee"]
    token = call("tokens", "add", "acme", "shop", "--scope", "chat")["token"]
    assert call("tokens", "list", "acme")["tokens"][0]["name"] == "shop"
    call("tokens", "revoke", "acme", "shop")
    report = call("audit", "acme")
    assert [entry["event"] for entry in report["entries"]] == [
        *("person_added", "person_added", "roles_changed", "password_reset", "second_factor_reset"),
        "person_removed",
        *("token_made", "token_revoked"),
    ]
    assert token not in json.dumps(report) and report["whole"]
    assert call("audit", "acme", "--expect", report["head"])["whole"]
    assert not call("audit", "acme", "--expect", "0" * 63, status=1)["whole"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("people", "add", "acme", "kim", "--role", "king"), "role 'king' is unknown"),
        (("people", "add", "acme", "Kim!", "--role", "planner"), "is no account name"),
        (("people", "add", "nobody", "kim", "--role", "planner"), "there is no tenant nobody"),
        (("people", "remove", "acme", "kim"), "acme has no account kim"),
        (("people", "reset-second-factor", "acme", "kim"), "acme has no account kim"),
        (("tokens", "revoke", "acme", "x"), "acme has no token x"),
        (("tokens", "add", "acme", "x", "--scope", "all"), "scope 'all' is unknown"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(call: Any, arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)


def test_roles_give_what_they_should_and_an_unknown_one_nothing() -> None:
    assert permissions_of(["gone"]) == frozenset()
    assert permissions_of(["planner", "reviewer"]) == ROLES["reviewer"]
    assert [role for role in ROLES if Permission.ADMIN in ROLES[role]] == ["administrator"]
