"""openssl x509: what is in a certificate.

Source: openssl-x509(1). Not modelled: everything else that openssl does; the text form has the lines one looks for.
"""

from __future__ import annotations

import datetime
from collections.abc import Generator
from itertools import pairwise
from typing import Any

from seatrial.sim.workloads.process import Proc

Steps = Generator[Any, Any, int]
SHORT = {"commonName": "CN", "organizationName": "O", "countryName": "C"}


def _name(name: Any) -> str:
    return ", ".join(f"{SHORT.get(each.oid._name, each.oid._name)} = {each.value}" for each in name)


def _date(at: datetime.datetime) -> str:
    return f"{at:%b %e %H:%M:%S %Y} GMT"


def openssl(proc: Proc) -> Steps:
    """openssl x509 [-in FILE] [-noout] [-text] [-dates] [-enddate] [-startdate] [-subject] [-issuer] [-checkend S]"""
    from cryptography import x509

    words = proc.argv[1:]
    if words[:1] == ["version"]:
        proc.out("OpenSSL 3.5.4 30 Sep 2025 (Library: OpenSSL 3.5.4 30 Sep 2025)\n")
        return 0
    if words[:1] != ["x509"]:
        proc.err(f"openssl: {' '.join(words[:1]) or 'no command'}: only x509 and version are there\n")
        return 1
    values = dict(pairwise(words))
    path = values.get("-in", "")
    try:
        text = proc.fs.read(path, proc.cwd) if path else (yield from proc.read_all())
    except OSError:
        proc.err(f"Could not open file or uri for loading certificate from {path}: No such file or directory\n")
        return 1
    try:
        certificate = x509.load_pem_x509_certificate(text)
    except ValueError:
        proc.err(f"Could not find certificate from {path or '<stdin>'}\n")
        return 1
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    for word in words:
        if word == "-text":
            proc.out(_text(certificate))
        elif word == "-subject":
            proc.out(f"subject={_name(certificate.subject)}\n")
        elif word == "-issuer":
            proc.out(f"issuer={_name(certificate.issuer)}\n")
        elif word == "-serial":
            proc.out(f"serial={certificate.serial_number:X}\n")
        if word in ("-dates", "-startdate"):
            proc.out(f"notBefore={_date(begin)}\n")
        if word in ("-dates", "-enddate"):
            proc.out(f"notAfter={_date(end)}\n")
    if "-checkend" in values and values["-checkend"].isdigit():
        late = end.timestamp() < proc.clock.now / 1_000_000 + int(values["-checkend"])
        proc.out("Certificate will expire\n" if late else "Certificate will not expire\n")
        return int(late)
    if "-noout" not in words:
        proc.out(text)
    return 0


def _text(certificate: Any) -> str:
    from cryptography import x509

    lines = [
        "Certificate:", "    Data:", "        Version: 3 (0x2)",
        f"        Serial Number: {certificate.serial_number} (0x{certificate.serial_number:x})",
        "        Signature Algorithm: ecdsa-with-SHA256", f"        Issuer: {_name(certificate.issuer)}",
        "        Validity", f"            Not Before: {_date(certificate.not_valid_before_utc)}",
        f"            Not After : {_date(certificate.not_valid_after_utc)}",
        f"        Subject: {_name(certificate.subject)}", "        Subject Public Key Info:",
        "            Public Key Algorithm: id-ecPublicKey", "                Public-Key: (256 bit)",
        "        X509v3 extensions:",
    ]  # fmt: skip
    for extension in certificate.extensions:
        value = extension.value
        if isinstance(value, x509.SubjectAlternativeName):
            names = [f"DNS:{name}" for name in value.get_values_for_type(x509.DNSName)]
            names += [f"IP Address:{address}" for address in value.get_values_for_type(x509.IPAddress)]
            lines += ["            X509v3 Subject Alternative Name: ", f"                {', '.join(names)}"]
        elif isinstance(value, x509.BasicConstraints):
            lines += ["            X509v3 Basic Constraints: critical", f"                CA:{str(value.ca).upper()}"]
        elif isinstance(value, x509.ExtendedKeyUsage):
            uses = {"serverAuth": "TLS Web Server Authentication", "clientAuth": "TLS Web Client Authentication"}
            shown = ", ".join(uses.get(use._name, use._name) for use in value)
            lines += ["            X509v3 Extended Key Usage: ", f"                {shown}"]
    return "\n".join(lines) + "\n"


COMMANDS = {"openssl": openssl}
