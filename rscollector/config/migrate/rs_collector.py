"""From the configuration of rs-collector, and from the variables of its Ansible role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .given import Given
from .made import Migrated
from .parts import (
    NOT_WATCHED,
    account_of,
    add_addresses,
    add_agent,
    add_bosun,
    add_galera,
    instance_name,
    place_of,
    tls_of,
)

SECTIONS = ("Galera", "HasIpAddr", "Mongo", "Jvm", "Megaraid", "Postfix", "DontSend")


def translate(made: Migrated, given: Given) -> None:
    """Translate a configuration of rs-collector."""
    add_agent(made, given.text("Hostname"), given.tags("Tags"), given.spelled("Tags"))
    made.add("collector", "agent", "main", {})
    idle = given.flag("DontSend")
    if idle:
        given.take("Host")
        given.leave_out("Host", "DontSend is true, so nothing is sent: for that, add a [sink.bosun.main]")
    else:
        add_bosun(made, given, "Host", given.text("Host"), {"dialect": "rs-collector"})
    _sections(made, given)
    given.take("FullHost")  # in the examples, and never read
    given.rest()


def from_variables(variables: Mapping[str, Any]) -> Migrated:
    """Translate the variables of the Ansible role for rs-collector."""
    made = Migrated()
    given = Given(made, "", variables, names_instances=True)
    common = given.table("common")
    tags = common.tags("tags")
    tags |= {key: text for key in ("domain", "hostgroup") if (text := given.text(key)) is not None}
    add_agent(made, given.text("hostname"), tags, common.spelled("tags"))
    common.rest()
    _variables_of_bosun(made, given)
    _sections(made, given)
    given.rest()
    return made


def _sections(made: Migrated, given: Given) -> None:
    """Translate the sections that rs-collector and its role have."""
    for each in given.tables("Galera"):
        add_galera(made, each)
    for each in given.tables("HasIpAddr"):
        add_addresses(made, each)
    for each in given.tables("Mongo"):
        _mongo(made, each)
    postfix = given.take("Postfix")
    if given.has("Postfix") and postfix is not False:  # an empty list is one, too
        made.add("collector", "postfix", "main", {})
        if isinstance(postfix, Mapping):
            Given(made, given.spelled("Postfix"), postfix).rest()
    for name, why in NOT_WATCHED.items():
        if given.take(name) is not None:
            given.leave_out(name, why)


def _mongo(made: Migrated, given: Given) -> None:
    name = instance_name(made, given, "mongodb")
    made_of = place_of(given, "Host", given.text("Host"), given.number("Port", 65535))
    made_of |= account_of(given, given.text("User"), given.secret("Password"), "User")
    made_of |= tls_of(given, "CaCert", "ClientCert", "ClientCertKey", asked=given.flag("UseSsl"))
    made.add("collector", "mongodb", name, made_of)
    given.rest()


def _variables_of_bosun(made: Migrated, given: Given) -> None:
    server, auth = given.table("server"), given.table("auth")
    port, wanted = server.number("port", 65535) or 8070, given.flag("use_ssl")
    protocol = server.text("protocol") or ("https" if wanted else "http")
    if wanted and protocol == "http":
        given.leave_out("use_ssl", "the protocol is http, so nothing is encrypted: set url to https://…")
    files = tls_of(given, "ca_cert", "client_cert", "client_cert_key", asked=True)
    del files["tls"]  # the URL says that
    account = {"user": auth.text("user"), "password": auth.secret("password")}
    if host := server.text("ip"):
        url = f"{protocol}://{f'[{host}]' if ':' in host else host}:{port}"
        add_bosun(made, server, "ip", url, {"dialect": "rs-collector", **account, **files})
    elif files or any(account.values()):
        server.leave_out("ip", "it is not there, so nothing is sent: for that, add a sink of the type bosun")
    server.rest()
    auth.rest()
