"""The wire: questions as bytes, bytes as messages, names as texts. Pure; dnspython makes and reads all.

Whether a message answers our question is seen in its first bytes, before anything of it is read: id,
question, and that it is an answer. An answer that is not read within these bounds is malformed, whoever sent
it.
"""

import ipaddress
import struct
from dataclasses import dataclass
from functools import cached_property

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
from dns.message import Message
from dns.name import Name
from dns.rdatatype import RdataType

PAYLOAD = 1232
"""Bytes of an answer over UDP that need no fragments (the DNS flag day of 2020)."""
LONGEST_ANSWER = 32_768
_MOST_RECORDS = 500
_HEAD = struct.Struct("!6H")
_QR, _OPCODE, _TC = 0x8000, 0x7800, 0x0200
EXPIRE = 9  # RFC 7314
_FAULTS = (dns.exception.DNSException, ValueError, LookupError, TypeError, AttributeError, struct.error)
"""What dnspython raises about bytes: mostly its own."""
_NO_EDNS = (dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS)


class Malformed(ValueError):
    """Bytes that are no message, or more than any answer of ours has."""


@dataclass(frozen=True)
class Question:
    """A question about a name: to its servers, with the signatures, or to a resolver (`recursive`)."""

    name: Name
    rdtype: RdataType
    recursive: bool = False

    @cached_property
    def wire(self) -> bytes:
        """The question with EDNS, and with the id 0."""
        return self._wire(edns=True)

    @cached_property
    def plain(self) -> bytes:
        """The same without EDNS, for servers that do not know it."""
        return self._wire(edns=False)

    def _wire(self, *, edns: bool) -> bytes:
        options: list[dns.edns.Option] = (
            [dns.edns.GenericOption(dns.edns.OptionType.make(EXPIRE), b"")]
            if self.rdtype is RdataType.SOA
            else []
        )
        made = dns.message.make_query(
            self.name,
            self.rdtype,
            use_edns=0 if edns else -1,
            want_dnssec=edns and not self.recursive,
            payload=PAYLOAD if edns else None,
            options=options if edns and not self.recursive else None,
        )
        made.flags = dns.flags.Flag.RD if self.recursive else dns.flags.Flag(0)
        made.id = 0
        return made.to_wire()

    @cached_property
    def section(self) -> bytes:
        """Name, type and class, as they stand in question and answer; in small letters."""
        return self.plain[_HEAD.size :].lower()

    def is_answered_by(self, wire: bytes, number: int) -> bool:
        """Tell whether bytes are an answer to this question with this id, whatever case its letters have.

        An error may come without the question: a server that could not read it has none to repeat.
        """
        if len(wire) < _HEAD.size:
            return False
        of, flags, questions, *_ = _HEAD.unpack_from(wire)
        if of != number or flags & (_QR | _OPCODE) != _QR:
            return False
        if questions == 0:
            return bool(flags & 0xF)
        end = _HEAD.size + len(self.section)
        return questions == 1 and wire[_HEAD.size : end].lower() == self.section


def is_truncated(wire: bytes) -> bool:
    """Tell whether an answer says that there is more of it over TCP."""
    return bool(_HEAD.unpack_from(wire)[1] & _TC)


def refuses_edns(message: Message) -> bool:
    """Tell whether a server answers as those do that do not know EDNS."""
    return message.rcode() in _NO_EDNS


def message(wire: bytes) -> Message:
    """Read an answer. Raises Malformed."""
    if len(wire) < _HEAD.size:
        raise Malformed("less than a header")
    records = sum(_HEAD.unpack_from(wire)[3:])
    if len(wire) > LONGEST_ANSWER or records > _MOST_RECORDS:
        raise Malformed(f"{len(wire)} bytes, {records} records: more than any zone's servers are")
    try:
        return dns.message.from_wire(wire)
    except _FAULTS as error:
        raise Malformed(f"{type(error).__name__}: {error}") from error


def shown(name: Name) -> str:
    """Return a name as people write it: in one line, small letters, without the last dot."""
    return str(name.to_text(omit_final_dot=True)).lower()


def parsed(text: str) -> Name:
    """Return the name that a text is. Raises ValueError."""
    try:
        return dns.name.from_text(text).canonicalize()
    except (dns.exception.DNSException, UnicodeError) as error:
        raise ValueError(f"{text!r:.80} is no domain name: {error}") from error


def is_address(text: str) -> bool:
    """Tell whether a text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
