"""The manual's page of the configuration file, from the declarations in the code."""

from declared import everything

from rscollector.cli.collectors import setting_rows, summary
from rscollector.config.types import AgentSection, Common
from rscollector.config.web_section import ListenerSection, TlsSection, WebSection

_INTRODUCTION = r"""
.\" Written by `make docs`, from the declarations in the code.
.TH RSCOLLECTOR.TOML 5 "" rscollector "File Formats"
.SH NAME
rscollector.toml \- configuration of the metrics agent rscollector
.SH SYNOPSIS
.I /etc/rscollector/rscollector.toml
.br
.I /etc/rscollector/conf.d/*.toml
.SH DESCRIPTION
TOML. Each collector and each sink is a table [collector.TYPE.NAME] or [sink.TYPE.NAME];
there may be several of a type. Such a table takes the settings of its type, and those of
[agent] that are defaults of all collectors. All files are read as one; a table stands in one of them.
.PP
A duration is a text such as "15s" or "1h30m", a size one such as "64M". A secret is never written
here but where it is kept: { file = "/absolute/path" }, { env = "VARIABLE" } or
{ credential = "NAME" }, which systemd passes.
.PP
.B rscollector check
names every mistake with its line;
.B systemctl reload rscollector
has the agent read it anew, and a wrong one changes nothing.
.SH EXAMPLE
.nf
[agent]
interval = "15s"

[collector.vip.main]
addresses = ["192.0.2.10"]
.fi
""".lstrip()
_END = """\
.SH FILES
A secret's file and everything in /etc/rscollector belongs to root and the group rscollector, with mode 640.
.SH SEE ALSO
.BR rscollector (1),
/usr/share/doc/rscollector/docs/configuration.md
"""


def manual_page() -> str:
    """Return rscollector.toml(5)."""
    sections = [
        ("[agent]", "The agent, and defaults of all collectors.", (AgentSection, Common)),
        ("[web]", "Where the agent is found.", (WebSection,)),
        ("[[web.listener]]", "An address with rights and a lock of its own.", (ListenerSection,)),
        ("[web.listener.tls]", "TLS of a listener.", (TlsSection,)),
    ]
    for (section, name), each in everything().items():
        sections.append((f"[{section}.{name}.NAME]", summary(each), (each.Settings,)))
    text = _INTRODUCTION
    for head, what, types in sections:
        text += f'.SH "{head}"\n{_roff(what)}\n'
        for name, kind, default, meaning in (row for each in types for row in setting_rows(each)):
            text += f".TP\n.B {name}\n({_roff(kind)}; {_roff(default)}) {_roff(meaning)}\n"
    return text + _END


def _roff(text: str) -> str:
    """Return a text that troff takes as it is; none of ours begins with a dot or an apostrophe."""
    return text.replace("\\", "\\e").replace("-", "\\-")
