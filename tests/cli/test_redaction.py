"""Secrets do not get past the redactor."""

from __future__ import annotations

import json

import pytest

from penstock.cli.redaction import Redactor


@pytest.mark.parametrize(
    ("address", "said", "hidden"),
    [
        ("postgresql://bob:hunter2@db/shop", "login of bob with hunter2 failed", "hunter2"),
        ("postgresql://bob:p%40ss%2Fword@db/shop", "password p@ss/word is wrong", "p@ss/word"),
        ("postgresql://bob:p%40ss%2Fword@db/shop", "cannot open postgresql://bob:p%40ss%2Fword@db/shop", "p%40ss"),
        ("postgresql://bob:p@ss/word@db/shop", "cannot open postgresql://bob:p@ss/word@db/shop", "ss/word"),
        ("postgresql://db/shop?user=bob&password=hunter2", "with hunter2", "hunter2"),
        ("https://host/in?api_key=k3y-material", "GET /in?api_key=k3y-material gave 403", "k3y-material"),
        ("s3://bucket/key?X-Amz-Signature=abcdef0123", "signature abcdef0123 does not match", "abcdef0123"),
        ("mysql://bob:xy@db/shop", "cannot open mysql://bob:xy@db/shop", ":xy@"),
        ("http://[broken:hunter2@host/", "cannot parse http://[broken:hunter2@host/", "hunter2"),
    ],
)
def test_the_secrets_of_an_address_are_hidden(address: str, said: str, hidden: str) -> None:
    """As written and decoded, inside addresses and on their own."""
    told = Redactor([address], {})(said)
    assert hidden in said
    assert hidden not in told
    assert "***" in told


def test_the_secrets_of_the_environment_are_hidden() -> None:
    """What PGPASSWORD and the AWS variables hold is a secret wherever it turns up."""
    redact = Redactor([], {"PGPASSWORD": "hunter2", "AWS_SECRET_ACCESS_KEY": "abc/def+ghi", "HOME": "/home/bob"})
    assert redact("hunter2 abc/def+ghi abc%2Fdef%2Bghi /home/bob") == "*** *** *** /home/bob"


def test_addresses_nobody_announced_are_masked_too() -> None:
    """An address with a password, or a connection string with one, is recognised by its shape."""
    redact = Redactor([], {})
    assert redact("see redis://:secret@host/0") == "see redis://:***@host/0"
    assert redact("host=db user=bob password=secret dbname=x") == "host=db user=bob password=*** dbname=x"


@pytest.mark.parametrize("secret", ['pä"ss', "back\\slash", "new\nline"])
def test_secrets_are_found_before_json_writes_them_in_another_way(secret: str) -> None:
    """At any depth, also as keys; what JSON has no form for is text."""
    redact = Redactor([], {"PGPASSWORD": secret})
    value = {"a": [f"it is {secret}!", {"b": secret, secret: 1}], "error": ValueError(secret), "n": 1.5, "none": None}
    assert json.loads(redact.json(value)) == {
        "a": ["it is ***!", {"b": "***", "***": 1}],
        "error": "***",
        "n": 1.5,
        "none": None,
    }


@pytest.mark.parametrize(
    ("name", "value", "said", "hidden"),
    [
        ("password", "hunter2", "login with hunter2", "hunter2"),
        ("header", "Authorization: Bearer abc-def", "sent abc-def", "abc-def"),
        ("header.X-Api-Key", "abc-def", "sent abc-def", "abc-def"),
        ("header.Authorization", "Basic abcdef", "sent Basic abcdef", "Basic abcdef"),
        ("token_env", "MY_TOKEN", "sent t0ken", "t0ken"),
        ("sas_token", "sig=abcd", "sent sig=abcd", "sig=abcd"),
    ],
)
def test_the_secrets_of_options_are_hidden(name: str, value: str, said: str, hidden: str) -> None:
    """Passwords, tokens and headers; and what the variable holds that an option names."""
    told = Redactor([], {"MY_TOKEN": "t0ken"}, [(name, value)])(said)
    assert hidden not in told
    assert "***" in told


def test_options_that_are_no_secrets_are_shown() -> None:
    """Or nobody could read the messages."""
    options = [("page_size", "1000"), ("header.Accept", "text/csv"), ("next_field", "links.next")]
    said = "1000 rows of text/csv, next in links.next"
    assert Redactor([], {}, options)(said) == said


def test_ordinary_text_stays_as_it_is() -> None:
    """A short password does not blank out the words that happen to contain it."""
    redact = Redactor(["postgresql://bob:a@db/shop"], {})
    assert (
        redact("a table has a name at 12:30, see https://host/a") == "a table has a name at 12:30, see https://host/a"
    )
