"""Texts and form of the mails, byte by byte (vrrp-behaviour.md 15)."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime, timedelta, timezone

import pytest

from keepvip.notify.mail_format import address_of, message
from keepvip.notify.mail_text import MailText, group_text, instance_text

DATE = datetime(2026, 11, 22, 19, 23, 42, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    ("state", "subject", "body"),
    [
        ("MASTER", "Entering MASTER state", "VRRP Instance is now owning VRRP VIPs"),
        ("BACKUP", "Entering BACKUP state", "VRRP Instance is no longer owning VRRP VIPs"),
        ("FAULT", "Entering FAULT state", "VRRP Instance is no longer owning VRRP VIPs"),
        ("STOP", "Stopping", "VRRP Instance stopping"),
        ("DELETED", "Deleted", "VRRP Deleted at reload"),
    ],
)
def test_instance(state: str, subject: str, body: str) -> None:
    text = instance_text("lb1", "VI_1", state)
    assert text.subject == f"[lb1] VRRP Instance VI_1 - {subject}"
    assert text.body == f"=> {body} <="


@pytest.mark.parametrize("state", ["MASTER", "BACKUP", "FAULT"])
def test_group(state: str) -> None:
    text = group_text("lb1", "VG1", state)
    assert text.subject == f"[lb1] VRRP Group VG1 - Entering {state} state"
    assert text.body == f"=> All VRRP group instances are now in {state} state <="


def test_group_that_stops() -> None:
    text = group_text("lb1", "VG1", "STOP")
    assert text.subject == "[lb1] VRRP Group VG1 - Stopping"
    assert text.body == "=> All VRRP group instances are now stopping <="


def test_as_keepalived_sends_it() -> None:
    """Captured from keepalived 2.2.7: header lines, their order, and the blank line at the end."""
    sent = message(
        group_text("tester", "G1", "BACKUP"),
        sender="noreply@example.com",
        recipients=("admin@example.com", "second@example.com"),
        date=datetime(2026, 11, 22, 19, 23, 42, tzinfo=UTC),
    )
    assert sent == (
        b"Date: Sun, 22 Nov 2026 19:23:42 +0000\r\n"
        b"From: noreply@example.com\r\n"
        b"Subject: [tester] VRRP Group G1 - Entering BACKUP state\r\n"
        b"X-Mailer: Keepalived\r\n"
        b"To: admin@example.com, second@example.com\r\n"
        b"\r\n"
        b"=> All VRRP group instances are now in BACKUP state <=\r\n"
        b"\r\n"
    )


def test_letters_beyond_ascii() -> None:
    text = MailText(subject="[Köln] VRRP Instance Büro " + "ü" * 60, body="=> grün <=")
    sent = message(text, sender='"Jürgen, Köln" <j@example.com>', recipients=("Zoë <z@example.com>",), date=DATE)
    assert all(len(line) <= 998 for line in sent.split(b"\r\n"))
    assert sent.partition(b"\r\n\r\n")[0].isascii()
    parsed = email.message_from_bytes(sent, policy=email.policy.default)
    assert parsed["Subject"] == text.subject
    assert parsed["From"].addresses[0].display_name == "Jürgen, Köln"
    assert parsed["To"].addresses[0].addr_spec == "z@example.com"
    assert parsed["Date"].datetime == DATE
    assert parsed.get_content().strip() == "=> grün <="


def test_nothing_breaks_out_of_a_header() -> None:
    text = MailText(subject="[x] a\r\nBcc: eve@example.com\n\n", body="=> x <=")
    sent = message(text, sender="a@example.com\r\nX: y", recipients=("b@example.com",), date=DATE)
    assert [line.partition(b":")[0] for line in sent.partition(b"\r\n\r\n")[0].split(b"\r\n")] == [
        b"Date",
        b"From",
        b"Subject",
        b"X-Mailer",
        b"To",
    ]


def test_undecodable_name_is_shown_somehow() -> None:
    text = MailText(subject="[x] \udcff", body="=> x <=")
    assert b"Subject: =?utf-8?" in message(text, sender="a@b", recipients=("b@c",), date=DATE)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("a@example.com", "a@example.com"),
        ("<a@example.com>", "a@example.com"),
        ("Name <a@example.com>", "a@example.com"),
        ('"Last, First" <a@example.com>', "a@example.com"),
        ("root", "root"),
    ],
)
def test_envelope_address(text: str, address: str) -> None:
    assert address_of(text) == address
